"""Unit conversions, so that no factor of 10 or 2.355 stands unexplained in a formula."""

from __future__ import annotations

import math

MM_PER_CM = 10.0
MM3_PER_ML = 1000.0
SECONDS_PER_MINUTE = 60.0

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian of unit standard deviation."""

RELATIVE_ACTIVITY = "relative activity"
"""Unit of images of a study without calibration: that of ``phantoms.activity``."""

KBQ_PER_ML = "kBq/ml"
"""Unit of calibrated images: activity at the start of the standard scan, whatever their own dose."""


def sigma_from_fwhm(fwhm: float) -> float:
    """Standard deviation of a Gaussian from its full width at half maximum, in the same unit."""
    return fwhm / FWHM_PER_SIGMA
