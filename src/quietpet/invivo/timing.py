"""When each frame was measured, from whatever a side-car tells."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.clock import clock_difference_s
from quietpet.invivo.order import acquired_after_s
from quietpet.invivo.scans import Image
from quietpet.invivo.sidecar import number, numbers

_MS_PER_S = 1e3
_DESCRIBED = re.compile(r"(?<!\d)(\d{1,4})[ _]?s(?:ec(?:onds?)?)?(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FrameTiming:
    """Starts and durations of all frames [s], shape (frame,); ``source`` tells where they come from."""

    starts_s: np.ndarray
    durations_s: np.ndarray
    source: str

    @property
    def n_frames(self) -> int:
        return len(self.starts_s)

    @property
    def ends_s(self) -> np.ndarray:
        return self.starts_s + self.durations_s

    @property
    def first(self) -> FrameTiming:
        """The first frame alone."""
        return replace(self, starts_s=self.starts_s[:1], durations_s=self.durations_s[:1])

    def later(self, seconds: float) -> FrameTiming:
        return replace(self, starts_s=self.starts_s + seconds)

    @property
    def gaps_s(self) -> np.ndarray:
        """Time between the end of a frame and the start of the next [s], shape (frame - 1,)."""
        return self.starts_s[1:] - self.ends_s[:-1]


def joined(parts: Sequence[FrameTiming]) -> FrameTiming:
    """The frames of several runs in a row."""
    return FrameTiming(
        starts_s=np.concatenate([part.starts_s for part in parts]),
        durations_s=np.concatenate([part.durations_s for part in parts]),
        source="; ".join(dict.fromkeys(part.source for part in parts)),
    )


def listed(image: Image, *, whose: str = "its side-car") -> FrameTiming | None:
    """Timing as the side-car lists it, midnight unwrapped; None where it lists none that can be.

    Frames that are must have a duration above 0, and start one after the other.
    """
    starts, durations = (numbers(image.values, key) for key in ("FrameTimesStart", "FrameDuration"))
    if starts is None or durations is None or len(starts) != len(durations):
        return None
    if min(durations) <= 0 or (np.diff(starts) <= 0).any():
        return None
    return FrameTiming(
        starts_s=np.array(starts),
        durations_s=np.array(durations),
        source=f"FrameTimesStart and FrameDuration of {whose}",
    )


def without_gaps(timing: FrameTiming) -> FrameTiming | None:
    """``timing`` with the frames put back that its list leaves out; None where that is not its fault.

    The list must be regular but for the gaps: one duration, and every gap a whole number of it.
    """
    duration = timing.durations_s[0]
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

    Starts are counted from the first run's AcquisitionTime. The duration of a frame is, in this order,
    DICOM's ActualFrameDuration as dcmstack keeps it, the seconds in SeriesDescription, either of them
    of another run, or the time to the next run divided by the frames.
    """
    began_s = acquired_after_s(runs[run], runs[0])
    if began_s is None:
        return None
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


def timeline(
    runs: Sequence[Image], run: int, *, n_frames: int | None = None, listed_by: Image | None = None
) -> FrameTiming:
    """Timing of ``runs[run]``, counted from the time zero of all runs of the scan.

    ``n_frames``: frames of the image, None where it is not here (and the side-car is believed).
    ``listed_by``: the image whose side-car lists the frames, where that is not its own.

    Raises:
        InputError: it is neither listed for this number of frames, nor can it be derived.
    """
    image, other_lengths = runs[run], []
    for each in (listed_by or image, image):
        whose = "its side-car" if each is image else f"{each.stem.rpartition('/')[2]}.json"
        timing = listed(each, whose=whose)
        if timing is None:
            continue
        if each is image and None not in (zeros := [of.time_zero_clock_s for of in (image, runs[0])]):
            timing = timing.later(clock_difference_s(*zeros))
        for candidate in (timing, without_gaps(timing)):
            if candidate and n_frames in (None, candidate.n_frames):
                return candidate
        other_lengths.append(timing.n_frames)
    if other_lengths:
        raise InputError(
            f"{image.image_origin.file}: has {n_frames} frames, but FrameTimesStart in "
            f"{image.origin.file_of('FrameTimesStart')} lists {other_lengths[-1]}. Correct the "
            "side-car, or fetch the image again."
        )
    n_frames = n_frames or image.n_frames or _frames_to_next_run(runs, run)
    found = derived(runs, run, n_frames=n_frames) if n_frames else None
    if found is None:
        raise InputError(
            f"{image.origin.file}: has no FrameTimesStart and FrameDuration that can be read, and "
            "nothing else tells when its frames were measured. Add both keys to the side-car."
        )
    return found


def _frames_to_next_run(runs: Sequence[Image], run: int) -> int | None:
    """Frames that fit before the next run, where the side-cars tell its time and a frame's duration."""
    found = _frame_duration(runs, run)
    to_next_s = acquired_after_s(runs[run + 1], runs[run]) if run + 1 < len(runs) else None
    return None if found is None or to_next_s is None else round(to_next_s / found[0])


def decay_references_s(runs: Sequence[Image], *, half_life_s: float) -> list[float] | None:
    """The time to which the frames of each run were decay-corrected, counted as in :func:`timeline`.

    BIDS states it (ImageDecayCorrectionTime, after the run's TimeZero), or DICOM's Decay Factor of the
    first frame implies it, as dcmstack keeps it. A run that tells nothing is taken to be corrected to
    the time of the nearest run before it that does, or else after it. None where no run tells.
    """
    told = [_decay_reference_s(runs, run, half_life_s=half_life_s) for run in range(len(runs))]
    known = [reference for reference in told if reference is not None]
    if not known:
        return None
    filled, last = [], known[0]
    for reference in told:
        last = last if reference is None else reference
        filled.append(last)
    return filled


def _decay_reference_s(runs: Sequence[Image], run: int, *, half_life_s: float) -> float | None:
    image, zeros = runs[run], [runs[which].time_zero_clock_s for which in (run, 0)]
    stated = number(image.values, "ImageDecayCorrectionTime")
    if stated is not None and None not in zeros:
        return stated + clock_difference_s(*zeros)
    factors = numbers(image.dicom_by_frame, "DecayFactor")
    if not factors or factors[0] <= 0:
        return None
    try:
        timing = timeline(runs, run)
    except InputError:
        return None
    (at_start,) = decay_factors(
        timing.first, half_life_s=half_life_s, reference_s=float(timing.starts_s[0])
    )
    return float(timing.starts_s[0] - math.log(factors[0] / at_start) * half_life_s / math.log(2.0))


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
