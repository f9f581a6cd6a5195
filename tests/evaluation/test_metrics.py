"""Metrics against closed forms, an independent SSIM, and the invariances that part the variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from quietpet.errors import InputError
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE, SliceImages, central_window, head_box
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import (
    METRICS,
    bias_percent,
    mae,
    mae_percent,
    metric_of,
    nmse,
    nrmse_percent,
    psnr_db,
    ssim,
)
from quietpet.phantom.tissues import Tissue

PIXELS = 64
WINDOW_PIXELS = 40


def example(seed: int = 0) -> SliceImages:
    """A smooth disc with a noisy restoration, lesion-free."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2
    head = y**2 / 18**2 + x**2 / 14**2 < 1
    truth = (head * (2.0 + np.sin(x / 3.0) + np.cos(y / 4.0))).astype(np.float32)
    standard = ndimage.gaussian_filter(truth, 0.5)
    restored = ndimage.gaussian_filter(standard + rng.normal(0, 0.3, standard.shape), 1.0)
    none = np.zeros_like(head, dtype=np.uint8)
    tissues = np.where(truth > 2, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    return SliceImages(
        restored=restored.astype(np.float32),
        standard=standard,
        t1=standard,
        head=head,
        pet_lesions=none,
        t1_lesions=none,
        truth=truth,
        labels=(head * tissues).astype(np.uint8),
    )


def value(metric: Metric, images: SliceImages) -> float:
    return metric.measure(images, paper_window_pixels=WINDOW_PIXELS)


def of_variant(name: str) -> list[Metric]:
    return [metric for metric in METRICS if metric.variant.name == name and "_only_" not in metric.name]


def identifier(metric: Metric) -> str:
    return f"{metric.name}-{metric.variant.name}"


def test_registry_names_every_metric_once_and_has_the_three_in_all_variants() -> None:
    names = [(metric.name, metric.variant.name) for metric in METRICS]
    assert len(set(names)) == len(names)
    for variant in ("paper", "jointly_scaled", "quantitative"):
        assert {(name, variant) for name in ("psnr_db", "ssim", "nmse")} <= set(names)


def test_constant_offset_gives_the_closed_forms() -> None:
    images = example()
    offset = 0.1
    shifted = replace(images, restored=images.standard + np.float32(offset))
    peak = float(images.standard.max())
    assert psnr_db(shifted, peak) == pytest.approx(20 * np.log10(peak / offset), abs=1e-4)
    energy = np.sum(images.standard.astype(float) ** 2)
    assert nmse(shifted, peak) == pytest.approx(offset**2 * PIXELS**2 / energy, rel=1e-5)
    inside = images.standard[images.head].mean()
    of_head = replace(shifted, inside=images.head)
    for function in (bias_percent, mae_percent, nrmse_percent):
        assert function(of_head, peak) == pytest.approx(100 * offset / inside, rel=1e-4)
    assert mae(shifted, peak) == pytest.approx(offset, rel=1e-4)


def wang_ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> float:
    """Eq. 13 of Wang et al. 2004, with the 11 x 11 window written out and no padding."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            image = ndimage.correlate1d(image, taps, axis=axis, mode="constant")
        return image[5:-5, 5:-5]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(index.mean())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("data_range", [1.0, 3.7])
def test_ssim_equals_an_independent_implementation(seed: int, data_range: float) -> None:
    images = example(seed)
    expected = wang_ssim(images.restored.astype(float), images.standard.astype(float), data_range)
    assert ssim(images, data_range) == pytest.approx(expected, abs=1e-9)


def test_identical_images_are_perfect() -> None:
    images = replace(example(), restored=example().standard)
    assert psnr_db(images, 1.0) == np.inf
    assert ssim(images, 1.0) == pytest.approx(1.0)
    assert nmse(images, 1.0) == 0.0
    assert bias_percent(images, 1.0) == 0.0


@pytest.mark.parametrize(
    "metric", [each for each in of_variant("paper") if each.beside is None], ids=identifier
)
def test_paper_variant_ignores_the_scale_of_either_image(metric: Metric) -> None:
    images = example()
    scaled = replace(images, restored=images.restored * 7, standard=images.standard * 0.2)
    assert value(metric, scaled) == pytest.approx(value(metric, images), rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [metric for name in ("jointly_scaled", "quantitative", "truth") for metric in of_variant(name)],
    ids=identifier,
)
def test_other_variants_ignore_the_unit_but_not_a_wrong_scale(metric: Metric) -> None:
    images = example()
    common = replace(
        images, restored=images.restored * 7, standard=images.standard * 7, truth=images.truth * 7
    )
    assert value(metric, common) == pytest.approx(value(metric, images), rel=1e-5)
    wrong = replace(images, restored=images.restored * 1.2)
    changes = value(metric, wrong) != pytest.approx(value(metric, images), rel=1e-2)
    assert changes == (metric.name != "grey_to_white_recovery_percent"), "a ratio of two regions"


def test_paper_variant_is_psnr_of_the_normalised_centre() -> None:
    images = example()
    centre = np.s_[12:52, 12:52]
    x = images.restored[centre].astype(float) / images.restored.max()
    y = images.standard[centre].astype(float) / images.standard.max()
    expected = -10 * np.log10(np.mean((x - y) ** 2))
    assert value(metric_of("psnr_db", "paper"), images) == pytest.approx(expected, rel=1e-6)


def of_maximum(images: SliceImages) -> float:
    return value(metric_of("nmse_of_maximum_percent", "paper"), images)


@pytest.mark.parametrize("factor", [1.1, 1.5, 3.0])
def test_one_hot_pixel_makes_nearly_all_of_the_nmse_of_images_divided_by_their_maxima(factor) -> None:
    """A perfect restoration but for its maximum, by which every other pixel is then too dark.

    y but for one pixel p = max y, which is f p. Divided by f p every other pixel errs by (1 - 1/f) of
    itself, and that one by nothing; divided by p, that one alone errs, by (f - 1) p.
    """
    images = example()
    y = images.standard.astype(float)
    peak, energy = y.max() ** 2, (y**2).sum()
    restored = y.copy()
    restored[np.unravel_index(y.argmax(), y.shape)] *= factor
    own = (1 - 1 / factor) ** 2 * (1 - peak / energy)
    joint = (factor - 1) ** 2 * peak / energy
    changed = replace(images, restored=restored)
    assert value(metric_of("nmse", "paper"), changed) == pytest.approx(own)
    assert value(metric_of("nmse", "jointly_scaled"), changed) == pytest.approx(joint)
    assert of_maximum(changed) == pytest.approx(100 * (1 - joint / own))
    assert of_maximum(changed) > 95


def test_noise_that_leaves_the_maximum_makes_none_of_it() -> None:
    """Whatever the NMSE: both images are divided by one number."""
    images = example()
    y = images.standard.astype(float)
    noise = np.where(y == y.max(), 0.0, np.random.default_rng(1).normal(0, 0.2, y.shape))
    noisy = replace(images, restored=np.minimum(y + noise, y.max()))
    assert value(metric_of("nmse", "paper"), noisy) > 0.005
    assert of_maximum(noisy) == 0.0


def test_the_share_of_the_maximum_stays_within_a_hundred_percent() -> None:
    """A wrong scale is hidden wholly by own maxima; of no error there is no share."""
    images = example()
    assert of_maximum(replace(images, restored=2 * images.standard)) == pytest.approx(-100.0)
    assert np.isnan(of_maximum(replace(images, restored=images.standard)))


def test_windows() -> None:
    images = example()
    assert central_window(images, WINDOW_PIXELS) == np.s_[12:52, 12:52]
    box = images.head[head_box(images, WINDOW_PIXELS)]
    assert box.sum() == images.head.sum()
    assert all(edge.any() for edge in (box[0], box[-1], box[:, 0], box[:, -1]))


def outside(images: SliceImages, metric: Metric) -> np.ndarray:
    mask = np.ones(images.head.shape, dtype=bool)
    mask[metric.variant.window(images, WINDOW_PIXELS)] = False
    return mask


@pytest.mark.parametrize("metric", METRICS, ids=identifier)
def test_what_lies_outside_the_window_does_not_count(metric: Metric) -> None:
    images = example()
    changed = images.restored.copy()
    changed[outside(images, metric)] += 0.01
    assert value(metric, replace(images, restored=changed)) == pytest.approx(
        value(metric, images), nan_ok=True
    )


def test_negative_pixels_change_no_data_range() -> None:
    images = example()
    restored = images.restored.copy()
    restored[32, 32] = -0.5
    peak = QUANTITATIVE.data_range(images)
    assert QUANTITATIVE.data_range(replace(images, restored=restored)) == peak
    assert PAPER.data_range(replace(images, restored=restored)) == 1.0
    assert all(
        np.isfinite(value(metric, replace(images, restored=-restored))) for metric in of_variant("paper")
    )


def test_an_all_zero_restoration_is_scored() -> None:
    images = replace(example(), restored=np.zeros((PIXELS, PIXELS), dtype=np.float32))
    by_name = {identifier(metric): value(metric, images) for metric in METRICS}
    assert by_name["nmse-paper"] == by_name["nmse-quantitative"] == pytest.approx(1.0)
    assert by_name["bias_percent-quantitative"] == pytest.approx(-100.0)


def no_head(images: SliceImages) -> SliceImages:
    return replace(images, head=np.zeros_like(images.head))


def no_uptake(images: SliceImages) -> SliceImages:
    return replace(images, standard=np.zeros_like(images.standard))


def cut(images: SliceImages) -> SliceImages:
    return images.cropped(np.s_[:20, :20])


@pytest.mark.parametrize(
    ("spoil", "metric", "message"),
    [
        (no_head, metric_of("psnr_db", "quantitative"), "head mask is empty"),
        (no_head, metric_of("bias_percent", "paper"), "head mask is empty"),
        (no_uptake, metric_of("psnr_db", "quantitative"), "no positive pixel"),
        (no_uptake, metric_of("psnr_db", "jointly_scaled"), "no positive pixel"),
        (no_uptake, metric_of("nmse", "paper"), "zero everywhere"),
        (no_uptake, metric_of("bias_percent", "paper"), "has the mean 0 in its mask"),
        (cut, metric_of("psnr_db", "paper"), "larger than the image"),
    ],
)
def test_unusable_slices_are_refused(
    spoil: Callable[[SliceImages], SliceImages], metric: Metric, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        value(metric, spoil(example()))
