"""When the tracer was given, on the clock of the frames.

Windows count from there: a scan whose TimeZero is the injection, and one whose TimeZero is its own
start, as BIDS allows both, then mean the same by "30 min".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quietpet.invivo.clock import clock_difference_s, clock_seconds
from quietpet.invivo.scans import Image
from quietpet.invivo.sidecar import number
from quietpet.invivo.timing import time_zero_after_s, zero_clock_s

LATE_S = 300.0
"""A tracer given later than this into the first frame makes one wonder."""

NOTED_KEYS = ("InjectionStart", "InfusionStart")
_DICOM_KEYS = ("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")


@dataclass(frozen=True, kw_only=True)
class Injection:
    """Start of the injection on the clock of the scan [s], and the key that told it."""

    seconds: float
    source: str


def injection_of(runs: Sequence[Image]) -> Injection:
    """When the injection of a scan began.

    InjectionStart, else InfusionStart, else DICOM's RadiopharmaceuticalStartTime, unless that lies late
    in the scan, else the time zero.
    """
    for key in NOTED_KEYS:
        if (noted := noted_injection(runs, key)) is not None:
            return noted
    told = scanner_injection(runs)
    if told is not None and told.seconds <= LATE_S:
        return told
    return Injection(seconds=0.0, source="the time zero of the frames")


def noted_injection(runs: Sequence[Image], key: str) -> Injection | None:
    """The injection that people noted under ``key``, of the first run that has it."""
    for run, image in enumerate(runs):
        stated = number(image.values, key)
        if stated is not None:
            return Injection(seconds=(time_zero_after_s(runs, run) or 0.0) + stated, source=key)
    return None


def scanner_injection(runs: Sequence[Image]) -> Injection | None:
    """The injection as it was typed in at the scanner; None where no run has it, or a clock."""
    for run, image in enumerate(runs):
        key, clock = scanner_injection_clock(image)
        zero, zero_s = zero_clock_s(image), time_zero_after_s(runs, run)
        if clock is not None and zero is not None and zero_s is not None:
            return Injection(seconds=zero_s + clock_difference_s(clock, zero), source=key)
    return None


def scanner_injection_clock(image: Image) -> tuple[str, float | None]:
    """Key and time of day [s] of DICOM's start of the injection, as dcm2niix or dcmstack keeps it."""
    sequence = image.dicom.get("RadiopharmaceuticalInformationSequence")
    items = sequence if isinstance(sequence, list) else []
    for where in (image.values, *(each for each in items if isinstance(each, dict))):
        for key in _DICOM_KEYS:
            clock = clock_seconds(where.get(key))
            if clock is not None:
                return key, clock
    return _DICOM_KEYS[0], None
