"""What a method copies from T1, and what it loses that only PET shows, over all slices of a subject.

A method that copies T1 lifts PET in bright lesions of T1 and lowers it in dark ones, an inverse copy
does the reverse, and a mean over both may be 0. So kinds are apart, and a root mean square lets nothing
cancel. Noise does not cancel in it either: it is set against that of the input, the low dose, in the
same lesions. What it is measured against is ``standard`` of the lesions: the truth where it is known. A
standard dose has noise of its own, and one that a low dose was thinned from shares the low dose's noise:
against it the exact truth has the ratio sqrt(f / (1 - f)) at the part f of the dose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.evaluation.lesions import LoneLesion, kept_percent


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of a subject from ``count`` lesions, pixels or regions; NaN of none."""

    name: str
    value: float
    count: int


Kind = Callable[[LoneLesion], bool]

T1_KINDS: dict[str, Kind] = {
    "hot": lambda lesion: lesion.t1 > 0,
    "cold": lambda lesion: lesion.t1 < 0,
    "all": lambda lesion: lesion.t1 != 0,
}
PET_KINDS: dict[str, Kind] = {
    "hot": lambda lesion: lesion.standard > 0,
    "cold": lambda lesion: lesion.standard < 0,
    "all": lambda lesion: lesion.standard != 0,
}


def leakage(restored: Sequence[LoneLesion], low: Sequence[LoneLesion]) -> Iterator[Measure]:
    """Of a subject's T1-only lesions, ``restored`` and in the ``low`` dose, in one order.

    Gains are PET contrasts that the reference has not, relative to the uptake around. For bright
    (hot), dark (cold) and all lesions of T1: the mean gain (not of all: they cancel), the root mean
    squares R of the restored and R0 of the low dose [%], the ratio R / R0, and what exceeds the input's
    noise, the root of R^2 - R0^2 with its sign [%], below 0 where there is less. The low dose itself
    has the ratio 1 and the excess 0. A ratio below 1 does not clear a method: it copied less than it
    took off noise.
    """
    for kind, belongs in T1_KINDS.items():
        gains = [lesion.gained_percent for lesion in restored if belongs(lesion)]
        inputs = [lesion.gained_percent for lesion in low if belongs(lesion)]
        found, of_input = _rms(gains), _rms(inputs)
        values = {
            **({} if kind == "all" else {"mean_percent": _mean(gains)}),
            "rms_percent": found,
            "input_rms_percent": of_input,
            "rms_ratio": found / of_input if of_input > 0 else math.nan,
            "excess_percent": _signed_root(found**2 - of_input**2),
        }
        for name, value in values.items():
            yield Measure(name=f"t1_only_{kind}_{name}", value=value, count=len(gains))


def pet_only_loss(restored: Sequence[LoneLesion], low: Sequence[LoneLesion]) -> Iterator[Measure]:
    """Of a subject's PET-only lesions: the part of the reference's contrast that is lost [%].

    0: as much as in the reference; 100: none is left; negative: more than there was. The same of the
    input beside it. Hot and cold are lesions by their contrast in the reference. Pooled as
    :func:`quietpet.evaluation.lesions.kept_percent`.
    """
    for kind, belongs in PET_KINDS.items():
        for name, lesions in (("loss_percent", restored), ("input_loss_percent", low)):
            chosen = [lesion for lesion in lesions if belongs(lesion)]
            lost = 100.0 - kept_percent(chosen)
            yield Measure(name=f"pet_only_{kind}_{name}", value=lost, count=len(chosen))


def _signed_root(value: float) -> float:
    return math.copysign(math.sqrt(abs(value)), value)


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values else math.nan


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
