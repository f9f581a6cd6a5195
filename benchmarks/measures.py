"""One metric of two images, without T1 or lesions: what several benchmarks print."""

from __future__ import annotations

import numpy as np

from quietpet.evaluation.comparison import SliceImages, Variant
from quietpet.evaluation.metrics import METRICS


def measured(
    name: str, variant: Variant, image: np.ndarray, reference: np.ndarray, *, window_pixels: int
) -> float:
    """The metric ``name`` of ``image`` against ``reference``, both (n, n).

    The head is where the reference has more than a twentieth of its maximum.
    """
    (metric,) = [each for each in METRICS if (each.name, each.variant) == (name, variant)]
    nothing = np.zeros_like(image)
    images = SliceImages(
        restored=image,
        standard=reference,
        t1=nothing,
        head=reference > 0.05 * reference.max(),
        pet_lesions=nothing,
        t1_lesions=nothing,
    )
    return metric.measure(images, paper_window_pixels=window_pixels)
