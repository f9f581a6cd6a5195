"""Cohorts from phantom to packed data set: the same regions, and in truth each subject's own uptake."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.config.regions import REGION_NAMES, RegionalReductions
from quietpet.files.hdf5 import open_hdf5, read_attribute
from quietpet.files.named import Files
from quietpet.files.packed import ReferenceSlices
from quietpet.files.phantoms import PhantomSlices
from quietpet.files.records import read_record
from quietpet.stages import pack, phantom, reconstruct, simulate, slices, thin
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

INDICES = [47, 71, 80]
"""Through the temporal lobes, the parietal lobes and the top of the sensorimotor cortex."""
OSEM = {"psf_fwhm_mm": 2.5, "iterations": 1, "subsets": 14}
DOSES = {
    "standard": {"counts": 1e10, **OSEM},
    "low": {"x20": {"thinned": {"fraction": 0.05}, **OSEM}},
}


@pytest.fixture(scope="module")
def study(repository):
    raw = read_yaml(repository / "workflow/configs/tiny.yaml")
    raw |= {
        "slices": {"indices": INDICES, "rotations": 2},
        "phantoms": {"source": "template", "lesions": {"count": 0}},
        "doses": DOSES,
        "domains": {
            "healthy": {"regions": {"variation": 0}, "doses": DOSES},
            "alzheimer": {"regions": {"variation": 0, "disease": {"severity": 0.6}}, "doses": DOSES},
        },
        "learning": {"stages": {"a": {"data": ["own"]}}, "regimes": {"own": ["a"]}},
    }
    return load_study(raw, origin="cohorts.yaml")


@pytest.fixture(scope="module", params=["healthy", "alzheimer"])
def made(request, study, tmp_path_factory):
    """Name of the cohort, its phantom, slices and packed test set, all made by the stages."""
    cohort, folder = request.param, tmp_path_factory.mktemp(request.param)

    def run(stage, step, takes, makes, **names):
        inputs = Files({name: [folder / f"{file}.h5"] for name, file in takes.items()})
        job = job_of(study, step, dataset=cohort, **names)
        stage.run(job, inputs, Files({name: [folder / f"{file}.h5"] for name, file in makes.items()}))

    subject = {"subject": "06"}
    run(phantom, "phantom", {}, {"phantom": "phantom"}, **subject)
    run(slices, "slices", {"phantom": "phantom"}, {"slices": "slices"}, **subject)
    measured = {"slices": "slices"}, {"sinograms": "standard_sinograms"}
    run(simulate, "simulate", *measured, **subject, dose="standard")
    thinned = {"standard": "standard_sinograms"}, {"sinograms": "x20_sinograms"}
    run(thin, "thin", *thinned, **subject, dose="x20")
    for dose in ("standard", "x20"):
        images = {"sinograms": f"{dose}_sinograms"}, {"images": dose}
        run(reconstruct, "reconstruct", *images, **subject, dose=dose)
    takes = {"slices": "slices", "standard": "standard", "low": "x20"}
    run(pack, "pack", takes, {"dataset": "test"}, setting="x20", split="test")
    return cohort, folder


def test_the_packed_set_numbers_the_regions_of_grey_matter(made):
    _, folder = made
    packed = read_record(folder / "test.h5", ReferenceSlices)
    cut = read_record(folder / "slices.h5", PhantomSlices)
    assert list(packed.region_names) == list(cut.region_names) == list(REGION_NAMES)
    assert packed.regions.dtype == np.uint8
    assert set(np.unique(packed.labels[packed.regions > 0])) == {32}
    rows = dict(zip(packed.key, packed.regions, strict=True))
    names = {
        key: {REGION_NAMES[number - 1] for number in np.unique(mask[mask > 0])}
        for key, mask in rows.items()
    }
    for rotation in ("r0", "r1"):
        assert names[f"06/z047/{rotation}"] == {"lateral_temporal", "medial_temporal"}
        assert names[f"06/z071/{rotation}"] == {"posterior_cingulate_precuneus", "inferior_parietal"}
        assert "sensorimotor" in names[f"06/z080/{rotation}"]
    np.testing.assert_array_equal(packed.truth[:, 32:-32, 32:-32], cut.activity)  # 192 and 128 pixels


def test_truth_has_lost_what_the_configuration_says(made):
    """Pixels of pure grey matter in unturned slices: 96 times 1 - 0.6 reduction, or 96."""
    cohort, folder = made
    packed = read_record(folder / "test.h5", ReferenceSlices)
    unturned = packed.angle_deg == 0
    for number, name in enumerate(REGION_NAMES, start=1):
        lost = 0.6 * getattr(RegionalReductions(), name) if cohort == "alzheimer" else 0.0
        seen = packed.truth[unturned][packed.regions[unturned] == number]
        # Mixed pixels have less or more than grey matter; most are pure.
        assert np.median(seen) == pytest.approx(96 * (1 - lost), rel=1e-6)
    with open_hdf5(folder / "phantom.h5", kind="phantom") as file:
        assert read_attribute(file, "severity") == (0.6 if cohort == "alzheimer" else 0.0)
