"""``scanner.data: finer``: data of smaller pixels and more rays than the model that explains them."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.acquisition.sensitivity import attenuation_factors
from quietpet.config.datasets import SliceSettings
from quietpet.config.doses import DoseSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, write_hdf5
from quietpet.files.named import Files
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.jobs.acquisition import ReconstructJob, SimulateJob
from quietpet.jobs.phantoms import PhantomJob, SlicesJob
from quietpet.simulation import scan
from quietpet.stages import phantom, reconstruct, simulate, slices
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import settings_for

GRID = mmr_grid(128)
RADIUS_MM, ACTIVITY, MU_PER_CM = 80.3, 96.0, 0.096
PROTOCOL = DoseSettings(
    counts=(1e12, 1e12), counts_per="slice", psf_fwhm_mm=2.5, iterations=6, subsets=14
)


def files(**paths):
    return Files({name: [path] for name, path in paths.items()})


def disc_slices(path, *, fine=True):
    """A disc on the axis on the model's grid, and on the finer one."""
    arrays = {}
    for prefix, grid in (("", GRID), *([("fine_", GRID.refined(2))] if fine else [])):
        disc = grid.within_radius(RADIUS_MM).astype(np.float32)[None]
        arrays |= {f"{prefix}activity": ACTIVITY * disc, f"{prefix}mu_per_cm": MU_PER_CM * disc}
    write_hdf5(
        path,
        kind="slices",
        arrays={
            **arrays,
            "key": np.array(["04/z063/r0"]),
            "rotation": np.zeros(1),
            "slice_mm": np.zeros(1),
        },
        attributes={"subject": "04", "lineage": {"data_source": "template"}},
    )
    return path


def scanner(data):
    return ScannerSettings(data=data, gaps=False, efficiency_spread=0.0)


def simulated(folder, data, protocol=PROTOCOL):
    path = folder / f"{data}.h5"
    job = SimulateJob(
        study_seed=1, subject="04", dose="standard", protocol=protocol, scanner=scanner(data)
    )
    simulate.run(job, files(slices=disc_slices(folder / "slices.h5")), files(sinograms=path))
    return path


def read(path, *names, kind="sinograms"):
    with open_hdf5(path, kind=kind) as file:
        return [read_array(file, name) for name in names]


def attenuated_chords():
    """Integrals of activity through the disc, attenuated, mean over the width of each bin (bin,)."""
    geometry = siemens_mmr()
    within = (np.arange(400) + 0.5) / 400 - 0.5
    s_mm = geometry.bin_offsets_mm[:, None] + geometry.bin_widths_mm[:, None] * within
    chord_cm = 2 * np.sqrt(np.clip(RADIUS_MM**2 - s_mm**2, 0, None)) / 10
    return (chord_cm * np.exp(-MU_PER_CM * chord_cm)).mean(axis=1)


def test_finer_data_are_nearer_to_the_chords_of_a_disc(tmp_path):
    protocol = PROTOCOL.model_copy(update={"psf_fwhm_mm": 0.0})
    expected = np.broadcast_to(attenuated_chords(), siemens_mmr().sinogram_shape)
    expected = expected / np.linalg.norm(expected)
    errors = {}
    for data in ("same", "finer"):
        (prompts,) = read(simulated(tmp_path, data, protocol), "prompts")
        found = prompts[0] / np.linalg.norm(prompts[0])
        errors[data] = np.linalg.norm(found - expected)
    assert errors["finer"] < 0.6 * errors["same"]
    assert errors["finer"] < 0.006


def test_images_of_finer_data_have_the_same_activity_and_a_larger_error(tmp_path):
    """The model is the same in both, and right on average; only an inverse crime fits to the pixel."""
    inside, spread, attenuation = GRID.within_radius(60.0), {}, {}
    for data in ("same", "finer"):
        sinograms, images = simulated(tmp_path, data), tmp_path / f"{data}_images.h5"
        job = ReconstructJob(subject="04", dose="standard", protocol=PROTOCOL, scanner=scanner(data))
        reconstruct.run(job, files(sinograms=sinograms), files(images=images))
        (image,) = read(images, "image", kind="images")[0]
        assert image[inside].mean() == pytest.approx(ACTIVITY, rel=0.01)
        spread[data] = image[inside].std() / ACTIVITY  # hardly any of it is noise
        (attenuation[data],) = read(sinograms, "attenuation")
    assert spread["finer"] > 1.5 * spread["same"]
    np.testing.assert_array_equal(attenuation["same"], attenuation["finer"])


def test_slices_without_finer_maps_are_refused(tmp_path):
    job = SimulateJob(
        study_seed=1, subject="04", dose="standard", protocol=PROTOCOL, scanner=scanner("finer")
    )
    coarse = disc_slices(tmp_path / "slices.h5", fine=False)
    with pytest.raises(InputError, match=r"slices\.h5.*fine_activity"):
        simulate.run(job, files(slices=coarse), files(sinograms=tmp_path / "sinograms.h5"))


def test_finer_maps_hold_the_models_pixels(tmp_path):
    """Centre of pixel i is that of pixel 2 i of the finer grid: equal samples, lesions included."""
    settings = PhantomSettings()
    values = {
        name: getattr(settings, name) for name in ("activity", "mu_per_cm", "t1", "lesions", "template")
    }
    job = PhantomJob(
        study_seed=0,
        subject="04",
        scanner_model="small_test",
        image_pixels=64,
        data_refinement=2,
        **values,
    )
    made, cut = tmp_path / "phantom.h5", tmp_path / "slices.h5"
    phantom.run(job, Files({}), files(phantom=made))
    slices.run(
        SlicesJob(study_seed=0, subject="04", slices=SliceSettings(indices=(6, 8), rotations=2)),
        files(phantom=made),
        files(slices=cut),
    )
    for name in ("activity", "mu_per_cm"):
        coarse, fine = read(made, name, f"fine_{name}", kind="phantom")
        np.testing.assert_allclose(fine[:, ::2, ::2], coarse, rtol=1e-5, atol=1e-5)
        coarse, fine = read(cut, name, f"fine_{name}", kind="slices")
        assert fine.shape == (4, 128, 128)
        np.testing.assert_allclose(fine[::2, ::2, ::2], coarse[::2], rtol=1e-5, atol=1e-5)
        # Turned slices are interpolated over half the distance; the object is the same.
        np.testing.assert_allclose(fine[1].mean(), coarse[1].mean(), rtol=0.02)


def test_one_setting_of_a_study_is_enough(repository):
    raw = dict(read_yaml(repository / "config.yaml"))
    for data, refinement, rays in (("same", 1, 1), ("finer", 2, 10)):
        study = load_study({**raw, "scanner": {**raw["scanner"], "data": data}}, origin="x")
        assert f'"data_refinement":{refinement}' in settings_for(study, "phantom", subject="04")
        assert study.scanner.data_rays == rays
        assert study.scanner.rays == 1


@pytest.mark.parametrize(("data", "projected"), [("same", 1), ("finer", 2)])
def test_attenuation_is_projected_once_for_each_grid(tmp_path, monkeypatch, data, projected):
    calls = []

    def counted(*arguments, **named):
        calls.append(named)
        return attenuation_factors(*arguments, **named)

    monkeypatch.setattr(scan, "attenuation_factors", counted)
    simulated(tmp_path, data)
    assert len(calls) == projected
