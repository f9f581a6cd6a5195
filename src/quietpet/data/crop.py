"""Central crops that keep the scanner axis in the centre pixel."""

from __future__ import annotations

import numpy as np


def central_crop(images: np.ndarray, pixels: int) -> np.ndarray:
    """Crop or zero-pad the last two (square) axes to ``pixels``; index n // 2 stays index n // 2."""
    side = images.shape[-1]
    kept = min(side, pixels)
    source = slice(side // 2 - kept // 2, side // 2 - kept // 2 + kept)
    target = slice(pixels // 2 - kept // 2, pixels // 2 - kept // 2 + kept)
    cropped = np.zeros((*images.shape[:-2], pixels, pixels), dtype=images.dtype)
    cropped[..., target, target] = images[..., source, source]
    return cropped
