"""Whether, and to which time, the frames of a scan were decay-corrected, as its side-cars tell.

DICOM lists the factor of each frame (PS3.3, C.8.9.4, Decay Factor), which is checked against the decay
of the radionuclide: a list that follows it tells the time to which frames were corrected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.invivo.clock import clock_difference_s
from quietpet.invivo.frame_times import FrameTiming
from quietpet.invivo.injection import injection_of
from quietpet.invivo.scans import Image
from quietpet.invivo.sidecar import number, numbers
from quietpet.invivo.timing import (
    decay_factors,
    time_zero_after_s,
    timing_or_none,
    zero_clock_s,
)
from quietpet.invivo.windows import credible_half_life_s

REFERENCE_S = 5.0
"""Half a thousandth of a half-life of F-18 and less: clocks of one scan differ by a second or two."""

_FACTOR_TOLERANCE = 0.01
_ROUNDING = 1e-5  # of a factor written with five decimals
_WORDS = {"NONE": False, "START": True, "ADMIN": True}


@dataclass(frozen=True, kw_only=True)
class ListedFactors:
    """Decay factors (frame,) under ``key``, against the decay of the radionuclide.

    ``reference_s`` is the time to which they correct, on the clock of the frames; None where they follow
    no decay of this half-life, and then ``half_life_s`` is the one that they follow, if any.
    """

    key: str
    values: Sequence[float]
    reference_s: float | None
    half_life_s: float | None


def decay_word(image: Image) -> str | None:
    """DICOM's Decay Correction: NONE, START or ADMIN, as dcm2niix or dcmstack keeps it."""
    for found in (image.values.get("DecayCorrection"), image.dicom.get("DecayCorrection")):
        if isinstance(found, str) and found.strip().upper() in _WORDS:
            return found.strip().upper()
    return None


def stated_correction(image: Image) -> bool | None:
    """Whether an image is decay-corrected: by BIDS, else by DICOM's word; None where neither tells."""
    corrected = image.values.get("ImageDecayCorrected")
    if isinstance(corrected, bool):
        return corrected
    word = decay_word(image)
    return None if corrected is not None or word is None else _WORDS[word]


def factors_of(image: Image) -> tuple[str, list[float]] | None:
    """Key and list of an image's decay factors: today's name of dcm2niix, dcmstack's, then BIDS'."""
    for key, where in (
        ("DecayFactor", image.values),
        ("DecayFactor", image.dicom_by_frame),
        ("DecayCorrectionFactor", image.values),
    ):
        if found := numbers(where, key):
            return key, found
    return None


def tolerance_s(half_life_s: float) -> float:
    """How far two times of decay correction may differ [s]: by 1 % of activity, or a few seconds."""
    return max(REFERENCE_S, _FACTOR_TOLERANCE * half_life_s / math.log(2.0))


def listed_factors(image: Image, timing: FrameTiming, *, half_life_s: float) -> ListedFactors | None:
    """An image's decay factors against ``half_life_s``; None without a list of one per frame."""
    found = factors_of(image)
    if found is None or len(found[1]) != timing.n_frames:
        return None
    key, values = found
    factors = np.array(values)
    if factors.min() <= 0:
        return ListedFactors(key=key, values=values, reference_s=None, half_life_s=None)
    rate = math.log(2.0) / half_life_s
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # times in milliseconds, say
        within = decay_factors(timing, half_life_s=half_life_s, reference_s=timing.starts_s)
        logs = np.log(factors / within)
        references_s = timing.starts_s - logs / rate
        span_s = float(np.ptp(timing.starts_s))
        followed = float(logs[-1] - logs[0]) / span_s if span_s else rate
        apart = float(np.ptp(references_s)) * rate
    uncertain = max(_FACTOR_TOLERANCE, 4 * _ROUNDING / (rate * span_s)) if span_s else 0.0
    if abs(followed / rate - 1) <= uncertain and apart <= 2 * _FACTOR_TOLERANCE:
        reference_s = float(np.median(references_s))
        return ListedFactors(key=key, values=values, reference_s=reference_s, half_life_s=half_life_s)
    other = math.log(2.0) / followed if followed > 0 and math.isfinite(followed) else None
    return ListedFactors(key=key, values=values, reference_s=None, half_life_s=other)


def decay_references_s(runs: Sequence[Image], *, half_life_s: float) -> list[float] | None:
    """The time to which the frames of each run were decay-corrected, counted as in :func:`timeline`.

    A run that tells nothing is taken to be corrected to the time of the nearest run before it that does,
    or else after it. None where no run tells.
    """
    told = [decay_reference_s(runs, run, half_life_s=half_life_s) for run in range(len(runs))]
    known = [reference for reference in told if reference is not None]
    if not known:
        return None
    filled, last = [], known[0]
    for reference in told:
        last = last if reference is None else reference
        filled.append(last)
    return filled


def decay_reference_s(runs: Sequence[Image], run: int, *, half_life_s: float) -> float | None:
    """The time to which ``runs[run]`` was decay-corrected; None where it was not, or nothing tells.

    By ImageDecayCorrectionTime of BIDS, unless the scanner's factors follow the decay from another time;
    else by these factors, else by DICOM's word: ADMIN is the injection, START the time of the series, or
    its first frame.
    """
    image = runs[run]
    if stated_correction(image) is False:
        return None
    timing = timing_or_none(runs, run)
    factors = None if timing is None else listed_factors(image, timing, half_life_s=half_life_s)
    implied_s = None if factors is None else factors.reference_s
    stated_s = stated_reference_s(runs, run)
    if stated_s is not None and (
        implied_s is None or abs(implied_s - stated_s) <= tolerance_s(half_life_s)
    ):
        return stated_s
    if implied_s is not None:
        return implied_s
    if decay_word(image) == "ADMIN":
        return injection_of(runs).seconds
    if decay_word(image) != "START" or timing is None:
        return None
    first_s, series_s = float(timing.starts_s[0]), series_time_s(runs, run, timing)
    # A series' time after its first frame is that of a later processing.
    return first_s if series_s is None or series_s > first_s + REFERENCE_S else series_s


def stated_reference_s(runs: Sequence[Image], run: int) -> float | None:
    """ImageDecayCorrectionTime of a run on the clock of :func:`timeline`; None where none is stated."""
    stated, zero_s = number(runs[run].values, "ImageDecayCorrectionTime"), time_zero_after_s(runs, run)
    return None if stated is None or zero_s is None else stated + zero_s


def series_time_s(runs: Sequence[Image], run: int, timing: FrameTiming | None) -> float | None:
    """SeriesTime of a run on the clock of its frames [s]; None where nothing relates the two.

    AcquisitionTime does, which is when the first frame began, else the zero of the run's times.
    """
    image = runs[run]
    series, acquired = image.series_clock_s, image.acquired_clock_s
    if series is not None and acquired is not None and timing is not None:
        return float(timing.starts_s[0]) + clock_difference_s(series, acquired)
    zero, zero_s = zero_clock_s(image), time_zero_after_s(runs, run)
    if series is None or zero is None or zero_s is None:
        return None
    return zero_s + clock_difference_s(series, zero)


def half_life_from(runs: Sequence[Image]) -> float | None:
    """Half-life [s] that the runs of a scan tell, as an import reads it; None where none does."""
    return credible_half_life_s(*nuclide_and_half_life_s(runs))


def nuclide_and_half_life_s(runs: Sequence[Image]) -> tuple[str | None, float | None]:
    """TracerRadionuclide and RadionuclideHalfLife [s], each of the first run that tells it."""
    nuclides = (image.values.get("TracerRadionuclide") for image in runs)
    stated = (number(image.values, "RadionuclideHalfLife") for image in runs)
    return (
        next((each for each in nuclides if each is not None), None),
        next((each for each in stated if each is not None), None),
    )
