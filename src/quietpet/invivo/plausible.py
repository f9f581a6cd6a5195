"""Ranges outside which a value of a side-car is doubted, wherever it comes from.

They are wide: no examination of a person has a value outside, so one that lies there has another unit,
or another place for its point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quietpet.invivo.sidecar import number, numbers

DOSE_MBQ = (1.0, 5000.0)
"""From tenths of the usual dose of a long-lived tracer to several of oxygen-15 water or rubidium-82."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A value outside the range of its key."""

    key: str
    value: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class _Range:
    low: float
    high: float
    unit: str = ""


_RANGES: Mapping[str, _Range] = {
    "RadionuclidePositronFraction": _Range(low=1e-3, high=1.0),
    "ScatterFraction": _Range(low=0.0, high=100.0, unit="%"),
    "DecayFactor": _Range(low=1e-6, high=1e6),
    "DecayCorrectionFactor": _Range(low=1e-6, high=1e6),
    "BodyWeight": _Range(low=0.5, high=500.0, unit="kg"),
    "PatientWeight": _Range(low=0.5, high=500.0, unit="kg"),
    "SliceThickness": _Range(low=0.1, high=20.0, unit="mm"),
    "ReconFilterSize": _Range(low=0.0, high=50.0, unit="mm"),
    "TracerMolecularWeight": _Range(low=1.0, high=1e6, unit="g/mol"),
    "InjectedMass": _Range(low=0.0, high=float("inf")),
    "SpecificRadioactivity": _Range(low=0.0, high=float("inf")),
    "MolarActivity": _Range(low=0.0, high=float("inf")),
    "InjectedVolume": _Range(low=0.0, high=float("inf")),
    "InfusionSpeed": _Range(low=0.0, high=float("inf")),
    "DoseCalibrationFactor": _Range(low=1e-12, high=float("inf")),
}


def is_a_dose(dose_mbq: float) -> bool:
    """Whether a person can have been given so much [MBq]."""
    return DOSE_MBQ[0] <= dose_mbq <= DOSE_MBQ[1]


def doubts(values: Mapping[str, Any]) -> list[Doubt]:
    """Values of a normalised side-car that lie outside the range of their key; of a list the worst."""
    found = []
    for key, allowed in _RANGES.items():
        given = _all_numbers(values, key)
        wrong = [each for each in given if not allowed.low <= each <= allowed.high]
        if wrong:
            found.append(Doubt(key=key, value=wrong[0], **vars(allowed)))
    return found


def _all_numbers(values: Mapping[str, Any], key: str) -> Sequence[float]:
    one = number(values, key)
    return [one] if one is not None else numbers(values, key) or []
