"""The columns of a folder of pairs' table, and what reads the cells of each (``docs/pairs.md``)."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from quietpet.config.invivo import STANDARD
from quietpet.config.section import BRACES, SETTING
from quietpet.data_source import PHANTOMS, standin_of
from quietpet.errors import InputError
from quietpet.invivo.plausible import PERSON_KG, PERSON_MBQ
from quietpet.invivo.scans import administration

NOT_KNOWN = "n/a"
NEEDED = ("participant", "dose", "unit", "pet")
"""Columns that every row fills in."""

_LABEL = re.compile("[A-Za-z0-9+]+")
_DOSE = re.compile(SETTING)
_SIMULATED = tuple(standin_of(head) for head in PHANTOMS)
DELAYS_MINUTES = (0.0, 10000.0)
"""To a week after the injection, when iodine-124 and zirconium-89 are still looked at."""


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if not pattern.fullmatch(cell):
            raise InputError(expected)
        return cell

    return read


def _number(low: float, high: float, unit: str) -> Callable[[str], float]:
    def read(cell: str) -> float:
        value = _finite(cell)
        if value is None or not low <= value <= high:
            raise InputError(f"a number from {low:g} to {high:g} {unit}, or {NOT_KNOWN}")
        return value

    return read


def _finite(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def _numbers(cell: str) -> list[float]:
    values = [_finite(each.strip()) for each in cell.split(",")]
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        raise InputError(f"numbers of seconds with commas between them, or {NOT_KNOWN}")
    return known


def _one_of(words: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(cell: str) -> Any:
        if cell.lower() not in words:
            raise InputError(f"one of {', '.join(words)}, or {NOT_KNOWN}")
        return words[cell.lower()]

    return read


def _path(cell: str) -> str:
    if set(cell) & set(BRACES):
        raise InputError("a name without { and }, which stand for something else in workflows")
    return posixpath.normpath(cell)


def _administration(cell: str) -> str:
    mode = administration(cell)
    if mode is None:
        raise InputError(f"bolus, infusion or bolus_infusion, or {NOT_KNOWN}")
    return mode


COLUMNS: Mapping[str, Callable[[str], Any]] = {
    "participant": _matching(_LABEL, "letters, digits and plus signs, such as 002S0295"),
    "dose": _matching(
        _DOSE, f"{STANDARD}, or a name of small letters, digits and underscores, such as x20"
    ),
    "unit": str,
    "weight_kg": _number(*PERSON_KG, "kg"),
    "injected_mbq": _number(*PERSON_MBQ, "MBq"),
    "delay_minutes": _number(*DELAYS_MINUTES, "min"),
    "pet": _path,
    "t1": _path,
    "radionuclide": str,
    "decay_corrected_to": _one_of({"start": "start", "injection": "injection"}),
    "frame_starts_s": _numbers,
    "frame_durations_s": _numbers,
    "same_position": _one_of({"yes": True, "no": False, "true": True, "false": False}),
    "administration": _administration,
    "simulated_data": _one_of({word: word for word in _SIMULATED}),
}
"""Every column, and what reads its cells: InputError with what a cell should be."""
