"""Image-quality metrics of one slice, and the registry of those that are reported.

Adding a metric is one entry of :data:`METRICS`.
"""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from quietpet.errors import InputError
from quietpet.evaluation.comparison import (
    GREY_MATTER,
    HEAD,
    JOINTLY_SCALED,
    NO_MASK,
    PAPER,
    QUANTITATIVE,
    TRUTH,
    WHITE_MATTER,
    Mask,
    Rule,
    SliceImages,
    grey_matter,
    white_matter,
)
from quietpet.evaluation.lesions import (
    MIN_PIXELS,
    RING_PIXELS,
    pet_only_cold_percent,
    pet_only_contrast_percent,
    pet_only_hot_percent,
    t1_only_cold_percent,
    t1_only_hot_percent,
    t1_only_rms_percent,
)
from quietpet.evaluation.metric import Metric

SSIM_SIGMA_PIXELS = 1.5
SSIM_WINDOW_PIXELS = 11

LEAST_CONTRAST = 0.05
"""Grey over white matter, minus 1, below which its recovery is not measured."""


def psnr_db(images: SliceImages, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(range^2 / mean squared error) [dB]; inf if identical."""
    mean_squared_error = np.mean(_difference(images) ** 2)
    if mean_squared_error == 0:
        return np.inf
    return float(10.0 * np.log10(data_range**2 / mean_squared_error))


def ssim(images: SliceImages, data_range: float) -> float:
    """Structural similarity with an 11 x 11 Gaussian window of sigma 1.5 pixels.

    Wang et al., IEEE Trans Image Process 2004;13:600, with K1 = 0.01 and K2 = 0.03, averaged over the
    pixels whose window lies inside the image, without a mask.
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
    """Normalised mean square error, sum (x - y)^2 / sum y^2, y the reference."""
    energy = np.sum(_inside(images, images.standard) ** 2)
    if energy == 0:
        raise InputError("the standard-dose slice is zero everywhere in the window.")
    return float(np.sum(_difference(images) ** 2) / energy)


def nrmse_percent(images: SliceImages, _data_range: float) -> float:
    """Root mean square error over the mean of the reference [%]."""
    return float(100.0 * np.sqrt(np.mean(_difference(images) ** 2)) / _mean_activity(images))


def mae(images: SliceImages, _data_range: float) -> float:
    """Mean absolute error, in the units of the scaled images."""
    return float(np.mean(np.abs(_difference(images))))


def mae_percent(images: SliceImages, _data_range: float) -> float:
    """Mean absolute error over the mean of the reference [%]."""
    return float(100.0 * np.mean(np.abs(_difference(images))) / _mean_activity(images))


def bias_percent(images: SliceImages, _data_range: float) -> float:
    """Error of the mean, relative to that of the reference [%]."""
    return float(100.0 * np.mean(_difference(images)) / _mean_activity(images))


def tissue_bias_percent(images: SliceImages, data_range: float) -> float:
    """Error of the mean of a tissue [%]; NaN in a slice without it, and of one without activity."""
    reference = _inside(images, images.standard)
    return bias_percent(images, data_range) if reference.size and reference.mean() > 0 else np.nan


def grey_to_white_recovery_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of grey to white matter, mean / mean - 1, relative to that of the reference [%].

    The contrast recovery coefficient of NEMA NU 2 with white matter for background. NaN in a slice
    without one of the two, where the restored white matter has no activity, and where they differ by
    less than LEAST_CONTRAST in the reference.
    """
    grey, white = grey_matter(images), white_matter(images)
    if not (grey.any() and white.any()):
        return np.nan
    contrast = [
        image[grey].mean(dtype=np.float64) / background - 1.0
        if (background := image[white].mean(dtype=np.float64)) > 0
        else np.nan
        for image in (images.restored, images.standard)
    ]
    return float(100.0 * contrast[0] / contrast[1]) if abs(contrast[1]) >= LEAST_CONTRAST else np.nan


_SSIM = f"kernel=gauss{SSIM_WINDOW_PIXELS},sigma={SSIM_SIGMA_PIXELS:g}px"
_LESIONS = f"ring={RING_PIXELS}px,least={MIN_PIXELS}px"
_PET_ONLY: Mask = Rule("pet_only_lesions", NO_MASK)
_PET_ONLY_HOT: Mask = Rule("pet_only_hot_lesions", NO_MASK)
_PET_ONLY_COLD: Mask = Rule("pet_only_cold_lesions", NO_MASK)
_T1_ONLY: Mask = Rule("t1_only_lesions", NO_MASK)
_T1_ONLY_HOT: Mask = Rule("t1_only_hot_lesions", NO_MASK)
_T1_ONLY_COLD: Mask = Rule("t1_only_cold_lesions", NO_MASK)
_GREY_AND_WHITE: Mask = Rule("grey_and_white_matter", NO_MASK)

PAPER_PSNR = Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=PAPER, better=1)
PAPER_SSIM = Metric(
    name="ssim", label="SSIM", function=ssim, variant=PAPER, also=_SSIM, digits=3, better=1
)
PAPER_NMSE = Metric(name="nmse", label="NMSE", function=nmse, variant=PAPER, digits=3, better=-1)
PSNR = Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=QUANTITATIVE, better=1)
SSIM = Metric(
    name="ssim", label="SSIM", function=ssim, variant=QUANTITATIVE, also=_SSIM, digits=3, better=1
)
NMSE = Metric(name="nmse", label="NMSE", function=nmse, variant=QUANTITATIVE, digits=3, better=-1)

PRINCIPAL = (PAPER_PSNR, PAPER_SSIM, PAPER_NMSE, PSNR, SSIM, NMSE)
"""What steps measure that restore slices anew for it: another metric does not repeat them."""

METRICS = (
    PAPER_PSNR,
    PAPER_SSIM,
    PAPER_NMSE,
    Metric(
        name="nmse_of_maximum_percent",
        label="NMSE due to the maximum (%)",
        function=nmse,
        variant=PAPER,
        beside=JOINTLY_SCALED.scale,
        digits=0,
    ),
    Metric(name="mae", label="MAE", function=mae, variant=PAPER, digits=4, better=-1),
    Metric(name="bias_percent", label="head bias (%)", function=bias_percent, variant=PAPER, mask=HEAD),
    Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=JOINTLY_SCALED, better=1),
    Metric(
        name="ssim", label="SSIM", function=ssim, variant=JOINTLY_SCALED, also=_SSIM, digits=3, better=1
    ),
    Metric(name="nmse", label="NMSE", function=nmse, variant=JOINTLY_SCALED, digits=3, better=-1),
    PSNR,
    SSIM,
    NMSE,
    Metric(
        name="nrmse_percent",
        label="NRMSE in the head (%)",
        function=nrmse_percent,
        variant=QUANTITATIVE,
        mask=HEAD,
        also="norm=mean",
        better=-1,
    ),
    Metric(
        name="mae_percent",
        label="MAE in the head (%)",
        function=mae_percent,
        variant=QUANTITATIVE,
        mask=HEAD,
        also="norm=mean",
        better=-1,
    ),
    Metric(
        name="bias_percent",
        label="head bias (%)",
        function=bias_percent,
        variant=QUANTITATIVE,
        mask=HEAD,
    ),
    Metric(
        name="pet_only_contrast_percent",
        label="PET-only lesions: contrast kept (%)",
        function=pet_only_contrast_percent,
        variant=QUANTITATIVE,
        mask=_PET_ONLY,
        also=_LESIONS,
    ),
    Metric(
        name="pet_only_hot_percent",
        label="PET-only hot lesions: contrast kept (%)",
        function=pet_only_hot_percent,
        variant=QUANTITATIVE,
        mask=_PET_ONLY_HOT,
        also=_LESIONS,
    ),
    Metric(
        name="pet_only_cold_percent",
        label="PET-only cold lesions: contrast kept (%)",
        function=pet_only_cold_percent,
        variant=QUANTITATIVE,
        mask=_PET_ONLY_COLD,
        also=_LESIONS,
    ),
    Metric(
        name="t1_only_hot_percent",
        label="T1-only bright lesions: PET contrast gained (%)",
        function=t1_only_hot_percent,
        variant=QUANTITATIVE,
        mask=_T1_ONLY_HOT,
        also=_LESIONS,
    ),
    Metric(
        name="t1_only_cold_percent",
        label="T1-only dark lesions: PET contrast gained (%)",
        function=t1_only_cold_percent,
        variant=QUANTITATIVE,
        mask=_T1_ONLY_COLD,
        also=_LESIONS,
    ),
    Metric(
        name="t1_only_rms_percent",
        label="T1-only lesions: PET contrast gained, RMS per slice (%)",
        function=t1_only_rms_percent,
        variant=QUANTITATIVE,
        mask=_T1_ONLY,
        also=_LESIONS,
        better=-1,
    ),
    Metric(name="psnr_db", label="PSNR (dB)", function=psnr_db, variant=TRUTH, better=1),
    Metric(name="nmse", label="NMSE", function=nmse, variant=TRUTH, digits=3, better=-1),
    Metric(name="bias_percent", label="head bias (%)", function=bias_percent, variant=TRUTH, mask=HEAD),
    Metric(
        name="grey_matter_bias_percent",
        label="grey matter bias (%)",
        function=tissue_bias_percent,
        variant=TRUTH,
        mask=GREY_MATTER,
        needs=("labels",),
    ),
    Metric(
        name="white_matter_bias_percent",
        label="white matter bias (%)",
        function=tissue_bias_percent,
        variant=TRUTH,
        mask=WHITE_MATTER,
        needs=("labels",),
    ),
    Metric(
        name="grey_to_white_recovery_percent",
        label="grey to white contrast recovered (%)",
        function=grey_to_white_recovery_percent,
        variant=TRUTH,
        mask=_GREY_AND_WHITE,
        needs=("labels",),
        also=f"least={LEAST_CONTRAST:g}",
        digits=1,
    ),
)
"""Every reported metric, in the order of the tables."""


def metric_of(name: str, variant: str) -> Metric:
    """The metric of that name in that variant; KeyError if there is none."""
    for metric in METRICS:
        if (metric.name, metric.variant.name) == (name, variant):
            return metric
    raise KeyError(f"{name}/{variant}")


def _inside(images: SliceImages, image: np.ndarray) -> np.ndarray:
    """The values of ``image`` where the metric looks."""
    chosen = image if images.inside is None else image[images.inside]
    return chosen.astype(np.float64)


def _difference(images: SliceImages) -> np.ndarray:
    return _inside(images, images.restored) - _inside(images, images.standard)


def _mean_activity(images: SliceImages) -> float:
    expected = float(_inside(images, images.standard).mean())
    if expected <= 0:
        raise InputError(f"what is compared with has the mean {expected:g} in its mask.")
    return expected
