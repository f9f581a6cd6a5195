"""Counts, activity and noise of dynamic scans of a uniform cylinder."""

from __future__ import annotations

import numpy as np
import pytest
from heads import cylinder

from quietpet.acquisition.dose import decaying_minutes
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinScanSettings
from quietpet.standin import scan as module
from quietpet.standin.anatomy import CLASSES, attenuation_slices, tissue_fractions
from quietpet.standin.scan import Frame, head_in_scanner, measured_frames, standin_grid

SCANNER = ScannerSettings(model="small_test", image_pixels=64, efficiency_spread=0.2)
SCAN = StandinScanSettings(psf_fwhm_mm=6.0, post_fwhm_mm=9.0, subsets=7)
GRID = standin_grid(SCANNER, axial_step=2)
GREY = CLASSES.index("grey_matter")


def cylinder_in_scanner(scan):
    volume = cylinder()
    return head_in_scanner(
        tissue_fractions(volume, grid=GRID),
        attenuation_slices(volume, values=PhantomSettings().mu_per_cm, grid=GRID),
        grid=GRID,
        scanner=SCANNER,
        scan=scan,
        rng=np.random.default_rng(0),
    )


def frame(minutes, *, kbq_per_ml=10.0, body_mbq=100.0):
    """Grey matter of constant activity, without decay."""
    decays = np.zeros(len(CLASSES))
    decays[GREY] = kbq_per_ml * minutes
    return Frame(decays=decays, weight_minutes=minutes, body_mbq=body_mbq)


def images(scanner, frames, scan=SCAN, *, name="noise"):
    def generator_of(number):
        return np.random.default_rng([*name.encode(), number])

    return [image for image, _ in measured_frames(scanner, frames, scan=scan, generator_of=generator_of)]


def inside(image):
    """Pixels 40 mm and less from the axis, in the slices away from the ends."""
    return image[2:-2, GRID.within_radius(40.0)]


@pytest.fixture(scope="module")
def scanner():
    return cylinder_in_scanner(SCAN)


def test_expected_counts_are_sensitivity_times_activity_times_attenuation(scanner):
    """On the axis of a source without attenuation: cps per kBq in the slice."""
    volume = cylinder()
    air = np.full(GRID.shape, 1e-9, np.float32)
    free = head_in_scanner(
        tissue_fractions(volume, grid=GRID),
        air,
        grid=GRID,
        scanner=SCANNER,
        scan=SCAN.model_copy(update={"scatter_fraction": 0.0}),
        rng=np.random.default_rng(0),
    )
    expected, background = free.expected(frame(1.0), randoms_fraction=0.0)
    assert not background.any()
    slice_kbq = 10.0 * np.pi * 8.0**2 * GRID.slice_mm / 10
    per_slice = expected.sum(axis=(1, 2))
    # The sensitivity is that of a source on the axis; it rises a little towards the edge.
    mean = per_slice.mean() / (60.0 * slice_kbq)
    assert mean == pytest.approx(SCAN.sensitivity_cps_per_kbq, rel=0.07)
    # Rings 3.5, 2.5, 1.5 and 0.5 ring spacings from the middle of eight see nearly 1 : 3 : 5 : 7 lines.
    np.testing.assert_allclose(per_slice, per_slice[::-1], rtol=1e-4)
    np.testing.assert_allclose(per_slice[:4] / per_slice[0], [1, 3, 5, 7], rtol=0.02)
    attenuated, _ = scanner.expected(frame(1.0), randoms_fraction=0.0)
    assert attenuated.sum() < 0.5 * expected.sum()


def test_scatter_and_randoms_are_the_asked_for_parts(scanner):
    expected, background = scanner.expected(frame(1.0), randoms_fraction=0.1)
    seen = scanner.randoms_shape > 0
    total, trues = expected[seen].sum(), (expected - background)[seen].sum()
    scattered = trues * SCAN.scatter_fraction / (1 - SCAN.scatter_fraction)
    assert (trues + scattered) / total == pytest.approx(0.9, rel=1e-3)
    # Randoms go with the square of the activity, and only they depend on what is in the body.
    _, twice = scanner.expected(frame(1.0, body_mbq=200.0), randoms_fraction=0.1)
    randoms = (twice - background)[seen].sum()
    assert randoms == pytest.approx(0.1 * total, rel=1e-3)


def test_images_show_the_true_activity():
    """Mean over a uniform region within 1 %, with attenuation, scatter, randoms and decay at work."""
    rich = SCAN.model_copy(update={"sensitivity_cps_per_kbq": 3000.0, "iterations": 8})
    minutes = decaying_minutes(30.0, half_life_minutes=109.77)
    decayed = Frame(
        decays=frame(minutes).decays * 2.0 ** (-40 / 109.77),
        weight_minutes=minutes * 2.0 ** (-40 / 109.77),
        body_mbq=100.0,
    )
    (image,) = images(cylinder_in_scanner(rich), [decayed], rich)
    assert inside(image).mean() == pytest.approx(10.0, rel=0.01)


def test_data_of_finer_pixels_show_the_true_activity_too():
    """The model's grid holds every second pixel; activity within 1.5 %, other data."""
    finer = SCANNER.model_copy(update={"data": "finer"})
    fine, volume = GRID.refined(2), cylinder()
    rich = SCAN.model_copy(update={"sensitivity_cps_per_kbq": 3000.0, "iterations": 8})
    measured = head_in_scanner(
        tissue_fractions(volume, grid=fine),
        attenuation_slices(volume, values=PhantomSettings().mu_per_cm, grid=fine),
        grid=GRID,
        scanner=finer,
        scan=rich,
        rng=np.random.default_rng(0),
    )
    same = cylinder_in_scanner(rich)
    assert measured.trues.shape == same.trues.shape
    np.testing.assert_array_equal(measured.sensitivity, same.sensitivity)
    assert measured.trues.sum() == pytest.approx(same.trues.sum(), rel=0.02)
    assert np.abs(measured.trues - same.trues).max() > 0.01 * same.trues.max()
    (image,) = images(measured, [frame(30.0)], rich)
    assert inside(image).mean() == pytest.approx(10.0, rel=0.015)


def test_few_counts_do_not_bias_a_uniform_region(scanner):
    shown = images(scanner, [frame(16 / 60)] * 30)
    assert np.mean([inside(image).mean() for image in shown]) == pytest.approx(10.0, rel=0.02)


def test_noise_falls_with_the_length_of_the_frame(scanner):
    """Variances of 16 s and 30 min are 112.5 apart, as their counts."""

    def variance(seconds):
        shown = images(scanner, [frame(seconds / 60)] * 8)
        return np.var([inside(image) for image in shown], axis=0, ddof=1).mean()

    assert variance(16) / variance(1800) == pytest.approx(112.5, rel=0.15)


def test_prompts_are_poisson(scanner):
    one = frame(16 / 60)
    expected, _ = scanner.expected(one, randoms_fraction=SCAN.randoms_fraction)
    counts = [
        prompts
        for _, prompts in measured_frames(
            scanner,
            [one] * 60,
            scan=SCAN.model_copy(update={"iterations": 1, "subsets": 1}),
            generator_of=np.random.default_rng,
        )
    ]
    total = float(expected.sum())
    assert np.mean(counts) == pytest.approx(total, abs=4 * np.sqrt(total / 60))
    assert 0.5 < np.var(counts) / total < 1.8  # +- 3 standard errors


def test_a_frame_is_the_same_whatever_else_is_computed(scanner, monkeypatch):
    frames = [frame(16 / 60, kbq_per_ml=activity) for activity in (5.0, 10.0, 20.0, 10.0)]
    together = images(scanner, frames)
    monkeypatch.setattr(module, "LANES_PER_BATCH", 1)
    for one_by_one, batched in zip(images(scanner, frames), together, strict=True):
        np.testing.assert_allclose(one_by_one, batched, rtol=1e-4, atol=1e-4)
    assert np.abs(together[1] - together[3]).max() > 1.0  # equal frames, other noise


def test_slices_without_head_stay_empty():
    """Slices beyond the head hold nothing but what the filter carries over."""
    fractions = tissue_fractions(cylinder(), grid=GRID)
    mu = attenuation_slices(cylinder(), values=PhantomSettings().mu_per_cm, grid=GRID)
    fractions[:, :4] = 0
    mu[:4] = 0
    sharp = SCAN.model_copy(update={"post_fwhm_mm": 0.0})
    scanner = head_in_scanner(
        fractions, mu, grid=GRID, scanner=SCANNER, scan=sharp, rng=np.random.default_rng(0)
    )
    assert scanner.rows.tolist() == list(range(4, GRID.n_slices))
    (image,) = images(scanner, [frame(1.0)], sharp)
    assert not image[:4].any()
    assert image[4].any()
