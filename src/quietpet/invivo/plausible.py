"""Ranges outside which a value of a side-car is doubted, wherever it comes from.

They are bounds of ours, and wide: no examination of a person has a value outside, so one that lies there
has another unit, or another place for its point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quietpet.invivo.sidecar import number, numbers

PERSON_MBQ = (1.0, 5000.0)
"""From tenths of the usual dose of a long-lived tracer to several of oxygen-15 water or rubidium-82."""


PERSON_KG = (0.5, 500.0)

MOST_OF_DOSE = 1.2
"""All of the dose, as in a phantom, to the accuracy of calibrations; a head holds a twentieth."""

LEAST_OF_DOSE = 1e-3
"""Less of it than this, in a head, is another unit: kBq/mL read as Bq/mL is a thousandth."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A value outside the range of its key, which ``expected`` puts in words."""

    key: str
    value: float
    expected: str


@dataclass(frozen=True, kw_only=True)
class _Range:
    """From ``low`` to ``high``, ``low`` itself only with ``or_low``."""

    low: float = 0.0
    high: float = math.inf
    unit: str = ""
    or_low: bool = True

    def __contains__(self, value: float) -> bool:
        return self.low < value <= self.high or (self.or_low and value == self.low)

    def beyond(self, value: float) -> float:
        """How far a value lies outside."""
        return max(self.low - value, value - self.high)

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()
        return f"{'at least' if self.or_low else 'above'} {self.low:g}"


_RANGES: Mapping[str, _Range] = {
    "RadionuclidePositronFraction": _Range(low=1e-3, high=1.0),
    "ScatterFraction": _Range(high=100.0, unit="%"),
    "DecayFactor": _Range(low=1e-6, high=1e6),
    "DecayCorrectionFactor": _Range(low=1e-6, high=1e6),
    "BodyWeight": _Range(low=PERSON_KG[0], high=PERSON_KG[1], unit="kg"),
    "PatientWeight": _Range(low=PERSON_KG[0], high=PERSON_KG[1], unit="kg"),
    "SliceThickness": _Range(low=0.1, high=20.0, unit="mm"),
    "ReconFilterSize": _Range(high=50.0, unit="mm"),
    "TracerMolecularWeight": _Range(low=1.0, high=1e6, unit="g/mol"),
    "InjectedMass": _Range(),
    "SpecificRadioactivity": _Range(),
    "MolarActivity": _Range(),
    "InjectedVolume": _Range(),
    "InfusionSpeed": _Range(),
    "DoseCalibrationFactor": _Range(or_low=False),
}


def is_a_dose(dose_mbq: float) -> bool:
    """Whether a person can have been given so much [MBq]."""
    return PERSON_MBQ[0] <= dose_mbq <= PERSON_MBQ[1]


def doubts(values: Mapping[str, Any]) -> list[Doubt]:
    """Values of a normalised side-car outside the range of their key; of a list the farthest."""
    found = []
    for key, allowed in _RANGES.items():
        if wrong := [each for each in _all_numbers(values, key) if each not in allowed]:
            farthest = max(wrong, key=allowed.beyond)
            found.append(Doubt(key=key, value=farthest, expected=str(allowed)))
    return found


def _all_numbers(values: Mapping[str, Any], key: str) -> Sequence[float]:
    one = number(values, key)
    return [one] if one is not None else numbers(values, key) or []
