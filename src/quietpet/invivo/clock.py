"""Times of day as scanners and people write them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from quietpet.units import SECONDS_PER_MINUTE

DAY_S = 86_400.0
_HOUR_S = 60 * SECONDS_PER_MINUTE

_WITH_COLONS = re.compile(r"(?:^|[T ])(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)?$")
# DICOM VR TM, and DT with its date before (PS3.5, 6.2); a bare number is no clock.
_DICOM = re.compile(r"^(?:\d{8})?(\d{2})(\d{2})(\d{2}(?:\.\d+)?)$")
_DATE = re.compile(r"^(\d{4})[-/:]?(\d{2})[-/:]?(\d{2})(?=$|[T ]|\d{6})")


def clock_seconds(text: Any) -> float | None:
    """Seconds since midnight of ``hh:mm:ss``, an ISO date-time, or a DICOM time; None if it is none."""
    if not isinstance(text, str):
        return None
    found = _WITH_COLONS.search(text.strip()) or _DICOM.match(text.strip())
    if not found:
        return None
    hours, minutes, seconds = (float(part) for part in found.groups())
    if hours >= 24 or minutes >= 60 or seconds >= 61:
        return None
    return hours * _HOUR_S + minutes * SECONDS_PER_MINUTE + seconds


def day_number(text: Any) -> int | None:
    """The day that a date, or the date of a date-time, stands for, counted from year 1; None if none."""
    found = _DATE.match(text.strip()) if isinstance(text, str) else None
    if not found:
        return None
    try:
        return date(*(int(part) for part in found.groups())).toordinal()
    except ValueError:
        return None


def clock_text(seconds: float) -> str:
    """``hh:mm:ss`` of seconds since midnight, to the nearest second."""
    minutes, second = divmod(round(seconds % DAY_S), 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}:{second:02d}"


def clock_difference_s(later: float, earlier: float) -> float:
    """``later - earlier`` of two times of day, in [-12 h, 12 h): across midnight the short way."""
    return (later - earlier + DAY_S / 2) % DAY_S - DAY_S / 2
