"""The one number that brings an image to order one for a network."""

from __future__ import annotations

import numpy as np


def activity_weighted_mean(image: np.ndarray) -> float:
    """Mean of ``image`` weighted by itself, sum(x**2) / sum(x), in the unit of the image.

    Close to the uptake of the bright tissue, whatever the size of the empty background; no threshold,
    no dependence on the single brightest (noisiest) pixel. An empty image gives 1.
    """
    total = float(np.sum(image, dtype=np.float64))
    return float(np.sum(np.square(image, dtype=np.float64))) / total if total > 0 else 1.0
