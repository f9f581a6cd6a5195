"""Every scanner of the registry, from phantom to image."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.config.datasets import SliceSettings
from quietpet.config.doses import DoseSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.files.named import Files
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.acquisition import ReconstructJob, SimulateJob
from quietpet.jobs.phantoms import PhantomJob, SlicesJob
from quietpet.stages import phantom, reconstruct, simulate, slices

PIXELS = {"siemens_mmr": 128, "siemens_vision_600": 192, "ge_signa_petmr": 144, "small_test": 64}
PROTOCOL = DoseSettings(counts=(1e9, 1e9), psf_fwhm_mm=4.0, iterations=4, subsets=7)


@pytest.fixture(scope="module", params=SCANNERS)
def chain(request, tmp_path_factory):
    """Scanner, and the slices, sinograms and images of its middle slice."""
    scanner = SCANNERS[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    settings = ScannerSettings(model=request.param, image_pixels=PIXELS[request.param])
    values = {
        name: getattr(PhantomSettings(), name)
        for name in ("activity", "mu_per_cm", "t1", "lesions", "template")
    }
    named = {"subject": "04", "dose": "standard", "protocol": PROTOCOL, "scanner": settings}
    jobs = {
        phantom: PhantomJob(
            study_seed=0,
            subject="04",
            scanner_model=request.param,
            image_pixels=settings.image_pixels,
            **values,
        ),
        slices: SlicesJob(
            study_seed=0,
            subject="04",
            slices=SliceSettings(indices=(scanner.n_image_slices // 2,), rotations=1),
        ),
        simulate: SimulateJob(study_seed=0, **named),
        reconstruct: ReconstructJob(**named),
    }
    made = Files({})
    paths = {}
    for stage, output in zip(jobs, ("phantom", "slices", "sinograms", "images"), strict=True):
        paths[output] = folder / f"{output}.h5"
        outputs = Files({output: [paths[output]]})
        stage.run(jobs[stage], made, outputs)
        made = outputs
    return scanner, paths


def test_sinograms_have_the_scanners_shape(chain):
    scanner, paths = chain
    with open_hdf5(paths["sinograms"], kind="sinograms") as file:
        prompts, nominal = read_array(file, "prompts"), read_array(file, "nominal_counts")
    assert prompts.shape == (1, *scanner.sinogram_shape)
    assert not prompts[0][scanner.gap_mask].any()
    assert nominal[0] == pytest.approx(1e9 / scanner.n_image_slices)


def test_the_image_has_the_phantoms_activity(chain):
    """Total within 2 %; and, point by point, within what resolution and noise allow."""
    scanner, paths = chain
    with open_hdf5(paths["slices"], kind="slices") as file:
        truth = read_array(file, "activity")[0]
        assert read_array(file, "slice_mm")[0] == pytest.approx(0.0, abs=1e-9)
    with open_hdf5(paths["images"], kind="images") as file:
        image = read_array(file, "image")[0]
    assert image.shape == truth.shape
    assert image.sum() == pytest.approx(truth.sum(), rel=0.02)
    assert np.corrcoef(image.ravel(), truth.ravel())[0, 1] > 0.9
    nearest_shift = [
        np.corrcoef(np.roll(image, (dy, dx), (0, 1)).ravel(), truth.ravel())[0, 1]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    assert int(np.argmax(nearest_shift)) == 4, scanner.name
