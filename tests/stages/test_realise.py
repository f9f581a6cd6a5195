"""Noise realisations: Poisson laws, independence, and that names alone decide what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import realised as made
import torch

from quietpet.config.acquisition import AcquisitionSettings
from quietpet.config.realisations import ABSENT, LesionSetSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.realisations import Realisations, Twin
from quietpet.files.records import read_record, write_record
from quietpet.files.sinograms import ScannedDose
from quietpet.phantom.discs import Disc, coverage
from quietpet.simulation.realisations import realised, twin_slices
from quietpet.simulation.scan import mean_scan
from quietpet.stages import realise

CPU = torch.device("cpu")


def run(slices, **job):
    return realised(made.job(slices.subject, **job), slices, made.SCANNER, CPU)


def by_key(**job):
    """Images and sinograms of each row, by its key."""
    rows, scan = run(job.pop("slices", made.slices()), **job)
    images = rows.images
    arrays = zip(images.standard.image, images.low.image, scan.prompts, images.truth, strict=True)
    return dict(zip(images.slices.key, arrays, strict=True))


@pytest.fixture(scope="module")
def many():
    """400 low-dose draws of a slice with lesions and without, and what is expected of each (row,)."""
    count = 400
    job = made.job(count=count, low={**made.LOW, "counts": 3e4, "iterations": 1, "subsets": 1})
    slices = made.slices()
    _, scan = realised(job, slices, made.SCANNER, CPU)
    twins = twin_slices(job, slices)
    mean = mean_scan(job.low[0], twins.slices, made.SCANNER, CPU, unit=1.0)
    expected = mean.scale[0] * mean.normalisation * mean.arriving
    return scan.prompts.reshape(2, count, *scan.prompts.shape[1:]).astype(float), expected


def test_the_mean_of_all_draws_is_the_noise_free_sinogram(many):
    drawn, expected = many
    for draws, mean in zip(drawn, expected, strict=True):
        seen = mean > 0.05
        error = (draws.mean(0) - mean)[seen] / np.sqrt(mean[seen] / len(draws))
        assert abs(error.mean()) < 4 / np.sqrt(error.size)
        assert np.square(error).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / error.size))
        assert (draws[:, mean == 0] == 0).all()


def test_the_variance_of_all_draws_is_their_mean(many):
    """Var of a bin's sample variance of Poisson counts is m/n + 2 m^2 / (n - 1)."""
    drawn, expected = many
    for draws, mean in zip(drawn, expected, strict=True):
        seen, n = mean > 0.05, len(draws)
        variance, m = draws.var(axis=0, ddof=1)[seen], mean[seen]
        error = (variance - m) / np.sqrt(m / n + 2 * m**2 / (n - 1))
        assert abs(error.mean()) < 4 / np.sqrt(error.size)


def test_draws_are_independent_of_one_another(many):
    """Neighbouring draws, and the draws of the twins with the same number."""
    drawn, expected = many
    seen = (expected > 0.05).all(axis=0)
    absent, present = (
        ((draws - mean) / np.sqrt(np.maximum(mean, 1e-9)))[:, seen]
        for draws, mean in zip(drawn, expected, strict=True)
    )
    for one, other in ((absent[:-1], absent[1:]), (absent, present)):
        assert abs((one * other).mean()) < 4 / np.sqrt(one.size)


def test_names_alone_decide_what_is_drawn():
    """More draws, more lesion sets, slices and subjects, in another order: the same rows."""
    few = by_key(count=2)
    assert len(few) == 4
    other = {"more": LesionSetSettings(radii_mm=(1.5 * made.GRID.pixel_mm,)), **made.SETS}
    for more in (
        by_key(count=5),
        by_key(count=2, lesion_sets=other),
        by_key(count=3, slices=made.slices("04", 7, 3)),
    ):
        assert len(more) > len(few)
        for key, arrays in few.items():
            for one, same in zip(arrays, more[key], strict=True):
                assert one.tobytes() == same.tobytes()
    assert not by_key(count=2, slices=made.slices("05")).keys() & few.keys()


def test_rows_differ_in_all_that_names_them():
    _, scan = run(made.slices("04", 3, 7), count=2)
    prompts = {row.tobytes() for row in scan.prompts}
    assert len(prompts) == len(scan.prompts) == 8


def test_twins_differ_in_the_lesions_alone():
    """Same time, attenuation, T1; the mean sinogram differs by that of the painted discs."""
    job = made.job(count=1)
    twins = twin_slices(job, made.slices())
    absent, present = twins.slices.activity
    painted = np.zeros_like(absent)
    for lesion in twins.lesions:
        centre_mm = tuple((each - 32) * made.GRID.pixel_mm for each in lesion.centre_yx)
        disc = Disc(number=1, radius_mm=lesion.radius_mm, contrast=0, centre_mm=centre_mm)
        painted += coverage(disc, grid=made.GRID) * np.float32(lesion.contrast * made.WHITE)
    np.testing.assert_allclose(present - absent, painted, atol=1e-4)
    for name in ("mu_per_cm", "t1", "labels", "head", "t1_lesions"):
        np.testing.assert_array_equal(*getattr(twins.slices, name))
    assert not twins.slices.t1_lesions.any()
    assert {*np.unique(twins.slices.pet_lesions[1])} == {0, 1, 2}
    assert not twins.slices.pet_lesions[0].any()
    _, scan = realised(job, made.slices(), made.SCANNER, CPU)
    assert scan.counts_per_activity[0] == scan.counts_per_activity[1]
    trues = scan.expected_trues
    assert trues[1] / trues[0] == pytest.approx(1 + painted.sum() / absent.sum(), abs=5e-3)


def test_lesions_are_there_on_finer_pixels_too():
    scanner = made.SCANNER.model_copy(update={"data": "finer"})
    twins = twin_slices(made.job(scanner=scanner), made.with_fine_maps(made.slices()))
    fine = twins.slices.fine_activity[1] - twins.slices.fine_activity[0]
    coarse = twins.slices.activity[1] - twins.slices.activity[0]
    for sign in (1, -1):
        whole, part = (np.maximum(sign * each, 0).sum() for each in (fine, coarse))
        assert whole == pytest.approx(4 * part, rel=0.01)


def test_a_thinned_low_dose_is_a_part_of_its_own_standard_dose():
    low = {"psf_fwhm_mm": 2.5, **made.LEVEL, "thinned": {"fraction": 0.25}}
    kept = by_key(count=2, low=low)
    again = by_key(count=3, low=low)
    for key, arrays in kept.items():
        assert arrays[2].tobytes() == again[key][2].tobytes()
    rows, scan = run(made.slices(), count=2, low=low)
    part = scan.prompts.sum(axis=(1, 2)) / 4e6
    np.testing.assert_allclose(part, 0.25, rtol=0.02)
    assert rows.images.low.dose == "low"


def test_scatter_and_randoms_are_drawn_for_each_realisation():
    """Randoms among the prompts and the delayed ones have one mean, and are drawn apart."""
    acquisition = AcquisitionSettings(scatter_fraction=0.3, randoms_fraction=0.2, randoms_window=5)
    job = made.job(count=30)
    low = [each.model_copy(update={"acquisition": acquisition}) for each in job.low]
    job = job.model_copy(update={"low": tuple(low)})
    _, scan = realised(job, made.slices(), made.SCANNER, CPU)
    prompt, delayed = scan.random_prompts.sum(axis=(1, 2)), scan.delayed.sum(axis=(1, 2))
    difference = (prompt - delayed).mean()
    assert abs(difference) < 4 * np.sqrt(2 * prompt.mean() / len(prompt))
    assert abs(np.corrcoef(prompt, delayed)[0, 1]) < 4 / np.sqrt(len(prompt))
    assert len({row.tobytes() for row in scan.background}) == len(scan.key)  # estimated from each


@pytest.fixture
def stored(tmp_path):
    """Two subjects as the stage writes them."""
    paths = []
    for subject in ("04", "05"):
        paths.append(tmp_path / f"{subject}.h5")
        write_record(paths[-1], made.slices(subject, 3, 7), provenance={})
    return paths


def test_the_stage_packs_all_rows_with_their_names(tmp_path, stored, on_the_cpu):
    outputs = {"dataset": [tmp_path / "data.h5"], "sinograms": [tmp_path / "a.h5", tmp_path / "b.h5"]}
    realise.run(made.job("04", "05", count=2), Files({"slices": stored}), Files(outputs))
    found = read_record(tmp_path / "data.h5", Realisations)
    assert len(found.key) == 2 * 2 * 2 * 2
    assert list(found.twins)[:3] == [
        Twin("04", 3, ABSENT), Twin("04", 3, "present"), Twin("04", 7, ABSENT),
    ]  # fmt: skip
    for twin, rows in found.twins.items():
        assert [found.key[row] for row in rows] == [
            f"{twin.subject}/z{twin.slice_index:03d}/r0/{twin.lesion_set}/n{number:03d}"
            for number in range(2)
        ]
        assert (found.truth[rows] == found.truth[rows[0]]).all()
        assert not (found.low[rows[0]] == found.low[rows[1]]).all()
    assert len(found.known_lesions) == 2 * 2 * 2
    for lesion in found.known_lesions:
        rows = found.twins[Twin(lesion.subject, lesion.slice_index, lesion.lesion_set)]
        inside = found.pet_lesions[rows[0]] == lesion.number
        assert np.argwhere(inside).mean(axis=0) == pytest.approx(lesion.centre_yx, abs=0.01)
        expected = made.WHITE * (1 + lesion.contrast)
        y, x = (round(each) for each in lesion.centre_yx)
        assert found.truth[rows[0], y, x] == pytest.approx(expected)
        assert lesion.hot == (lesion.contrast > 0)
    for path, subject in zip(outputs["sinograms"], ("04", "05"), strict=True):
        scan = read_record(path, ScannedDose)
        assert scan.key == [key for key in found.key if key.startswith(subject)]
        assert scan.dose == "low"


def test_the_stage_refuses_slices_with_lesions_and_other_subjects(tmp_path, stored, on_the_cpu):
    outputs = Files({"dataset": [tmp_path / "data.h5"]})
    with pytest.raises(InputError, match=r"subjects are \('04',\), but slices of \('04', '05'\)"):
        realise.run(made.job(), Files({"slices": stored}), outputs)
    lesions = np.ones_like(made.slices().pet_lesions)
    write_record(stored[0], replace(made.slices(), pet_lesions=lesions), provenance={})
    with pytest.raises(InputError, match=r"04\.h5: has lesions of its own"):
        realise.run(made.job(), Files({"slices": stored[:1]}), outputs)
    assert not (tmp_path / "data.h5").exists()
