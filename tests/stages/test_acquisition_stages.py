"""Scans with scatter, randoms and decay: quantitative images, Poisson counts, nested levels."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from quietpet.acquisition.background import estimated_randoms
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings, write_hdf5
from quietpet.files.named import Files
from quietpet.files.sinograms import read_sinograms
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.jobs.acquisition import CountsJob
from quietpet.projection.embedded import embedded_projector
from quietpet.recon.measuring import measurement_of
from quietpet.recon.osem import osem
from quietpet.stages import counts, reconstruct, simulate, thin
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

GRID = mmr_grid(128)
PIXEL_ML = 2.08626**2 * 2.03125 / 1000
GREY_MATTER = 96.0
SLICE_MM = 4.0625
"""Slice 65 above the middle of 127, which is 63."""

LEVEL = {"psf_fwhm_mm": 4.3, "iterations": 4, "subsets": 14}
LEVELS = {
    "half": {"thinned": {"fraction": 0.5}, **LEVEL},
    "tenth": {"thinned": {"fraction": 0.1}, **LEVEL},
    "tenth_again": {"thinned": {"fraction": 0.1, "realisation": 1}, **LEVEL},
    "tenth_activity": {"thinned": {"fraction": 0.1, "fraction_of": "activity"}, **LEVEL},
    "weak": {"scan": {"injected_mbq": 50, "uptake_minutes": 60, "minutes": 30}, **LEVEL},
}


@pytest.fixture(scope="module")
def study(repository):
    raw = read_yaml(repository / "workflow/configs/dose_ladder.yaml")
    standard = {**raw["doses"]["standard"], **LEVEL}
    del raw["dose_response"]
    return load_study({**raw, "doses": {"standard": standard, "low": LEVELS}}, origin="dose_ladder.yaml")


def files(**paths):
    return Files({name: [path] for name, path in paths.items()})


def write_slices(path, *, radius_mm, mu_per_cm, rows, slice_mm=SLICE_MM):
    """The same cylinder of grey matter on the axis, ``rows`` times."""
    disc = GRID.within_radius(radius_mm)
    keys = [f"04/z065/r{row}" for row in range(rows)]
    maps = {
        name: np.repeat(np.where(disc, value, 0.0).astype(np.float32)[None], rows, axis=0)
        for name, value in (("activity", GREY_MATTER), ("mu_per_cm", mu_per_cm))
    }
    write_hdf5(
        path,
        kind="slices",
        arrays={
            **maps,
            "key": np.array(keys),
            "rotation": np.arange(rows),
            "slice_mm": np.full(rows, slice_mm),
        },
        attributes={"subject": "04", "lineage": {"data_source": "template"}},
    )
    return path


def make(study, folder, dose):
    """Sinograms of ``dose`` from ``slices.h5`` or ``standard.h5`` in ``folder``."""
    path = folder / f"{dose}.h5"
    if dose in study.doses.thinned:
        job = job_of(study, "thin", subject="04", dose=dose)
        thin.run(job, files(standard=folder / "standard.h5"), files(sinograms=path))
    else:
        job = job_of(study, "simulate", subject="04", dose=dose)
        simulate.run(job, files(slices=folder / "slices.h5"), files(sinograms=path))
    return path


def read(path):
    with open_hdf5(path, kind="sinograms") as file:
        return {name: read_array(file, name) for name in file if name != "key"}


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    """A 20-cm water cylinder, sixteen times, at every dose."""
    folder = tmp_path_factory.mktemp("cylinder")
    write_slices(folder / "slices.h5", radius_mm=100.0, mu_per_cm=0.096, rows=16)
    for dose in ("standard", *LEVELS):
        make(study, folder, dose)
    return folder


@pytest.fixture(scope="module")
def standard(folder):
    return read(folder / "standard.h5")


def true_kbq_per_ml():
    """SUV 7, 200 MBq in 75 kg, 40 min after injection."""
    return 7.0 * 200 / 75 * 2 ** (-40 / 109.77)


@pytest.mark.parametrize("slice_mm", [0.0, 60.0, -100.0])
def test_an_injection_gives_the_counts_that_the_sensitivity_says(study, tmp_path, slice_mm):
    """36.1 cps per kBq on the axis without attenuation, over 15 min of decaying activity.

    That is the mean of the axis; at z it is sin(atan((h - |z|) / R)), but for the ring difference.
    """
    slices = tmp_path / "slices.h5"
    write_slices(slices, radius_mm=20.0, mu_per_cm=0.0, rows=1, slice_mm=slice_mm)
    z_mm = np.linspace(-130, 130, 200_001)
    share = np.sin(np.arctan(np.minimum(130 - np.abs(z_mm), 60 * 4.0625 / 2) / 335))
    accepted = np.interp(slice_mm, z_mm, share) / share.mean()
    activity_kbq = true_kbq_per_ml() * GRID.within_radius(20.0).sum() * PIXEL_ML
    rate = math.log(2) / 109.77
    decays = activity_kbq * 60 * (1 - math.exp(-15 * rate)) / rate
    found = read(make(study, tmp_path, "standard"))["expected_trues"][0]
    assert found == pytest.approx(accepted * 36.1 * decays, rel=2e-3)


def test_images_show_the_activity_in_kbq_per_ml(study, folder):
    """With randoms, scatter and attenuation; at every dose that of the standard scan, within 1 %."""
    for dose in ("standard", *LEVELS):
        images = folder / f"{dose}_images.h5"
        job = job_of(study, "reconstruct", subject="04", dose=dose)
        reconstruct.run(job, files(sinograms=folder / f"{dose}.h5"), files(images=images))
        with open_hdf5(images, kind="images") as file:
            image = read_array(file, "image")
            assert read_attribute(file, "activity_units") == "kBq/ml"
            unit = read_attribute(file, "activity_per_phantom_unit")
        inside = image[:, GRID.within_radius(80.0)]
        assert unit * GREY_MATTER == pytest.approx(true_kbq_per_ml())
        assert inside.mean() == pytest.approx(true_kbq_per_ml(), rel=0.01), dose


def test_without_the_background_images_are_far_too_bright_and_refused(study, folder, standard, tmp_path):
    arrays = {name: values for name, values in standard.items() if name != "background"}
    with open_hdf5(folder / "standard.h5", kind="sinograms") as file:
        arrays["key"] = np.array(read_strings(file, "key"))
        names = ("dose", "activity_units", "activity_per_phantom_unit", "lineage")
        attributes = {name: read_attribute(file, name) for name in names}
    write_hdf5(tmp_path / "bare.h5", kind="sinograms", arrays=arrays, attributes=attributes)
    job = job_of(study, "reconstruct", subject="04", dose="standard")
    with pytest.raises(InputError, match=r"bare\.h5: .* as bright outside the head as anywhere inside"):
        reconstruct.run(job, files(sinograms=tmp_path / "bare.h5"), files(images=tmp_path / "images.h5"))
    measured = measurement_of(
        [read_sinograms(tmp_path / "bare.h5")],
        scanner=study.scanner,
        protocol=study.doses.standard,
        device=torch.device("cpu"),
    ).rows([0])
    image = osem(measured.prompts, measured.model, iterations=4, subsets=14)
    assert image[0, GRID.within_radius(80.0)].mean() > 1.5 * true_kbq_per_ml()


def test_a_file_without_background_joins_one_that_has_it(study, folder):
    """As a method that reconstructs reads the sinograms of several subjects."""
    with_background = read_sinograms(folder / "half.h5")
    without = replace(with_background, background=None)
    model = measurement_of(
        [with_background, without],
        scanner=study.scanner,
        protocol=study.doses.low["half"],
        device=torch.device("cpu"),
    ).model
    np.testing.assert_array_equal(model.background[:16], with_background.background)
    assert (model.background[16:] == 0).all()


def expected_by_class(study, standard):
    """Expected trues, scatter and randoms (view, bin) of the cylinder, from the file's factors."""
    projector = embedded_projector(siemens_mmr(), GRID, rays=1)
    factors = standard["attenuation"][:1] * standard["normalisation"]
    model = AcquisitionModel(
        projector=projector,
        psf=GaussianPSF(fwhm_mm=4.3, pixel_mm=GRID.pixel_mm, image_shape=(128, 128)),
        multiplicative=torch.from_numpy(factors * np.float32(standard["counts_per_activity"][0])),
    )
    cylinder = np.where(GRID.within_radius(100.0), true_kbq_per_ml(), 0.0).astype(np.float32)
    trues = model.expected(torch.from_numpy(cylinder)[None])[0].numpy()
    seen = trues > 0
    normalisation = standard["normalisation"]
    randoms = normalisation * standard["expected_randoms"][0] / normalisation.sum(where=seen)
    return trues, standard["scatter"][0], randoms


def test_scatter_and_randoms_have_the_configured_fractions(study, standard):
    trues, scatter, randoms = expected_by_class(study, standard)
    seen = trues > 0
    total = trues.sum()
    assert total == pytest.approx(standard["expected_trues"][0], rel=1e-4)
    assert scatter.sum(where=seen) / (total + scatter.sum(where=seen)) == pytest.approx(0.37, rel=1e-4)
    everything = total + scatter.sum(where=seen) + randoms.sum(where=seen)
    assert randoms.sum(where=seen) / everything == pytest.approx(0.3, rel=1e-4)
    assert standard["expected_scattered"][0] == pytest.approx(scatter.sum(where=seen), rel=1e-4)


@pytest.mark.parametrize(
    ("dose", "of_trues", "of_randoms"),
    [("standard", 1.0, 1.0), ("half", 0.5, 0.5), ("tenth", 0.1, 0.1), ("tenth_activity", 0.1, 0.01)],
)
def test_prompts_and_delayed_counts_are_poisson(study, folder, standard, dose, of_trues, of_randoms):
    """16 scans: mean and variance are the expectation, pooled over all bins within five standard errors.

    Time thins randoms with the fraction, activity with its square.
    """
    trues, scatter, randoms = expected_by_class(study, standard)
    measured = read(folder / f"{dose}.h5")
    for counted, mean in (
        (measured["prompts"], of_trues * (trues + scatter) + of_randoms * randoms),
        (measured["random_prompts"], of_randoms * randoms),
        (measured["delayed"], of_randoms * randoms),
    ):
        recorded = mean > 0
        assert (counted[:, ~recorded] == 0).all()
        m, x = mean[recorded].astype(float), counted[:, recorded]
        n = len(x)
        assert abs(x.sum() - n * m.sum()) <= 5 * np.sqrt(n * m.sum())
        # (x - m)^2 / m has mean 1 and variance 2 + 1/m.
        spread = ((x - m) ** 2 / m).mean(axis=0)
        assert abs(spread.mean() - 1) <= 5 * np.sqrt((2 + 1 / m).sum() / n) / m.size


def test_thinned_events_are_nested_and_the_rest_completes_the_standard(folder, standard):
    half, tenth, activity = (read(folder / f"{dose}.h5") for dose in ("half", "tenth", "tenth_activity"))
    for name in ("prompts", "random_prompts", "delayed"):
        for lower, higher in ((half, standard), (tenth, half), (activity, tenth)):
            removed = higher[name] - lower[name]
            assert (removed >= 0).all()
            assert removed.any()
            np.testing.assert_array_equal(lower[name] + removed, higher[name])
    others = [level["prompts"] - level["random_prompts"] for level in (tenth, activity)]
    np.testing.assert_array_equal(*others)


def test_another_realisation_keeps_other_events(folder):
    first, second = (read(folder / f"{dose}.h5")["prompts"] for dose in ("tenth", "tenth_again"))
    assert first.sum() == pytest.approx(second.sum(), rel=0.01)
    assert (first != second).mean() > 0.1


def test_a_level_is_the_same_whatever_other_levels_there_are(study, folder, tmp_path):
    (tmp_path / "standard.h5").symlink_to(folder / "standard.h5")
    alone = read(make(study, tmp_path, "tenth"))
    for name, values in read(folder / "tenth.h5").items():
        np.testing.assert_array_equal(alone[name], values)


def test_the_models_background_is_estimated_from_the_levels_own_delayed_counts(folder):
    for dose in ("standard", "tenth_activity", "weak"):
        measured = read(folder / f"{dose}.h5")
        randoms = estimated_randoms(measured["delayed"], measured["normalisation"], window=31)
        np.testing.assert_allclose(measured["background"], measured["scatter"] + randoms, rtol=1e-5)


def test_a_weaker_later_scan_has_the_counts_and_randoms_of_its_activity(folder, standard):
    """50 instead of 200 MBq, 60 instead of 40 min after injection, 30 instead of 15 min."""
    weak = read(folder / "weak.h5")
    rate = math.log(2) / 109.77
    activity = 50 / 200 * math.exp(-20 * rate)
    longer = (1 - math.exp(-30 * rate)) / (1 - math.exp(-15 * rate))
    longer_squared = (1 - math.exp(-2 * 30 * rate)) / (1 - math.exp(-2 * 15 * rate))
    for name, factor in (
        ("expected_trues", activity * longer),
        ("expected_scattered", activity * longer),
        ("expected_randoms", activity**2 * longer_squared),
    ):
        np.testing.assert_allclose(weak[name], factor * standard[name], rtol=1e-6)


def test_only_the_standard_dose_is_thinned(study, folder):
    job = job_of(study, "thin", subject="04", dose="tenth")
    with pytest.raises(InputError, match=r"half\.h5: holds dose 'half', but the standard dose is"):
        thin.run(job, files(standard=folder / "half.h5"), files(sinograms=folder / "no.h5"))


@pytest.mark.parametrize("name", ["prompts", "random_prompts", "scatter", "expected_trues"])
def test_negative_events_are_named_before_they_are_thinned(study, folder, tmp_path, name):
    path = shutil.copy(folder / "standard.h5", tmp_path / "signed.h5")
    with h5py.File(path, "r+") as file:
        file[name][-1] = -1
    job = job_of(study, "thin", subject="04", dose="tenth")
    with pytest.raises(InputError, match=rf"signed\.h5:{name}: .* values are negative, the first, -1,"):
        thin.run(job, files(standard=path), files(sinograms=tmp_path / "no.h5"))


def test_the_list_of_counts_has_noise_equivalent_counts(folder, standard):
    doses = ("standard", "half", "tenth_activity")
    sinograms = Files({"sinograms": [folder / f"{dose}.h5" for dose in doses]})
    counts.run(CountsJob(), sinograms, files(counts=folder / "counts.csv"))
    with (folder / "counts.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 16
    first = {row["dose"]: row for row in reversed(rows)}
    trues, scatter, randoms = (
        standard[f"expected_{name}"][0] for name in ("trues", "scattered", "randoms")
    )
    nec = trues**2 / (trues + scatter + randoms)
    assert int(first["standard"]["prompts"]) == standard["prompts"][0].sum()
    assert float(first["standard"]["nec_1r"]) == pytest.approx(nec, rel=1e-5)
    assert float(first["half"]["nec_1r"]) == pytest.approx(nec / 2, rel=1e-5)
    weak = 0.01 * trues**2 / (0.1 * (trues + scatter) + 2 * 0.01 * randoms)
    assert float(first["tenth_activity"]["nec_2r"]) == pytest.approx(weak, rel=1e-5)


def test_counts_are_prompts_of_all_kinds(study, folder, tmp_path):
    """A count level with scatter and randoms: trues, scatter and randoms together are the counts."""
    raw = study.model_dump()
    raw["acquisition"]["calibration"] = None
    raw["doses"] = {
        "standard": {"counts": 1e6, "counts_per": "slice", **LEVEL},
        "low": {"low": {"counts": 1e5, "counts_per": "slice", **LEVEL}},
    }
    raw["scanner"] |= {"gaps": False}
    counted = load_study(raw, origin="")
    (tmp_path / "slices.h5").symlink_to(folder / "slices.h5")
    for dose, total in (("standard", 1e6), ("low", 1e5)):
        measured = read(make(counted, tmp_path, dose))
        parts = [measured[f"expected_{name}"] for name in ("trues", "scattered", "randoms")]
        np.testing.assert_allclose(sum(parts), total, rtol=1e-6)
        np.testing.assert_allclose(parts[2] / sum(parts), 0.3, rtol=1e-6)


def test_a_scan_without_scatter_and_randoms_has_no_background(study, folder, tmp_path):
    """And all its trues are in its prompts: the published protocol."""
    raw = study.model_dump()
    raw["acquisition"] = {}
    raw["doses"] = {
        "standard": {"counts": 1e6, "counts_per": "slice", **LEVEL},
        "low": {"half": {"thinned": {"fraction": 0.5}, **LEVEL}},
    }
    plain = load_study(raw, origin="")
    (tmp_path / "slices.h5").symlink_to(folder / "slices.h5")
    for dose in ("standard", "half"):
        measured = read(make(plain, tmp_path, dose))
        assert not {"scatter", "delayed", "random_prompts", "background"} & measured.keys()
        assert (measured["expected_scattered"] == 0).all()
        total = measured["expected_trues"].sum()
        assert abs(measured["prompts"].sum() - total) <= 5 * np.sqrt(total)
        with open_hdf5(tmp_path / f"{dose}.h5", kind="sinograms") as file:
            assert read_attribute(file, "activity_units") == "relative activity"
