"""Runs in the order in which a clock on the wall saw them begin."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from quietpet.invivo.order import acquired_after_s, in_run_order
from quietpet.invivo.scans import Image, Participant


def run(number: str, **sidecar: Any) -> Image:
    stem = f"sub-01/pet/sub-01_run-{number}_pet"
    return Image(participant="sub-01", stem=stem, sidecar=sidecar)


def order(runs: Sequence[Image]) -> list[str]:
    """Numbers of the runs, which must not depend on the order in which they are given."""
    permuted = itertools.permutations(runs)
    orders = {tuple(each.entities["run"] for each in in_run_order(some)) for some in permuted}
    assert len(orders) == 1
    return list(orders.pop())


@pytest.mark.parametrize(
    ("sidecars", "expected"),
    [
        ({"10": {}, "2": {}, "1": {}}, ["1", "2", "10"]),
        ({"010": {}, "02": {}, "1": {}}, ["1", "02", "010"]),
        ({"2": {"AcquisitionTime": "09:00:00"}, "1": {"AcquisitionTime": "10:00:00"}}, ["2", "1"]),
        ({"1": {"AcquisitionTime": "9:05:04"}, "2": {"AcquisitionTime": "10:00:00"}}, ["1", "2"]),
        # Past midnight: the pause of the day is longer than that between runs.
        (
            {
                "1": {"AcquisitionTime": "23:40:00"},
                "2": {"AcquisitionTime": "00:06:40"},
                "3": {"AcquisitionTime": "00:33:20"},
            },
            ["1", "2", "3"],
        ),
        ({"2": {"AcquisitionTime": "23:59:59.5"}, "1": {"AcquisitionTime": "00:00:10"}}, ["2", "1"]),
        # Dates: the next morning is later than the evening, and so is the next day's morning.
        (
            {
                "1": {"AcquisitionDateTime": "2020-02-28T21:00:00"},
                "2": {"AcquisitionDateTime": "2020-02-29T08:00:00"},
                "3": {"AcquisitionDateTime": "2020-03-01T07:00:00"},
            },
            ["1", "2", "3"],
        ),
        (
            {
                "1": {"AcquisitionTime": "08:00:00", "AcquisitionDate": "20200303"},
                "2": {"AcquisitionTime": "21:30:00", "AcquisitionDate": "20200303"},
            },
            ["1", "2"],
        ),
        (
            {
                "1": {"AcquisitionTime": "15:00:00", "ScanDate": "2020:12:31"},
                "2": {"AcquisitionTime": "11:00:00", "ScanDate": "2021:01:01"},
            },
            ["1", "2"],
        ),
        # The date of a whole scan says nothing of the run after midnight.
        (
            {
                "1": {"AcquisitionTime": "23:40:00", "ScanDate": "2020-12-31"},
                "2": {"AcquisitionTime": "00:06:40", "ScanDate": "2020-12-31"},
            },
            ["1", "2"],
        ),
        # No AcquisitionTime: TimeZero and the first frame, else the frames alone, else the number.
        (
            {
                "2": {"TimeZero": "23:30:00", "FrameTimesStart": [0, 60]},
                "1": {"TimeZero": "23:30:00", "FrameTimesStart": [3600, 3660]},
            },
            ["2", "1"],
        ),
        ({"2": {"FrameTimesStart": [0, 60]}, "1": {"FrameTimesStart": [120, 180]}}, ["2", "1"]),
        (
            {
                "1": {"SeriesTime": "10:00:00", "FrameTimesStart": [0, 60]},
                "2": {"SeriesTime": "09:00:00", "FrameTimesStart": [0, 60]},
            },
            ["2", "1"],
        ),
        ({"10": {"FrameTimesStart": [0]}, "2": {"FrameTimesStart": [0]}}, ["2", "10"]),
        ({"10": {"AcquisitionTime": "09:00:00"}, "2": {"AcquisitionTime": "09:00:00"}}, ["2", "10"]),
        (
            {
                "2": {"AcquisitionTime": "09:00:00", "FrameTimesStart": [0]},
                "1": {"AcquisitionTime": "09:00:00", "FrameTimesStart": [60]},
            },
            ["2", "1"],
        ),
        ({"10": {"AcquisitionTime": "09:00:00"}, "2": {}}, ["2", "10"]),
        ({"1": {"AcquisitionDateTime": "2020-13-77T09:00:00"}, "2": {}}, ["1", "2"]),
    ],
)
def test_runs_are_in_the_order_of_time(sidecars: dict[str, Any], expected: list[str]) -> None:
    runs = [run(number, **sidecar) for number, sidecar in sidecars.items()]
    assert order(runs) == expected
    (series,) = Participant(label="sub-01", pet=runs, t1=[]).series
    assert [each.entities["run"] for each in series] == expected


def test_dates_of_the_scans_table() -> None:
    """``acq_time`` of BIDS' scans.tsv, shifted into the past as BIDS wants dates of people to be."""
    times = {"1": "1867-06-15T22:00:00", "2": "1867-06-16T13:00:00", "10": "1867-06-17T09:00:00.5"}
    dated = [replace(run(number), acq_time=time) for number, time in times.items()]
    assert order(dated) == ["1", "2", "10"]
    assert acquired_after_s(*reversed(dated[:2])) == 15 * 3600
    # The scanner's own clocks go before; scans.tsv has their dates.
    timed = [
        replace(run(number, AcquisitionTime=clock), acq_time=times[number])
        for number, clock in (("1", "21:00:10"), ("2", "12:00:00"))
    ]
    assert order(timed) == ["1", "2"]
    assert acquired_after_s(timed[1], timed[0]) == 15 * 3600 - 10


def test_the_time_between_runs() -> None:
    evening, night = run("1", AcquisitionTime="23:40:00"), run("2", AcquisitionTime="00:06:40")
    assert acquired_after_s(night, evening) == 1600
    assert acquired_after_s(evening, night) == -1600
    first = run("1", AcquisitionDateTime="2020-02-28T09:00:00")
    later = run("2", AcquisitionDateTime="2020-03-01T10:00:00")
    assert acquired_after_s(later, first) == 2 * 86400 + 3600, "a leap year"
    assert acquired_after_s(later, run("1")) is None
