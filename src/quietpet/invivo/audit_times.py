"""Frame times, and when the tracer was given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from quietpet.invivo.clock import DAY_S, clock_difference_s, clock_seconds, clock_text
from quietpet.invivo.decay import half_life_from, series_time_s
from quietpet.invivo.exchange import clock_error_s, find_exchanges
from quietpet.invivo.findings import NO_CORRECTION, Finding, shown
from quietpet.invivo.frame_times import GAP_S, FrameTiming
from quietpet.invivo.injection import (
    LATE_S,
    NOTED_KEYS,
    Injection,
    injection_of,
    noted_injection,
    scanner_injection,
)
from quietpet.invivo.order import acquired_after_s, in_run_order
from quietpet.invivo.scans import Dataset, Image, Participant, administration, group_administration
from quietpet.invivo.sidecar import number, numbers
from quietpet.invivo.timing import (
    HALF_LIVES,
    SAME_CLOCK_S,
    SAME_START_S,
    FrameOrigin,
    frames_against_scan_start,
    listed,
    timing_or_none,
    without_gaps,
)

_COPIED_S = 600.0
_LEAST_FRAME_S = 0.5


def frame_findings(dataset: Dataset) -> Iterator[Finding]:
    """Frame lists against themselves and against the images."""
    exchanges = find_exchanges(dataset.pet)
    image_of = {exchange.owner: exchange for exchange in exchanges.values()}
    for image in dataset.pet:
        timing = listed(image)
        if timing is None:
            starts, durations = (image.values.get(key) for key in ("FrameTimesStart", "FrameDuration"))
            if starts is not None:
                yield image.origin.finding(
                    "frame-times",
                    "error",
                    "FrameTimesStart, FrameDuration",
                    value=f"{shown(starts)}, {shown(durations)}",
                    expected="two lists of numbers of one length, starts increasing, durations above 0",
                    evidence="one entry per frame each, in the order of the frames",
                )
            continue
        yield from _frame_seconds(image, timing)
        yield from _frame_count(image, timing)
        yield from _frame_gaps(image, timing)
        wrapped = numbers(image.sidecar, "FrameTimesStart")
        if wrapped and wrapped[0] > wrapped[-1] and image.participant in image_of:
            other = image_of[image.participant]
            yield image.origin.finding(
                "exchanged-frames",
                "error",
                "FrameTimesStart",
                value=shown(image.sidecar["FrameTimesStart"]),
                expected=f"starts after the TimeZero of {other.participant}",
                evidence=f"its first start, wrapped at midnight, is the {other.seconds:.0f} s by which "
                f"the image of {other.participant} began from this TimeZero: the list of frames was "
                "exchanged together with the dose",
                correction="unwrapped, and read for that image",
            )


def _frame_seconds(image: Image, timing: FrameTiming) -> Iterator[Finding]:
    """Frame times that cannot be in seconds."""
    whole_s = float(timing.ends_s[-1] - timing.starts_s[0])
    longest_s = float(timing.durations_s.max())
    if whole_s <= DAY_S and longest_s >= _LEAST_FRAME_S:
        return
    too_long = whole_s > DAY_S
    yield image.origin.finding(
        "frame-times",
        "error" if too_long else "warning",
        "FrameTimesStart, FrameDuration",
        value=", ".join(shown(image.values[key]) for key in ("FrameTimesStart", "FrameDuration")),
        expected="seconds",
        evidence=f"a scan of {whole_s:g} s, more than a day: milliseconds?"
        if too_long
        else f"frames of {longest_s:g} s at most: minutes?",
    )


def _frame_gaps(image: Image, timing: FrameTiming) -> Iterator[Finding]:
    apart_s = np.abs(timing.gaps_s)
    if apart_s.max(initial=0.0) <= GAP_S:
        return
    largest, filled = int(apart_s.argmax()), without_gaps(timing)
    evidence = (
        f"{timing.n_frames} frames of {timing.durations_s.sum():g} s in all reach to "
        f"{timing.ends_s[-1]:g} s"
    )
    if timing.n_frames > 2 and np.allclose(timing.durations_s[:-1], timing.starts_s[1:]):
        evidence = "each FrameDuration is the start of the next frame: they hold the ends of the frames"
    yield image.origin.finding(
        "frame-gaps",
        "warning",
        "FrameTimesStart",
        value=f"{np.count_nonzero(apart_s > GAP_S)} gaps or overlaps, the largest "
        f"{timing.gaps_s[largest]:g} s after frame {largest}",
        expected="frames without gaps" if filled is None else f"{filled.n_frames} regular frames",
        evidence=evidence,
        correction=NO_CORRECTION
        if filled is None
        else f"filled, where the image has {filled.n_frames} frames",
    )


def _frame_count(image: Image, timing: FrameTiming) -> Iterator[Finding]:
    if image.n_frames in (None, timing.n_frames):
        return
    filled = without_gaps(timing)
    fits = filled is not None and filled.n_frames == image.n_frames
    yield image.image_origin.finding(
        "frame-count",
        "warning" if fits else "error",
        "FrameTimesStart",
        value=f"{timing.n_frames} frames",
        expected=f"{image.n_frames} frames",
        evidence="fourth dimension of the image; the BIDS validator does not compare it",
        correction="the list's gaps are filled, which gives this number" if fits else "none",
    )


def derived_time_findings(dataset: Dataset) -> Iterator[Finding]:
    """Frame times that no side-car lists, as they will be read."""
    for participant in dataset.participants:
        for runs, run in ((series, run) for series in participant.series for run in range(len(series))):
            image = runs[run]
            if "FrameTimesStart" in image.values:
                continue
            if (timing := timing_or_none(runs, run)) is None:
                continue
            yield image.origin.finding(
                "derived-frame-times",
                "note",
                "FrameTimesStart, FrameDuration",
                value="missing",
                expected=f"{timing.n_frames} frames of {timing.durations_s[0]:g} s from "
                f"{timing.starts_s[0]:g} s on",
                evidence=timing.source,
                correction="these are read",
            )


def start_time_findings(dataset: Dataset) -> Iterator[Finding]:
    """Injection times that were copied from another participant, or lie late in the scan."""
    for key in ("TimeZero", "RadiopharmaceuticalStartTime", "InjectionStart"):
        holders: dict[float, list[Image]] = defaultdict(list)
        for participant in dataset.participants:
            for image in in_run_order(participant.pet)[:1]:
                clock = clock_seconds(image.sidecar.get(key))
                if clock is not None and image.acquired_clock_s is not None:
                    holders[clock].append(image)
        for clock, images in holders.items():
            for image in images if len(images) > 1 else ():
                apart = clock_difference_s(image.acquired_clock_s or 0.0, clock)
                others = [each.participant for each in images if each is not image]
                if abs(apart) > _COPIED_S:
                    yield image.origin.finding(
                        "copied-time",
                        "error",
                        key,
                        value=str(image.sidecar[key]),
                        expected=f"about {clock_text(image.acquired_clock_s or 0.0)}",
                        evidence=f"the same second as {', '.join(others)}, and "
                        f"{abs(apart) / 60:.0f} min from the own AcquisitionTime",
                        correction="AcquisitionTime is read",
                    )


def scan_start_findings(dataset: Dataset) -> Iterator[Finding]:
    """ScanStart against FrameTimesStart: both after TimeZero, and no frame begins before the scan."""
    for runs in (series for participant in dataset.participants for series in participant.series):
        for run, image in enumerate(runs):
            starts, scan_s = numbers(image.values, "FrameTimesStart"), number(image.values, "ScanStart")
            if not starts:
                continue
            origin = frames_against_scan_start(image)
            late_s = 0.0 if scan_s is None else starts[0] - scan_s
            if origin == "agree":
                # Converters may give all runs the AcquisitionTime of the first.
                if run == 0 or acquired_after_s(image, runs[0]) != 0:
                    yield from _frames_elsewhere(image, starts[0])
                if run == 0 and scan_s is not None:
                    yield from _series_before_the_scan(runs, scan_s)
            if origin != "agree":
                yield _frames_before_the_scan(image, origin)
            elif run == 0 and late_s > SAME_START_S and not _began_with_first_frame(image, starts[0]):
                yield image.origin.finding(
                    "scan-start",
                    "warning",
                    "ScanStart",
                    value=f"{scan_s:g} s",
                    expected=f"{starts[0]:g} s, the first of FrameTimesStart",
                    evidence=f"the scan begins {late_s:g} s before its first frame, and no clock tells "
                    "that it did",
                    correction="FrameTimesStart is read",
                )


def _frames_elsewhere(image: Image, start_s: float) -> Iterator[Finding]:
    """The first frame by the scanner's clock against FrameTimesStart.

    Where TimeZero fits nothing that the scanner noted, that is a finding on TimeZero instead.
    """
    off_s = clock_error_s(image, image)
    if off_s is None or abs(off_s) > SAME_CLOCK_S or _began_with_first_frame(image, start_s):
        return
    yield image.origin.finding(
        "frame-clock",
        "warning",
        "FrameTimesStart",
        value=f"the first frame begins {start_s:g} s after TimeZero",
        expected=f"at AcquisitionTime, {_clock(image.acquired_clock_s)}",
        evidence=f"TimeZero is {_clock(image.time_zero_clock_s)}",
        correction="FrameTimesStart is read",
    )


def _series_before_the_scan(runs: Sequence[Image], scan_s: float) -> Iterator[Finding]:
    """SeriesTime long before ScanStart: an image of the last part of a scan, its TimeZero set anew."""
    series_s = series_time_s(runs, 0, timing_or_none(runs))
    if series_s is None or series_s >= scan_s - SAME_CLOCK_S:
        return
    yield runs[0].origin.finding(
        "scan-start",
        "warning",
        "ScanStart",
        value=f"{scan_s:g} s",
        expected=f"{series_s:g} s, at SeriesTime",
        evidence=f"the scanner began its series {scan_s - series_s:.0f} s before",
        correction="FrameTimesStart is read",
    )


def _began_with_first_frame(image: Image, start_s: float) -> bool:
    """Whether the scanner's clock has the first frame where FrameTimesStart has it."""
    acquired, zero = image.acquired_clock_s, image.time_zero_clock_s
    if acquired is None or zero is None:
        return False
    return abs(clock_difference_s(acquired, zero) - start_s) <= SAME_CLOCK_S


def _frames_before_the_scan(image: Image, origin: FrameOrigin) -> Finding:
    scan_s, starts = number(image.values, "ScanStart"), shown(image.values["FrameTimesStart"])
    acquired, zero = _clock(image.acquired_clock_s), _clock(image.time_zero_clock_s)
    corrections = {
        "after the scan's start": ("ScanStart is added", "frames were counted from the scan's start"),
        "scan start is wrong": ("ScanStart is not read", "ScanStart is not when the scan began"),
        "unknown": (NO_CORRECTION, "they do not tell which of the two is wrong"),
    }
    correction, meaning = corrections[origin]
    return image.origin.finding(
        "scan-start" if origin == "unknown" else "scan-start-corrected",
        "warning" if origin == "scan start is wrong" else "error",
        "ScanStart, FrameTimesStart",
        value=f"{scan_s:g} s, {starts}",
        expected="no frame before the scan: both count from TimeZero",
        evidence=f"AcquisitionTime {acquired}, TimeZero {zero}: {meaning}",
        correction=correction,
    )


def _clock(seconds: float | None) -> str:
    return "not told" if seconds is None else clock_text(seconds)


def injection_findings(dataset: Dataset) -> Iterator[Finding]:
    """Injections that lie late in the scan or long before it, or where two clocks differ on them."""
    for participant in dataset.participants:
        for runs in participant.series:
            timing = timing_or_none(runs)
            noted = injection_of(runs)
            typed = scanner_injection(runs)
            if timing is None:
                continue
            infused = noted_injection(runs, "InfusionStart") if _is_infusion(participant, runs) else None
            told = {each.source: each for each in (noted, typed) if each is not None}
            for injection in told.values():
                yield from _out_of_place(runs, injection, float(timing.starts_s[0]))
            for other in (typed, infused):
                if other is not None and noted.source in NOTED_KEYS:
                    yield from _two_injections(runs, noted, other)


def _is_infusion(participant: Participant, runs: Sequence[Image]) -> bool:
    """Whether all of the tracer was infused: then the injection is the infusion."""
    stated = group_administration(participant.row_of(runs[0]))
    written = administration(runs[0].values.get("ModeOfAdministration"))
    return (stated[1] if stated else written) == "infusion"


def _two_injections(runs: Sequence[Image], noted: Injection, other: Injection) -> Iterator[Finding]:
    if abs(noted.seconds - other.seconds) <= SAME_CLOCK_S:
        return
    yield runs[0].origin.finding(
        "injection-time",
        "warning",
        noted.source,
        value=f"{noted.seconds:g} s after TimeZero",
        expected=f"{other.seconds:g} s",
        evidence=f"{other.source} differs"
        + (", and all was infused" if other.source in NOTED_KEYS else ", typed in at the scanner"),
        correction=f"{noted.source} is read",
    )


def _out_of_place(runs: Sequence[Image], injection: Injection, first_s: float) -> Iterator[Finding]:
    """An injection long after the first frame, at ``first_s``, or so long before that all decayed."""
    late_s, half_life_s = injection.seconds - first_s, half_life_from(runs)
    decayed = half_life_s is not None and -late_s > HALF_LIVES * half_life_s
    if late_s <= LATE_S and not decayed:
        return
    began, is_noted = runs[0].acquired_clock_s, injection.source in NOTED_KEYS
    yield runs[0].origin.finding(
        "early-injection" if decayed else "late-injection",
        "warning",
        injection.source,
        value=f"{injection.seconds:g} s" if is_noted or began is None else clock_text(began + late_s),
        expected=f"at most {HALF_LIVES} half-lives before the first frame"
        if decayed
        else f"before {_clock(began)}, when the scan began, or soon after",
        evidence=f"{-late_s / 3600:.0f} h before the first frame: nothing is left"
        if decayed
        else f"it lies {late_s / 60:.0f} min after the first frame",
        correction=NO_CORRECTION if is_noted else "not read",
    )
