"""Runs of one scan in the order in which they were acquired, and the time between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from quietpet.invivo.clock import DAY_S, clock_difference_s
from quietpet.invivo.sidecar import numbers

if TYPE_CHECKING:
    from quietpet.invivo.scans import Image

Value = TypeVar("Value", int, float)


def in_run_order(runs: Sequence[Image]) -> list[Image]:
    """``runs`` by the time at which each began, else by the number of the run.

    Times are those of the side-cars, or else of scans.tsv: dates and times of day where every run has
    both; else times of day, of which the first is that after the longest pause, so that a scan may go on
    past midnight. Runs of one time, or without, are by FrameTimesStart.
    """
    by_number = sorted(runs, key=_run_number)
    clocks = _all_known(_began_clock_s(image) for image in by_number) or _all_known(
        image.listed_clock_s for image in by_number
    )
    days = _all_known(_days(by_number))
    if clocks and days:
        times_s = [day * DAY_S + clock for day, clock in zip(days, clocks, strict=True)]
    elif clocks:
        times_s = _after_the_longest_pause(clocks)
    else:
        times_s = [0.0] * len(runs)
    of_equal = _all_known(_first_start_s(image) for image in by_number) or [0.0] * len(runs)
    return [by_number[index] for index in np.lexsort((of_equal, times_s))]


def _all_known(values: Iterable[Value | None]) -> list[Value] | None:
    """``values``, or None where one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def acquired_after_s(later: Image, earlier: Image) -> float | None:
    """AcquisitionTime of ``later`` minus that of ``earlier`` [s]; None where one has none.

    By date where both have one, else across midnight the short way. The times of scans.tsv stand in.
    """
    clocks = later.acquired_clock_s, earlier.acquired_clock_s
    if None in clocks:
        clocks = later.listed_clock_s, earlier.listed_clock_s
    if clocks[0] is None or clocks[1] is None:
        return None
    days = _days((later, earlier))
    if days[0] is None or days[1] is None:
        return clock_difference_s(clocks[0], clocks[1])
    return (days[0] - days[1]) * DAY_S + clocks[0] - clocks[1]


def _after_the_longest_pause(clocks: Sequence[float]) -> list[float]:
    """Times of day [s], each a day later where it is past the midnight that the scan went through."""
    ordered = sorted(clocks)
    pauses = np.diff([ordered[-1] - DAY_S, *ordered])
    first = ordered[int(np.argmax(pauses))]
    return [clock + DAY_S * (clock < first) for clock in clocks]


def _days(runs: Sequence[Image]) -> list[int | None]:
    """The date of each run's time of day: its own, else that of scans.tsv, else of scans if they differ.

    One date of the scan for all runs says nothing of those that began after midnight.
    """
    keys = ("acquired_day", "listed_day", "scan_day")
    own, listed, of_scan = ([getattr(image, key) for image in runs] for key in keys)
    if None in own and None not in listed:
        return listed
    return of_scan if None in own and len(set(of_scan)) > 1 else own


def _began_clock_s(image: Image) -> float | None:
    """Time of day of the first frame: AcquisitionTime, else FrameTimesStart after its time zero."""
    if image.acquired_clock_s is not None:
        return image.acquired_clock_s
    zero, start = image.time_zero_clock_s, _first_start_s(image)
    zero = image.series_clock_s if zero is None else zero
    return None if zero is None or start is None else (zero + start) % DAY_S


def _first_start_s(image: Image) -> float | None:
    starts = numbers(image.values, "FrameTimesStart")
    return starts[0] if starts else None


def _run_number(image: Image) -> tuple[float, str]:
    return (np.inf if image.run is None else image.run), image.stem
