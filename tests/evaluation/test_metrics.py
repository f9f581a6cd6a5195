"""Metrics against closed forms, an independent SSIM, and the invariances that part the variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from quietpet.errors import InputError
from quietpet.evaluation.comparison import (
    PAPER,
    QUANTITATIVE,
    SliceImages,
    central_window,
    head_box,
)
from quietpet.evaluation.metrics import (
    METRICS,
    Metric,
    bias_percent,
    nmse,
    nmse_best_scale,
    psnr_db,
    ssim,
)

PIXELS = 64
WINDOW_PIXELS = 40


def example(seed: int = 0) -> SliceImages:
    """A smooth disc with a noisy restoration, lesion-free."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2
    head = y**2 / 18**2 + x**2 / 14**2 < 1
    standard = (head * (2.0 + np.sin(x / 3.0) + np.cos(y / 4.0))).astype(np.float32)
    restored = ndimage.gaussian_filter(standard + rng.normal(0, 0.3, standard.shape), 1.0)
    none = np.zeros_like(head, dtype=np.uint8)
    return SliceImages(
        restored=restored.astype(np.float32),
        standard=standard,
        t1=standard,
        head=head,
        pet_lesions=none,
        t1_lesions=none,
    )


def value(metric: Metric, images: SliceImages) -> float:
    return metric.measure(images, paper_window_pixels=WINDOW_PIXELS)


def of_variant(name: str) -> list[Metric]:
    return [metric for metric in METRICS if metric.variant.name == name and "_only_" not in metric.name]


def identifier(metric: Metric) -> str:
    return f"{metric.name}-{metric.variant.name}"


def test_registry_names_every_metric_once_and_has_the_three_in_both_variants() -> None:
    names = [(metric.name, metric.variant.name) for metric in METRICS]
    assert len(set(names)) == len(names)
    for variant in ("paper", "quantitative"):
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
    assert bias_percent(shifted, peak) == pytest.approx(100 * offset / inside, rel=1e-4)


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


@pytest.mark.parametrize("metric", of_variant("paper"), ids=identifier)
def test_paper_variant_ignores_the_scale_of_either_image(metric: Metric) -> None:
    images = example()
    scaled = replace(images, restored=images.restored * 7, standard=images.standard * 0.2)
    assert value(metric, scaled) == pytest.approx(value(metric, images), rel=1e-5)


@pytest.mark.parametrize("metric", of_variant("quantitative"), ids=identifier)
def test_quantitative_variant_ignores_the_unit_but_not_a_wrong_scale(metric: Metric) -> None:
    images = example()
    common = replace(images, restored=images.restored * 7, standard=images.standard * 7)
    assert value(metric, common) == pytest.approx(value(metric, images), rel=1e-5)
    wrong = replace(images, restored=images.restored * 1.2)
    assert value(metric, wrong) != pytest.approx(value(metric, images), rel=1e-2)


def test_paper_variant_is_psnr_of_the_normalised_centre() -> None:
    images = example()
    centre = np.s_[12:52, 12:52]
    x = images.restored[centre].astype(float) / images.restored.max()
    y = images.standard[centre].astype(float) / images.standard.max()
    expected = -10 * np.log10(np.mean((x - y) ** 2))
    assert value(METRICS[0], images) == pytest.approx(expected, rel=1e-6)


def test_one_hot_pixel_is_all_of_the_nmse_of_images_divided_by_their_maxima() -> None:
    """A perfect restoration but for its maximum, by which every other pixel is then too dark."""
    images = example()
    restored = images.standard.copy()
    restored[np.unravel_index(restored.argmax(), restored.shape)] *= 1.5
    found = {metric.name: value(metric, replace(images, restored=restored)) for metric in METRICS[:4]}
    assert found["nmse"] == pytest.approx((1 - 1 / 1.5) ** 2, rel=0.02)
    assert found["nmse_best_scale"] < 0.02 * found["nmse"]


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_best_scale_is_that_of_least_nmse(factor: float) -> None:
    images = example()
    scaled = replace(images, restored=factor * images.restored)
    factors = np.linspace(0.2, 5, 20001) / factor
    x, y = (image.astype(float).ravel() for image in (scaled.restored, scaled.standard))
    least = min(y @ y - 2 * a * (x @ y) + a**2 * (x @ x) for a in factors) / (y @ y)
    assert nmse_best_scale(scaled, 1.0) == pytest.approx(least, abs=1e-7)
    perfect = replace(images, restored=images.standard * np.float32(factor))
    assert nmse_best_scale(perfect, 1.0) == pytest.approx(0.0, abs=1e-12)
    assert nmse_best_scale(replace(images, restored=0 * images.restored), 1.0) == 1.0


@pytest.mark.parametrize("s", [0.01, 0.1, 1.0])
def test_noise_alone_has_less_nmse_at_the_best_scale_without_any_fault_of_units(s: float) -> None:
    """y + n, n orthogonal to y and of NMSE s: the least of |a (y + n) - y|^2 / |y|^2 is s / (1 + s)."""
    y = example().standard.astype(float)
    n = np.random.default_rng(1).normal(size=y.shape)
    n -= (n * y).sum() / (y * y).sum() * y
    n *= (s * (y * y).sum() / (n * n).sum()) ** 0.5
    images = replace(example(), standard=y, restored=y + n)
    assert nmse(images, 1.0) == pytest.approx(s)
    assert nmse_best_scale(images, 1.0) == pytest.approx(s / (1 + s))


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
        (no_head, METRICS[4], "head mask is empty"),
        (no_uptake, METRICS[4], "no positive pixel"),
        (no_uptake, METRICS[2], "zero everywhere"),
        (cut, METRICS[0], "larger than the image"),
    ],
)
def test_unusable_slices_are_refused(
    spoil: Callable[[SliceImages], SliceImages], metric: Metric, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        value(metric, spoil(example()))
