"""Ids of metrics: each says enough to measure the same anew, and metrics that differ have other ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from quietpet.evaluation.comparison import HEAD, SliceImages
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.phantom.tissues import Tissue

PIXELS = 72
SIDES = (40, 56)
OWN_REGIONS = ("_only_lesions", "_only_hot_lesions", "_only_cold_lesions")


def example() -> SliceImages:
    """Two tissues in a head, a hot PET lesion, and a restoration with noise, bias, negative pixels."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2
    head = y**2 / 30**2 + x**2 / 25**2 < 1
    grey = head & (np.hypot(y, x) < 15)
    lesion = np.hypot(y - 4, x + 3) < 4
    truth = 10.0 * head + 30.0 * grey + 50.0 * lesion
    standard = ndimage.gaussian_filter(truth, 1.0)
    restored = ndimage.gaussian_filter(1.1 * truth, 1.5) + rng.normal(0, 2, truth.shape)
    labels = np.where(grey, Tissue.GREY_MATTER, np.where(head, Tissue.WHITE_MATTER, 0))
    return SliceImages(
        restored=restored,
        standard=standard,
        t1=truth,
        head=head,
        pet_lesions=lesion.astype(np.uint8),
        t1_lesions=np.zeros(truth.shape, np.uint8),
        truth=truth,
        labels=labels.astype(np.uint8),
    )


def id_of(metric: Metric, side: int = SIDES[0]) -> str:
    return metric.id(paper_window_pixels=side)


def parsed(text: str) -> tuple[str, dict[str, str]]:
    """The name, and what each key of an id is."""
    name, _, rules = text.partition(":")
    return name, dict(rule.split("=", 1) for rule in rules.split(","))


def scaled(x: np.ndarray, y: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Both images in the scaling that an id names."""
    return {
        "own_max": (x / x.max(), y / y.max()),
        "standard_max": (x / y.max(), y / y.max()),
        "units": (x, y),
    }[by]


def cut(image: np.ndarray, images: SliceImages, window: str) -> np.ndarray:
    if window == "head_box":
        rows, columns = np.flatnonzero(images.head.any(1)), np.flatnonzero(images.head.any(0))
        return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = int(window.removeprefix("central"))
    first = (PIXELS - side) // 2
    return image[first : first + side, first : first + side]


def looked_at(images: SliceImages, mask: str) -> np.ndarray:
    free = images.pet_lesions == 0
    return {
        "none": np.ones_like(images.head),
        "head": images.head,
        "grey_matter": (images.labels == 32) & free,
        "white_matter": (images.labels == 48) & free,
        "grey_and_white_matter": images.head & free,
    }[mask]


def wang_ssim(x: np.ndarray, y: np.ndarray, data_range: float, rules: dict[str, str]) -> float:
    sigma = float(rules["sigma"].removesuffix("px"))
    half = int(rules["kernel"].removeprefix("gauss")) // 2
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    taps /= taps.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            image = ndimage.correlate1d(image, taps, axis=axis)
        return image[half:-half, half:-half]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def measured_by(text: str, images: SliceImages) -> float:
    """What an id says, by other code than the project's."""
    name, rules = parsed(text)
    assert rules["mean"] == "slices"
    y = {"standard": images.standard, "truth": images.truth}[rules["ref"]]
    if "beside" in rules:
        found = [
            measured_by(text.replace("own_max", each).replace(",beside=standard_max", ""), images)
            for each in (rules["scale"], rules["beside"])
        ]
        return 100 * (found[0] - found[1]) / max(found)
    x, y = scaled(images.restored, y, rules["scale"])
    data_range = {"1": 1.0, "standard_max": images.standard.max(), "truth_max": images.truth.max()}
    span = data_range[rules["range"]]
    x, y, grey, inside = (
        cut(image, images, rules["window"])
        for image in (x, y, images.labels == 32, looked_at(images, rules["mask"]))
    )
    if name == "ssim":
        return wang_ssim(x, y, span, rules)
    error, of_mean = (x - y)[inside], 100 / y[inside].mean()
    if name == "grey_to_white_recovery_percent":
        contrast = [image[grey & inside].mean() / image[~grey & inside].mean() - 1 for image in (x, y)]
        return 100 * contrast[0] / contrast[1]
    if name.endswith("bias_percent"):
        return of_mean * error.mean()
    return {
        "psnr_db": lambda: 20 * np.log10(span) - 10 * np.log10((error**2).mean()),
        "nmse": lambda: (error**2).sum() / (y[inside] ** 2).sum(),
        "nmse_of_maximum_percent": lambda: (error**2).sum() / (y[inside] ** 2).sum(),
        "mae": lambda: np.abs(error).mean(),
        "mae_percent": lambda: of_mean * np.abs(error).mean(),
        "nrmse_percent": lambda: of_mean * (error**2).mean() ** 0.5,
    }[name]()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "metric",
    [each for each in METRICS if not each.mask.id.endswith(OWN_REGIONS)],
    ids=id_of,
)
def test_an_id_says_enough_to_measure_the_same_anew(metric: Metric, side: int) -> None:
    images = example()
    found = metric.measure(images, paper_window_pixels=side)
    assert found == pytest.approx(measured_by(id_of(metric, side), images), rel=1e-6)


def test_no_two_metrics_share_an_id_and_every_id_has_all_rules() -> None:
    ids = [id_of(metric) for metric in METRICS]
    assert len({*ids}) == len(ids)
    for text in ids:
        rules = parsed(text)[1]
        assert {"ref", "scale", "window", "range", "mask", "mean"} <= set(rules)
        assert "{" not in text


def test_the_window_of_an_id_is_that_of_the_configuration() -> None:
    metric = metric_of("nmse", "jointly_scaled")
    assert parsed(id_of(metric, 132))[1]["window"] == "central132"
    assert id_of(metric, 132) != id_of(metric, 100)
    boxed = metric_of("nmse", "quantitative")
    assert id_of(boxed, 132) == id_of(boxed, 100)


@pytest.mark.parametrize("name", ["psnr_db", "nmse"])
def test_a_mask_in_the_id_is_a_mask_in_the_value(name: str) -> None:
    """Another mask is one word of the entry: published code often masks the background."""
    images = example()
    masked = replace(metric_of(name, "quantitative"), mask=HEAD)
    assert parsed(id_of(masked))[1]["mask"] == "head"
    assert masked.measure(images, paper_window_pixels=40) == pytest.approx(
        measured_by(id_of(masked), images)
    )
    outside = np.where(images.head, images.restored, 99.0)
    assert masked.measure(replace(images, restored=outside), paper_window_pixels=40) == pytest.approx(
        masked.measure(images, paper_window_pixels=40)
    )
