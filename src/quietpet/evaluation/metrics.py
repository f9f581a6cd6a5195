"""Image-quality metrics of one slice, and the registry of those that are reported.

Adding a metric is one entry of :data:`METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from skimage.metrics import structural_similarity

from quietpet.errors import InputError
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE, SliceImages, Variant
from quietpet.evaluation.lesions import (
    pet_only_cold_percent,
    pet_only_contrast_percent,
    pet_only_hot_percent,
    t1_only_cold_percent,
    t1_only_hot_percent,
    t1_only_rms_percent,
)

SSIM_SIGMA_PIXELS = 1.5
SSIM_WINDOW_PIXELS = 11


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A function of (images, data range) and the variant that fixes its scaling, window and range.

    ``needs`` are fields of SliceImages that not all data have; without one of them the metric is
    undefined. ``digits`` are those behind the decimal point on the page.
    """

    name: str
    label: str
    function: Callable[[SliceImages, float], float]
    variant: Variant
    needs: tuple[Literal["truth", "labels"], ...] = ()
    digits: int = 2

    def measure(self, images: SliceImages, *, paper_window_pixels: int) -> float:
        """Value for one whole slice; NaN where the metric is undefined (no lesion, for one)."""
        if any(getattr(images, name) is None for name in self.needs):
            return np.nan
        scaled = self.variant.scale(images)
        data_range = self.variant.data_range(scaled)
        return self.function(
            scaled.cropped(self.variant.window(scaled, paper_window_pixels)), data_range
        )


def psnr_db(images: SliceImages, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(range^2 / mean squared error) [dB]; inf if identical."""
    mean_squared_error = np.mean(_difference(images) ** 2)
    if mean_squared_error == 0:
        return np.inf
    return float(10.0 * np.log10(data_range**2 / mean_squared_error))


def ssim(images: SliceImages, data_range: float) -> float:
    """Structural similarity with an 11 x 11 Gaussian window of sigma 1.5 pixels.

    Wang et al., IEEE Trans Image Process 2004;13:600, with K1 = 0.01 and K2 = 0.03, averaged over the
    pixels whose window lies inside the image.
    """
    if min(images.standard.shape) < SSIM_WINDOW_PIXELS:
        raise InputError(
            f"SSIM needs a window of at least {SSIM_WINDOW_PIXELS} pixels, got {images.standard.shape}."
        )
    return float(
        structural_similarity(
            images.standard.astype(np.float64),
            images.restored.astype(np.float64),
            data_range=data_range,
            gaussian_weights=True,
            sigma=SSIM_SIGMA_PIXELS,
            use_sample_covariance=False,
            win_size=SSIM_WINDOW_PIXELS,
        )
    )


def nmse(images: SliceImages, _data_range: float) -> float:
    """Normalised mean square error, sum (x - y)^2 / sum y^2, y the standard dose."""
    energy = np.sum(images.standard.astype(np.float64) ** 2)
    if energy == 0:
        raise InputError("the standard-dose slice is zero everywhere in the window.")
    return float(np.sum(_difference(images) ** 2) / energy)


def nmse_best_scale(images: SliceImages, _data_range: float) -> float:
    """NMSE of the restored image times the factor that makes it least, 1 - (x.y)^2 / (x.x y.y).

    x is the restored image, y the standard dose. Where images are divided by their own maxima, what the
    NMSE has above this is at most what those two pixels cost: the best factor also shrinks noise. Noise
    of NMSE s that is orthogonal to y has s / (1 + s).
    """
    restored, standard = (image.astype(np.float64) for image in (images.restored, images.standard))
    energies = np.sum(restored**2) * np.sum(standard**2)
    if energies == 0:
        return nmse(images, _data_range)
    return float(np.clip(1.0 - np.sum(restored * standard) ** 2 / energies, 0.0, None))


def bias_percent(images: SliceImages, _data_range: float) -> float:
    """Error of the mean inside the head, relative to the standard dose [%]."""
    expected = images.standard[images.head].mean(dtype=np.float64)
    if expected <= 0:
        raise InputError(f"the standard dose has the mean {expected:g} inside the head.")
    return float(100.0 * (images.restored[images.head].mean(dtype=np.float64) / expected - 1.0))


METRICS = (
    Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=PAPER),
    Metric(name="ssim", label="SSIM", function=ssim, variant=PAPER, digits=3),
    Metric(name="nmse", label="NMSE", function=nmse, variant=PAPER, digits=3),
    Metric(
        name="nmse_best_scale",
        label="NMSE at the best scale",
        function=nmse_best_scale,
        variant=PAPER,
        digits=3,
    ),
    Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=QUANTITATIVE),
    Metric(name="ssim", label="SSIM", function=ssim, variant=QUANTITATIVE, digits=3),
    Metric(name="nmse", label="NMSE", function=nmse, variant=QUANTITATIVE, digits=3),
    Metric(name="bias_percent", label="head bias (%)", function=bias_percent, variant=QUANTITATIVE),
    Metric(
        name="pet_only_contrast_percent",
        label="PET-only lesions: contrast kept (%)",
        function=pet_only_contrast_percent,
        variant=QUANTITATIVE,
    ),
    Metric(
        name="pet_only_hot_percent",
        label="PET-only hot lesions: contrast kept (%)",
        function=pet_only_hot_percent,
        variant=QUANTITATIVE,
    ),
    Metric(
        name="pet_only_cold_percent",
        label="PET-only cold lesions: contrast kept (%)",
        function=pet_only_cold_percent,
        variant=QUANTITATIVE,
    ),
    Metric(
        name="t1_only_hot_percent",
        label="T1-only bright lesions: PET contrast gained (%)",
        function=t1_only_hot_percent,
        variant=QUANTITATIVE,
    ),
    Metric(
        name="t1_only_cold_percent",
        label="T1-only dark lesions: PET contrast gained (%)",
        function=t1_only_cold_percent,
        variant=QUANTITATIVE,
    ),
    Metric(
        name="t1_only_rms_percent",
        label="T1-only lesions: PET contrast gained, RMS per slice (%)",
        function=t1_only_rms_percent,
        variant=QUANTITATIVE,
    ),
)
"""Every reported metric, in the order of the tables."""


def _difference(images: SliceImages) -> np.ndarray:
    return images.restored.astype(np.float64) - images.standard
