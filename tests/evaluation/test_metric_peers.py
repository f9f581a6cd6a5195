"""Metrics against scikit-image, MONAI and torchmetrics on the same arrays, and the traps of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.metrics import PSNRMetric, SSIMMetric
from scipy import ndimage
from skimage import metrics as peers

from quietpet.evaluation.comparison import HEAD, VARIANTS, SliceImages, Variant
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import mae, metric_of

SIDE = 48


def example(seed: int = 0) -> SliceImages:
    """A head of smooth activity up to 90, and a restoration of it with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] - 32.0
    head = y**2 / 26**2 + x**2 / 22**2 < 1
    standard = head * (50.0 + 25 * np.sin(x / 5) + 15 * np.cos(y / 6))
    restored = ndimage.gaussian_filter(standard + rng.normal(0, 8, standard.shape), 0.8)
    none = np.zeros(head.shape, np.uint8)
    return SliceImages(
        restored=np.clip(restored, 0, None),
        standard=standard,
        t1=None,
        head=head,
        pet_lesions=none,
        t1_lesions=none,
    )


def value(name: str, variant: str, images: SliceImages) -> float:
    return metric_of(name, variant).measure(images, paper_window_pixels=SIDE)


def seen(variant: Variant, images: SliceImages) -> tuple[np.ndarray, np.ndarray, float]:
    """The arrays that the variant compares, and their data range."""
    view = variant.view(images, paper_window_pixels=SIDE)
    return view.images.restored, view.images.standard, view.data_range


def tensors(*images: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(image)[None, None] for image in images]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_values_are_those_of_scikit_image(variant: Variant, seed: int) -> None:
    images = example(seed)
    x, y, span = seen(variant, images)
    assert value("psnr_db", variant.name, images) == pytest.approx(
        peers.peak_signal_noise_ratio(y, x, data_range=span)
    )
    assert value("nmse", variant.name, images) == pytest.approx(
        peers.normalized_root_mse(y, x, normalization="euclidean") ** 2
    )
    assert value("ssim", variant.name, images) == pytest.approx(
        peers.structural_similarity(
            y, x, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def test_nrmse_is_that_of_scikit_image_inside_the_head() -> None:
    images = example()
    x, y = (image[images.head] for image in (images.restored, images.standard))
    assert value("nrmse_percent", "quantitative", images) == pytest.approx(
        100 * peers.normalized_root_mse(y, x, normalization="mean")
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_values_are_those_of_monai(variant: Variant) -> None:
    images = example()
    x, y, span = seen(variant, images)
    found, wanted = tensors(x, y)
    assert value("psnr_db", variant.name, images) == pytest.approx(
        PSNRMetric(max_val=span)(found, wanted).item()
    )
    ssim = SSIMMetric(spatial_dims=2, data_range=span, win_size=11, kernel_sigma=1.5)
    assert value("ssim", variant.name, images) == pytest.approx(ssim(found, wanted).item(), abs=1e-5)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_values_are_those_of_torchmetrics(variant: Variant) -> None:
    functional = pytest.importorskip("torchmetrics.functional", reason="torchmetrics is not installed")
    images = example()
    x, y, span = seen(variant, images)
    found, wanted = tensors(x, y)
    assert value("psnr_db", variant.name, images) == pytest.approx(
        functional.image.peak_signal_noise_ratio(found, wanted, data_range=span).item()
    )
    whole, each_pixel = functional.image.structural_similarity_index_measure(
        found, wanted, data_range=span, return_full_image=True
    )
    # Its mean counts pixels whose window leaves the image, where it is mirrored (torchmetrics 1.9).
    ours, inner = value("ssim", variant.name, images), each_pixel[..., 5:-5, 5:-5]
    assert ours == pytest.approx(inner.mean().item())
    assert ours != pytest.approx(whole.item(), abs=0.01)
    # Its l2 norm is of the sum of squares, beside a mean square error.
    nrmse = functional.normalized_root_mean_squared_error(
        found.flatten(), wanted.flatten(), normalization="l2"
    )
    assert value("nmse", variant.name, images) == pytest.approx(nrmse.item() ** 2 * x.size)
    view = variant.view(images, paper_window_pixels=SIDE)
    error = functional.mean_absolute_error(found.flatten(), wanted.flatten())
    assert mae(view.images, span) == pytest.approx(error.item())


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_a_slightly_negative_pixel_moves_no_psnr(variant: Variant) -> None:
    """A data range that is inferred from images of floats is 1, and 2 if one is negative: 6 dB."""
    images = example()
    negative = images.restored.copy()
    negative[0, 0] = -1e-3
    below = replace(images, restored=negative)
    for name in ("psnr_db", "ssim"):
        before = value(name, variant.name, images)
        assert value(name, variant.name, below) == pytest.approx(before, rel=1e-4)


def test_the_trap_of_a_missing_data_range_is_real() -> None:
    """scikit-image without a data range, images within [0, 1], one pixel of the first below 0."""
    x, y, _ = seen(VARIANTS[0], example())
    below = y.copy()
    below[0, 0] = -1e-6
    gained = peers.peak_signal_noise_ratio(below, x) - peers.peak_signal_noise_ratio(y, x)
    assert gained == pytest.approx(20 * np.log10(2), abs=1e-3)


@pytest.mark.parametrize("variant", ["jointly_scaled", "quantitative"])
def test_a_hot_pixel_of_the_restored_image_widens_no_data_range(variant: str) -> None:
    """The range of both images together grows with the worse one, which then looks better."""
    images = example()
    hot = images.restored.copy()
    hot[32, 32] = 3 * images.standard.max()
    changed = replace(images, restored=hot)
    assert value("psnr_db", variant, changed) < value("psnr_db", variant, images)


def test_values_are_of_each_slice_and_not_of_all_pixels_at_once() -> None:
    """The mean of PSNR over slices is not the PSNR of the mean error, nor is that of NMSE."""
    slices = [example(1), replace(example(2), restored=0.5 * example(2).restored)]
    for name in ("psnr_db", "nmse"):
        of_each = np.mean([value(name, "quantitative", images) for images in slices])
        joined = replace(
            slices[0],
            **{
                field: np.concatenate([getattr(images, field) for images in slices])
                for field in ("restored", "standard", "head", "pet_lesions", "t1_lesions")
            },
        )
        at_once = metric_of(name, "quantitative").measure(joined, paper_window_pixels=SIDE)
        assert of_each != pytest.approx(at_once, rel=1e-3)
        assert "mean=slices" in metric_of(name, "quantitative").id(paper_window_pixels=SIDE)


def test_background_counts_unless_a_mask_says_otherwise() -> None:
    """Pixels of 0 dilute a mean square error: some published code masks, then averages over all."""
    images = example()
    padded = SliceImages(
        **{name: None if image is None else np.pad(image, 20) for name, image in vars(images).items()}
    )
    whole = metric_of("psnr_db", "jointly_scaled")
    masked: Metric = replace(whole, mask=HEAD)
    wide, near = (
        [metric.measure(padded, paper_window_pixels=side) for side in (104, 64)]
        for metric in (whole, masked)
    )
    assert wide[0] > wide[1] + 3
    assert near[0] == pytest.approx(near[1])


def test_the_jointly_scaled_variant_parts_scaling_from_window() -> None:
    """Its NMSE is that of `quantitative` where nothing lies outside the head, whatever the maxima."""
    images = example()
    inside = replace(images, restored=1.3 * images.restored * images.head)
    joint, units, own = (
        value("nmse", name, inside) for name in ("jointly_scaled", "quantitative", "paper")
    )
    whole = metric_of("nmse", "jointly_scaled").measure(inside, paper_window_pixels=64)
    assert whole == pytest.approx(units)
    assert own < joint
    spread = 10 * np.log10(64**2 / images.head.any(0).sum() / images.head.any(1).sum())
    psnr = metric_of("psnr_db", "jointly_scaled").measure(inside, paper_window_pixels=64)
    assert psnr - value("psnr_db", "quantitative", inside) == pytest.approx(spread)


def test_an_offset_is_an_error_in_every_variant() -> None:
    """Images that are each stretched from their minimum to their maximum hide scale and offset both."""
    images = example()
    inside = images.standard[images.head].mean()
    shifted = replace(images, restored=images.standard + 0.1 * inside)
    stretched = [
        (image - image.min()) / (image.max() - image.min())
        for image in (shifted.restored, shifted.standard)
    ]
    assert np.abs(stretched[0] - stretched[1]).max() < 1e-12
    for variant in VARIANTS:
        assert value("nmse", variant.name, shifted) > 1e-3
    assert value("bias_percent", "quantitative", shifted) == pytest.approx(10.0)


@pytest.mark.parametrize("variant", ["paper", "jointly_scaled", "quantitative"])
def test_activity_where_the_standard_dose_has_none_is_an_error(variant: str) -> None:
    """Setting the restored image to 0 wherever the standard dose is 0 would hide it."""
    images = example()
    corner = np.zeros_like(images.head)
    corner[8:14, 10:16] = True
    assert not images.standard[corner].any()
    invented = replace(images, restored=np.where(corner, 30.0, images.standard))
    assert value("nmse", variant, invented) > 0.003


def test_ssim_is_not_that_of_a_uniform_window() -> None:
    """scikit-image's default is 7 x 7 pixels of equal weight: another number of the same images."""
    images = example()
    x, y, span = seen(VARIANTS[1], images)
    uniform = peers.structural_similarity(y, x, data_range=span)
    assert abs(value("ssim", "jointly_scaled", images) - uniform) > 0.005
