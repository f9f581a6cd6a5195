"""When each frame was measured, from whatever a side-car tells.

One clock for all runs of a scan: it begins with the TimeZero of the first run, or, where none is noted,
with that run's first frame. :mod:`quietpet.invivo.injection` tells when on it the tracer was given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.clock import DAY_S, clock_difference_s
from quietpet.invivo.frame_times import FrameTiming
from quietpet.invivo.order import acquired_after_s
from quietpet.invivo.scans import Image
from quietpet.invivo.sidecar import number, numbers

SAME_START_S = 5.0
"""Two times of one event in one side-car differ by rounding to seconds at most."""

SAME_CLOCK_S = 60.0
"""The scanner's clock and that of the people beside it agree to a minute."""

HALF_LIVES = 10
"""Farther from the scan than these, nothing is left of a dose, or a time has another unit or zero."""

FrameOrigin = Literal["agree", "after the scan's start", "scan start is wrong", "unknown"]

_MOST_FRAMES = 100_000
_MS_PER_S = 1e3
_DESCRIBED = re.compile(r"(?<!\d)(\d{1,4})[ _]?s(?:ec(?:onds?)?)?(?![a-z])", re.IGNORECASE)


def joined(parts: Sequence[FrameTiming]) -> FrameTiming:
    """The frames of several runs in a row."""
    return FrameTiming(
        starts_s=np.concatenate([part.starts_s for part in parts]),
        durations_s=np.concatenate([part.durations_s for part in parts]),
        source="; ".join(dict.fromkeys(part.source for part in parts)),
    )


def listed(image: Image) -> FrameTiming | None:
    """Timing as the side-car lists it, midnight unwrapped; None where it lists none that can be.

    Frames that are must have a duration above 0, and start one after the other. Starts that were counted
    from the start of the scan, as the clocks show, are counted from TimeZero here.
    """
    starts, durations = (numbers(image.values, key) for key in ("FrameTimesStart", "FrameDuration"))
    if starts is None or durations is None or len(starts) != len(durations):
        return None
    if min(durations) <= 0 or (np.diff(starts) <= 0).any():
        return None
    file = image.origin.file_of("FrameTimesStart")
    whose = "its side-car" if file in image.sidecar_files else file
    source = f"FrameTimesStart and FrameDuration of {whose}"
    timing = FrameTiming(starts_s=np.array(starts), durations_s=np.array(durations), source=source)
    if frames_against_scan_start(image) != "after the scan's start":
        return timing
    scan_start_s = number(image.values, "ScanStart") or 0.0
    return replace(timing.later(scan_start_s), source=f"{source}, counted from ScanStart")


def frames_against_scan_start(image: Image) -> FrameOrigin:
    """Whether FrameTimesStart and ScanStart agree, both after TimeZero as BIDS has them.

    No frame begins before the scan. Where the first one does, the clocks of the scanner and of TimeZero
    may tell whether frames were counted after the scan's start, or ScanStart is wrong.
    """
    starts, scan_s = numbers(image.values, "FrameTimesStart"), number(image.values, "ScanStart")
    if not starts or scan_s is None or starts[0] >= scan_s - SAME_START_S:
        return "agree"
    acquired_s, zero_s = image.acquired_clock_s, image.time_zero_clock_s
    if acquired_s is None or zero_s is None:
        return "unknown"
    began_s = clock_difference_s(acquired_s, zero_s)
    if abs(began_s - scan_s - starts[0]) <= SAME_CLOCK_S:
        return "after the scan's start"
    return "scan start is wrong" if abs(began_s - starts[0]) <= SAME_CLOCK_S else "unknown"


def without_gaps(timing: FrameTiming) -> FrameTiming | None:
    """``timing`` with the frames put back that its list leaves out; None where that is not its fault.

    The list must be regular but for the gaps: one duration, and every gap a whole number of it.
    """
    duration = timing.durations_s[0]
    if timing.starts_s[-1] - timing.starts_s[0] > _MOST_FRAMES * duration:
        return None
    steps = (timing.starts_s - timing.starts_s[0]) / duration
    # A wrap undone leaves the first start a second off the grid of the others.
    if np.ptp(timing.durations_s) or np.abs(steps - np.round(steps)).max() > 0.1:
        return None
    n_frames = round(steps[-1]) + 1
    if n_frames == timing.n_frames:
        return None
    return FrameTiming(
        starts_s=timing.starts_s[0] + duration * np.arange(n_frames),
        durations_s=np.full(n_frames, duration),
        source=f"{timing.source}, with {n_frames - timing.n_frames} frames that the list leaves out",
    )


def derived(runs: Sequence[Image], run: int, *, n_frames: int) -> FrameTiming | None:
    """Timing of ``runs[run]`` where its side-car lists none; None where it cannot be told.

    The first frame begins at the run's AcquisitionTime. The duration of a frame is, in this order,
    DICOM's ActualFrameDuration as dcmstack keeps it, the seconds in SeriesDescription, either of them
    of another run, or the time to the next run divided by the frames.
    """
    after_first_s, zero = acquired_after_s(runs[run], runs[0]), zero_clock_s(runs[0])
    if after_first_s is None or zero is None or runs[0].acquired_clock_s is None:
        return None
    began_s = clock_difference_s(runs[0].acquired_clock_s, zero) + after_first_s
    found = _frame_duration(runs, run)
    to_next_s = acquired_after_s(runs[run + 1], runs[run]) if run + 1 < len(runs) else None
    if found is None and to_next_s is not None:
        found = to_next_s / n_frames, "time to the next run"
    if found is None:
        return None
    duration, source = found
    return FrameTiming(
        starts_s=began_s + duration * np.arange(n_frames),
        durations_s=np.full(n_frames, duration),
        source=f"AcquisitionTime of the runs, {source}",
    )


def _frame_duration(runs: Sequence[Image], run: int) -> tuple[float, str] | None:
    """Duration of a frame [s] that this run's side-car tells, or else another run's, and which key."""
    for which in (run, *(other for other in range(len(runs)) if other != run)):
        of = "" if which == run else f" of {runs[which].stem.rpartition('/')[2]}"
        duration_ms = number(runs[which].dicom, "ActualFrameDuration")
        if duration_ms is not None and duration_ms > 0:
            return duration_ms / _MS_PER_S, f"DICOM ActualFrameDuration{of}"
        if described := described_duration_s(runs[which]):
            return described, f"SeriesDescription{of}"
    return None


def described_duration_s(image: Image) -> float | None:
    """Seconds that a series description such as ``Dynamic_16sec_DataSet`` names; None if none."""
    found = _DESCRIBED.search(str(image.sidecar.get("SeriesDescription", "")))
    return float(found.group(1)) if found else None


def with_frames(timing: FrameTiming, n_frames: int | None) -> FrameTiming | None:
    """``timing``, with its gaps filled if need be, of ``n_frames``; None where it has another number.

    ``n_frames`` None takes it as it is.
    """
    for candidate in (timing, without_gaps(timing)):
        if candidate and n_frames in (None, candidate.n_frames):
            return candidate
    return None


def timeline(runs: Sequence[Image], run: int, *, n_frames: int | None = None) -> FrameTiming:
    """Timing of ``runs[run]``, counted from the time zero of all runs of the scan.

    ``n_frames``: frames of the image, None where it is not here (and the side-car is believed).

    Raises:
        InputError: it is neither listed for this number of frames, nor can it be derived.
    """
    image = runs[run]
    timing = listed(image)
    if timing is not None:
        fitting = with_frames(timing, n_frames)
        if fitting is None:
            raise InputError(
                f"{image.image_origin.file}: has {n_frames} frames, but FrameTimesStart in "
                f"{image.origin.file_of('FrameTimesStart')} lists {timing.n_frames}. Correct the "
                "side-car, or fetch the image again."
            )
        return fitting.later(time_zero_after_s(runs, run) or 0.0)
    n_frames = n_frames or image.n_frames or _frames_to_next_run(runs, run)
    found = derived(runs, run, n_frames=n_frames) if n_frames else None
    if found is None:
        raise InputError(
            f"{image.origin.file}: has no FrameTimesStart and FrameDuration that can be read, and "
            "nothing else tells when its frames were measured. Add both keys to the side-car."
        )
    return found


def timing_or_none(
    runs: Sequence[Image], run: int = 0, *, n_frames: int | None = None
) -> FrameTiming | None:
    """:func:`timeline` of a run, None where it cannot be told."""
    try:
        return timeline(runs, run, n_frames=n_frames)
    except InputError:
        return None


def _frames_to_next_run(runs: Sequence[Image], run: int) -> int | None:
    """Frames that fit before the next run, where the side-cars tell its time and a frame's duration."""
    found = _frame_duration(runs, run)
    to_next_s = acquired_after_s(runs[run + 1], runs[run]) if run + 1 < len(runs) else None
    return None if found is None or to_next_s is None else round(to_next_s / found[0])


def time_zero_after_s(runs: Sequence[Image], run: int) -> float | None:
    """From when on the times of ``runs[run]`` count, on the clock of the scan [s]; None: not told.

    By :func:`zero_clock_s`; but runs without TimeZero that share an AcquisitionTime count from one zero.
    """
    if run == 0:
        return 0.0
    zeros = zero_clock_s(runs[run]), zero_clock_s(runs[0])
    if zeros[0] is None or zeros[1] is None:
        return None
    after_s, acquired_s = clock_difference_s(zeros[0], zeros[1]), acquired_after_s(runs[run], runs[0])
    if acquired_s is None:
        return after_s
    if acquired_s == 0 and None in (runs[run].time_zero_clock_s, runs[0].time_zero_clock_s):
        return 0.0
    # Times of day leave out whole days, which dates may tell.
    frames_s = _first_start_s(runs[run]) - _first_start_s(runs[0])
    days, apart_s = divmod(acquired_s - after_s - frames_s + DAY_S / 2, DAY_S)
    return after_s + DAY_S * days if abs(apart_s - DAY_S / 2) <= SAME_CLOCK_S else after_s


def zero_clock_s(image: Image) -> float | None:
    """Time of day from which the times of a side-car count; None where nothing tells.

    That is TimeZero, else AcquisitionTime less the first of FrameTimesStart, else DICOM's SeriesTime,
    from which converters count that write neither, else the time of scans.tsv less that first frame.
    """
    if image.time_zero_clock_s is not None:
        return image.time_zero_clock_s
    if image.acquired_clock_s is None and image.series_clock_s is not None:
        return image.series_clock_s
    began = image.listed_clock_s if image.acquired_clock_s is None else image.acquired_clock_s
    return None if began is None else (began - _first_start_s(image)) % DAY_S


def _first_start_s(image: Image) -> float:
    timing = listed(image)
    return 0.0 if timing is None else float(timing.starts_s[0])


def decay_factors(
    timing: FrameTiming, *, half_life_s: float, reference_s: float | np.ndarray = 0.0
) -> np.ndarray:
    """What a frame's mean activity was multiplied by to stand for that at ``reference_s``, (frame,).

    exp(lambda (t - reference)) * lambda d / (1 - exp(-lambda d)) with the start t and duration d of the
    frame (DICOM PS3.3, C.8.9.4, Decay Factor; the second term is the mean decay within a frame).
    """
    rate = math.log(2.0) / half_life_s
    within = rate * timing.durations_s / -np.expm1(-rate * timing.durations_s)
    return np.exp(rate * (timing.starts_s - reference_s)) * within
