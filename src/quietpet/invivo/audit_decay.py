"""Half-lives, decay factors and words on decay correction, against the nuclide and the clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from quietpet.invivo.decay import (
    ListedFactors,
    decay_word,
    factors_of,
    half_life_from,
    listed_factors,
    series_time_s,
    stated_correction,
    stated_reference_s,
    tolerance_s,
)
from quietpet.invivo.findings import Finding, shown
from quietpet.invivo.frame_times import FrameTiming
from quietpet.invivo.injection import injection_of
from quietpet.invivo.scans import Dataset, Image
from quietpet.invivo.sidecar import number
from quietpet.invivo.timing import HALF_LIVES, decay_factors, timing_or_none
from quietpet.invivo.windows import half_life_doubt, known_half_life_s, same_half_life


def decay_findings(dataset: Dataset) -> Iterator[Finding]:
    """What of a scan's decay correction contradicts itself."""
    for runs in (series for participant in dataset.participants for series in participant.series):
        half_life_s = half_life_from(runs)
        for run, image in enumerate(runs):
            yield from _half_life(image)
            yield from _words(image)
            timing = timing_or_none(runs, run)
            if timing and half_life_s and stated_correction(image) is not False:
                yield from _times(runs, run, timing, half_life_s)


def _times(
    runs: Sequence[Image], run: int, timing: FrameTiming, half_life_s: float
) -> Iterator[Finding]:
    """The time of correction by the side-car, by the factors and by DICOM's word."""
    yield from _far_away(runs, run, timing, half_life_s)
    factors = listed_factors(runs[run], timing, half_life_s=half_life_s)
    if factors is None:
        yield from _word_against_time(runs, run, timing, half_life_s)
    elif factors.reference_s is None:
        yield from _word_against_time(runs, run, timing, half_life_s)
        yield _no_decay(runs[run], factors, timing, half_life_s)
    else:
        yield from _other_time(runs, run, factors, timing, half_life_s)


def _half_life(image: Image) -> Iterator[Finding]:
    """The half-life of the scanner's header against that of the radionuclide."""
    stated = number(image.values, "RadionuclideHalfLife")
    nuclide = image.values.get("TracerRadionuclide")
    known = known_half_life_s(nuclide)
    if doubt := half_life_doubt(nuclide, stated):
        yield image.origin.finding(
            "half-life",
            "warning" if known else "error",
            "RadionuclideHalfLife",
            value=f"{stated:g} s",
            expected="that of a radionuclide, in seconds" if known is None else f"{known:g} s",
            evidence=doubt,
            correction="none" if known is None else "that of TracerRadionuclide is read",
        )
    elif stated is not None and known is not None and not same_half_life(stated, known):
        yield image.origin.finding(
            "half-life",
            "warning",
            "TracerRadionuclide",
            value=f"{nuclide}, whose half-life is {known:g} s",
            expected="one radionuclide",
            evidence=f"RadionuclideHalfLife is {stated:g} s",
            correction="RadionuclideHalfLife is read",
        )


def _words(image: Image) -> Iterator[Finding]:
    """ImageDecayCorrected against DICOM's word, and against factors that the scanner applied."""
    corrected, word, factors = stated_correction(image), decay_word(image), factors_of(image)
    applied = factors[1] if factors is not None and factors[0] == "DecayFactor" else []
    if corrected is None:
        return
    if word is not None and corrected == (word == "NONE"):
        evidence = f"DecayCorrection of the scanner is {word}"
    elif not corrected and applied and max(applied) > 1.0:
        evidence = f"the scanner multiplied frames by DecayFactor, {shown(applied)}"
    else:
        return
    yield image.origin.finding(
        "decay-correction",
        "error",
        "ImageDecayCorrected",
        value=shown(corrected),
        expected=shown(not corrected),
        evidence=evidence,
    )


def _far_away(
    runs: Sequence[Image], run: int, timing: FrameTiming, half_life_s: float
) -> Iterator[Finding]:
    """A time of correction so far from the scan that it must have another unit, or zero."""
    stated_s = stated_reference_s(runs, run)
    if stated_s is None or abs(stated_s - timing.starts_s[0]) <= HALF_LIVES * half_life_s:
        return
    yield runs[run].origin.finding(
        "implausible",
        "warning",
        "ImageDecayCorrectionTime",
        value=f"{stated_s:g} s after the time zero",
        expected=f"within {HALF_LIVES} half-lives of the first frame, at {timing.starts_s[0]:g} s",
        evidence=f"the half-life is {half_life_s:g} s",
    )


def _no_decay(image: Image, factors: ListedFactors, timing: FrameTiming, half_life_s: float) -> Finding:
    """Factors that no decay of this half-life has: one value pasted, another nuclide, other frames."""
    reference_s = number(image.values, "ImageDecayCorrectionTime") or 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # times in milliseconds, say
        physical = decay_factors(timing, half_life_s=half_life_s, reference_s=reference_s)
        apart = np.abs(np.array(factors.values) / physical - 1).max()
    off = f"{apart:.0%} off"
    if factors.half_life_s is not None:
        off += f"; they rise as with a half-life of {factors.half_life_s:.0f} s"
    return image.origin.finding(
        "decay-factors",
        "warning",
        factors.key,
        value=shown(list(factors.values)),
        expected=f"from {physical[0]:.5f} to {physical[-1]:.5f}",
        evidence=f"decay with a half-life of {half_life_s:g} s over the frames; "
        f"{'one value stands for all' if len(set(factors.values)) == 1 else off}",
        correction="not read: factors are computed from the frame times",
    )


def _word_against_time(
    runs: Sequence[Image], run: int, timing: FrameTiming, half_life_s: float
) -> Iterator[Finding]:
    """ImageDecayCorrectionTime against DICOM's word, where no factors tell which of them is right."""
    stated_s, word = stated_reference_s(runs, run), decay_word(runs[run])
    named = _named_times(runs, run, timing)
    meant = {
        "START": ("the first frame", "the first frame of the scan", "SeriesTime"),
        "ADMIN": ("the injection",),
    }
    times = {name: named[name] for name in meant.get(word or "", ()) if name in named}
    if stated_s is None or not times:
        return
    if all(abs(stated_s - time_s) > tolerance_s(half_life_s) for time_s in times.values()):
        yield runs[run].origin.finding(
            "decay-time",
            "warning",
            "ImageDecayCorrectionTime",
            value=f"{stated_s:g} s after the time zero",
            expected=" or ".join(f"{time_s:g} s ({name})" for name, time_s in times.items()),
            evidence=f"DecayCorrection of the scanner is {word}",
            correction="ImageDecayCorrectionTime is read",
        )


def _other_time(
    runs: Sequence[Image], run: int, factors: ListedFactors, timing: FrameTiming, half_life_s: float
) -> Iterator[Finding]:
    """Factors that correct to another time than the side-car states, or to none that it names."""
    implied_s = factors.reference_s or 0.0
    stated_s, within_s = stated_reference_s(runs, run), tolerance_s(half_life_s)
    named = _named_times(runs, run, timing)
    if stated_s is not None:
        if abs(implied_s - stated_s) <= within_s:
            return
        key, claimed = "ImageDecayCorrectionTime", f"{stated_s:g} s after the time zero"
    elif any(abs(implied_s - time_s) <= within_s for time_s in named.values()):
        return
    else:
        word = decay_word(runs[run])
        key, claimed = factors.key, "none stated" if word is None else f"DecayCorrection {word}"
    fitting = [name for name, time_s in named.items() if abs(implied_s - time_s) <= within_s]
    yield runs[run].origin.finding(
        "decay-factors",
        "warning",
        key,
        value=claimed,
        expected=f"{implied_s:.0f} s after the time zero"
        + (f", which is {' and '.join(fitting)}" if fitting else ""),
        evidence=f"{factors.key} is {shown(list(factors.values))}, the decay to that time with a "
        f"half-life of {half_life_s:g} s",
        correction="the factors are believed",
    )


def _named_times(runs: Sequence[Image], run: int, timing: FrameTiming) -> dict[str, float]:
    """Times that a scanner or people correct to, on the clock of the frames [s]."""
    first = timing_or_none(runs)
    named = {
        "TimeZero": 0.0,
        "the injection": injection_of(runs).seconds,
        "the first frame": float(timing.starts_s[0]),
        "the first frame of the scan": float((first or timing).starts_s[0]),
        "SeriesTime": series_time_s(runs, run, timing),
    }
    return {name: time_s for name, time_s in named.items() if time_s is not None}
