"""Time-activity curves of FDG: plasma after a bolus or an infusion, and the two-tissue model.

Plasma follows the bolus response of Feng et al. (Int J Biomed Comput 32:95, 1993, model 2), tissue the
three-compartment model of Sokoloff et al. (J Neurochem 28:897, 1977) without dephosphorylation. Together
they are one linear system, so that matrix exponentials give every frame exactly, decay included. Infused
activity decays in the syringe: a constant pump rate is a constant rate of *decay-corrected* activity.

Times are in minutes after the start of the injection, activities in kBq/ml.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from quietpet.config.standin import KineticsSettings

FENG_AMPLITUDES = (851.1225, 21.8798, 20.8113)
"""A1 [1/min], A2 and A3 of Feng's FDG curve, relative: only its shape is used here."""

FENG_RATES_PER_MINUTE = (-4.133859, -0.1190996, -0.01043449)
"""lambda1, lambda2, lambda3 of the same curve [1/min]."""

BOLUS_FRACTIONS = {"bolus": 1.0, "infusion": 0.0, "bolus_infusion": 0.5}
"""Part of the activity that is given at once, by the word of ``administration``."""

NORMALISED_AT_MINUTES = 60.0
"""When the plasma of a bolus has the standardised uptake value that is asked for."""


@dataclass(frozen=True, kw_only=True)
class Administration:
    """A bolus at time 0 and a constant infusion from then on; together ``injected_mbq`` at time 0.

    ``bolus_fraction``: 1 is a bolus alone, 0 an infusion alone.
    """

    injected_mbq: float
    bolus_fraction: float
    infusion_minutes: float

    def given_mbq(self, minutes: float) -> float:
        """Activity given until then, decay-corrected to time 0 [MBq]."""
        infused = min(minutes / self.infusion_minutes, 1.0) if self.bolus_fraction < 1 else 0.0
        return self.injected_mbq * (self.bolus_fraction + (1 - self.bolus_fraction) * infused)


@dataclass(frozen=True, kw_only=True)
class Plasma:
    """Scale of the plasma curve: ``suv`` 60 min after a bolus, in a body of ``weight_kg``."""

    suv: float
    weight_kg: float

    @property
    def per_feng_unit(self) -> float:
        """kBq/ml per MBq injected and unit of :func:`feng`. SUV x MBq / kg is kBq/g, tissue 1 g/ml."""
        return self.suv / self.weight_kg / float(feng(NORMALISED_AT_MINUTES))


def feng(minutes: np.ndarray | float) -> np.ndarray:
    """Feng's bolus response (A1 t - A2 - A3) e^(l1 t) + A2 e^(l2 t) + A3 e^(l3 t), decay-corrected."""
    (a1, a2, a3), (l1, l2, l3) = FENG_AMPLITUDES, FENG_RATES_PER_MINUTE
    t = np.asarray(minutes, dtype=np.float64)
    return (a1 * t - a2 - a3) * np.exp(l1 * t) + a2 * np.exp(l2 * t) + a3 * np.exp(l3 * t)


def influx_per_minute(kinetics: KineticsSettings) -> float:
    """Net influx K1 k3 / (k2 + k3) [ml/min/ml]: the slope of a Patlak plot of the tissue."""
    return kinetics.k1 * kinetics.k3 / (kinetics.k2 + kinetics.k3)


def frame_decays(
    kinetics: KineticsSettings,
    plasma: Plasma,
    administration: Administration,
    edges_minutes: Sequence[tuple[float, float]],
    *,
    half_life_minutes: float,
) -> np.ndarray:
    """Integral over each frame of the activity that is really there [kBq/ml min], shape (frame,).

    ``edges_minutes``: start and end of every frame, in ascending order and without overlap. Divided by
    :func:`frame_weights` it is the decay-corrected mean of the frame. An infinite half-life gives
    decay-corrected curves at once.
    """
    system = _system(kinetics, plasma, decay_per_minute=math.log(2.0) / half_life_minutes)
    state = np.zeros(len(system))
    state[_PLASMA] = administration.injected_mbq * administration.bolus_fraction * _bolus(plasma)
    infused_mbq = administration.injected_mbq * (1 - administration.bolus_fraction)
    state[_RATE] = infused_mbq / administration.infusion_minutes if infused_mbq else 0.0
    walk = _Walk(system, state, stop_minutes=administration.infusion_minutes)
    decays = np.empty(len(edges_minutes))
    for frame, (start, end) in enumerate(edges_minutes):
        walk.to(start)
        before = walk.state[_INTEGRAL]
        walk.to(end)
        decays[frame] = walk.state[_INTEGRAL] - before
    return decays


def frame_weights(
    edges_minutes: Sequence[tuple[float, float]], *, half_life_minutes: float
) -> np.ndarray:
    """Minutes of undecayed activity with as many decays as each frame, shape (frame,).

    The integral of 2^(-t / T): the reciprocal, times the length of the frame, is its decay correction
    to time 0.
    """
    rate = math.log(2.0) / half_life_minutes
    starts, ends = np.array(edges_minutes, dtype=np.float64).T
    if rate == 0:
        return ends - starts
    return np.exp(-rate * starts) * -np.expm1(-rate * (ends - starts)) / rate


# State of the linear system: four of the plasma curve, free and phosphorylated FDG in tissue, the rate
# of the infusion, and the integral of the measured activity.
_PLASMA, _FREE, _BOUND, _RATE, _INTEGRAL = slice(0, 4), 4, 5, 6, 7
_PLASMA_CURVE = np.array([1.0, 0.0, 1.0, 1.0])


def _bolus(plasma: Plasma) -> np.ndarray:
    """Plasma states right after a bolus of 1 MBq: the second feeds the first, which gives t e^(l1 t)."""
    a1, a2, a3 = FENG_AMPLITUDES
    return plasma.per_feng_unit * np.array([-a2 - a3, a1, a2, a3])


def _system(kinetics: KineticsSettings, plasma: Plasma, *, decay_per_minute: float) -> np.ndarray:
    """Matrix M of x' = M x [1/min], for activities that decay."""
    l1, l2, l3 = FENG_RATES_PER_MINUTE
    matrix = np.zeros((8, 8))
    matrix[_PLASMA, _PLASMA] = np.diag([l1, l1, l2, l3])
    matrix[0, 1] = 1.0
    matrix[_PLASMA, _RATE] = _bolus(plasma)
    matrix[_FREE, _PLASMA] = kinetics.k1 * _PLASMA_CURVE
    matrix[_FREE, _FREE] = -(kinetics.k2 + kinetics.k3)
    matrix[_BOUND, _FREE] = kinetics.k3
    matrix -= decay_per_minute * np.eye(8)
    matrix[_INTEGRAL] = 0.0
    matrix[_INTEGRAL, _PLASMA] = kinetics.blood_fraction * _PLASMA_CURVE
    matrix[_INTEGRAL, [_FREE, _BOUND]] = 1 - kinetics.blood_fraction
    return matrix


class _Walk:
    """The state of the system as time goes on; the infusion stops at ``stop_minutes``."""

    def __init__(self, system: np.ndarray, state: np.ndarray, *, stop_minutes: float) -> None:
        self.state = state
        self._system, self._stop, self._now = system, stop_minutes, 0.0
        self._steps: dict[float, np.ndarray] = {}

    def to(self, minutes: float) -> None:
        if self._now < self._stop <= minutes:
            self._step(self._stop)
            self.state[_RATE] = 0.0
        self._step(minutes)

    def _step(self, minutes: float) -> None:
        length = round(minutes - self._now, 9)  # equal frames differ in their last digits
        if length:
            if length not in self._steps:
                self._steps[length] = expm(self._system * length)
            self.state = self._steps[length] @ self.state
        self._now = minutes
