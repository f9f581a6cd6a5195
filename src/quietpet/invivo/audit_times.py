"""Frame times, and when the tracer was given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.clock import DAY_S, clock_difference_s, clock_seconds, clock_text
from quietpet.invivo.exchange import find_exchanges
from quietpet.invivo.findings import NO_CORRECTION, Finding, shown
from quietpet.invivo.scans import Dataset, Image
from quietpet.invivo.sidecar import number, numbers
from quietpet.invivo.timing import FrameTiming, decay_references_s, listed, timeline, without_gaps
from quietpet.invivo.windows import GAP_S, known_half_life_s

_STARTS_LATE_S = 300.0
_COPIED_S = 600.0
_LEAST_FRAME_S = 0.5
_REFERENCE_S = 5.0
"""Half a thousandth of a half-life of F-18 and less: clocks of one scan differ by a second or two."""


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
            try:
                timing = timeline(runs, run)
            except InputError:
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


def decay_reference_findings(dataset: Dataset) -> Iterator[Finding]:
    """Runs of one scan that were decay-corrected to different times."""
    for runs in (series for participant in dataset.participants for series in participant.series):
        first = runs[0]
        half_life_s = number(first.values, "RadionuclideHalfLife") or known_half_life_s(
            first.values.get("TracerRadionuclide")
        )
        references = decay_references_s(runs, half_life_s=half_life_s) if half_life_s else None
        if references and max(references) - min(references) > _REFERENCE_S:
            yield first.origin.finding(
                "decay-reference",
                "warning",
                "ImageDecayCorrectionTime",
                value=", ".join(f"{reference:.0f} s" for reference in references),
                expected="one time for all runs",
                evidence="times to which the runs were decay-corrected, after the time zero of the "
                "first: their values cannot be averaged as they are",
                correction="frames are brought to the time of the first run that is read",
            )


def start_time_findings(dataset: Dataset) -> Iterator[Finding]:
    """Injection times that were copied from another participant, or lie late in the scan."""
    exchanged = find_exchanges(dataset.pet)
    for key in ("TimeZero", "RadiopharmaceuticalStartTime", "InjectionStart"):
        holders: dict[float, list[Image]] = defaultdict(list)
        for participant in dataset.participants:
            for image in participant.pet[:1]:
                clock = clock_seconds(image.sidecar.get(key))
                if clock is not None and image.acquired_clock_s is not None:
                    holders[clock].append(image)
        for clock, images in holders.items():
            for image in images if len(images) > 1 else ():
                apart = clock_difference_s(image.acquired_clock_s or 0.0, clock)
                others = [each.participant for each in images if each is not image]
                if abs(apart) > _COPIED_S and image.participant not in exchanged:
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
    for participant in dataset.participants:
        injected = [clock for image in participant.pet if (clock := _dicom_injection(image)) is not None]
        acquired = participant.pet[0].acquired_clock_s if participant.pet else None
        if injected and acquired is not None:
            late = clock_difference_s(injected[0], acquired)
            if late > _STARTS_LATE_S:
                yield participant.pet[0].origin.finding(
                    "late-injection",
                    "warning",
                    "RadiopharmaceuticalStartTime",
                    value=clock_text(injected[0]),
                    expected=f"before {clock_text(acquired)}, when the scan began, or soon after",
                    evidence=f"it lies {late / 60:.0f} min after the first frame",
                )


def _dicom_injection(image: Image) -> float | None:
    sequence = image.dicom.get("RadiopharmaceuticalInformationSequence")
    items = sequence if isinstance(sequence, list) else []
    starts = (each.get("RadiopharmaceuticalStartTime") for each in items if isinstance(each, dict))
    return clock_seconds(next(starts, None))
