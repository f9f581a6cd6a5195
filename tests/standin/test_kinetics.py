"""Time-activity curves against closed forms, quadrature and a numerical solver."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from quietpet.acquisition.dose import decay_factor, decaying_minutes
from quietpet.config.standin import KineticsSettings, TissueKinetics
from quietpet.standin.kinetics import (
    FENG_AMPLITUDES,
    FENG_RATES_PER_MINUTE,
    Administration,
    Plasma,
    feng,
    frame_decays,
    frame_weights,
    influx_per_minute,
)

F18 = 109.77
PLASMA = Plasma(suv=1.8, weight_kg=70.0)
BLOOD = KineticsSettings(k1=0.0, k2=1.0, k3=0.0, blood_fraction=1.0)
GREY = TissueKinetics().grey_matter
BOLUS = Administration(injected_mbq=200.0, bolus_fraction=1.0, infusion_minutes=55.0)
INFUSION = Administration(injected_mbq=200.0, bolus_fraction=0.0, infusion_minutes=55.0)
HYBRID = Administration(injected_mbq=200.0, bolus_fraction=0.5, infusion_minutes=55.0)
PROTOCOLS = {"bolus": BOLUS, "infusion": INFUSION, "hybrid": HYBRID}


def curve(kinetics, administration, minutes, *, half_life_minutes=np.inf, width=1e-3):
    """Activity at given times, as means of very short frames."""
    edges = [(t - width / 2, t + width / 2) for t in minutes]
    decays = frame_decays(kinetics, PLASMA, administration, edges, half_life_minutes=half_life_minutes)
    return decays / width


def plasma_per_mbq(minutes):
    return PLASMA.per_feng_unit * feng(minutes)


def test_plasma_has_the_uptake_value_that_is_asked_for_an_hour_after_a_bolus():
    at_60 = curve(BLOOD, BOLUS, [60.0])[0]
    assert at_60 * PLASMA.weight_kg / BOLUS.injected_mbq == pytest.approx(PLASMA.suv, rel=1e-6)


def test_plasma_after_a_bolus_is_feng_s_curve():
    minutes = np.array([0.1, 0.25, 1.0, 5.0, 30.0, 90.0])
    expected = BOLUS.injected_mbq * plasma_per_mbq(minutes)
    np.testing.assert_allclose(curve(BLOOD, BOLUS, minutes), expected, rtol=1e-4)


def test_feng_s_curve_starts_at_zero_and_peaks_early():
    minutes = np.linspace(0, 5, 5001)
    values = feng(minutes)
    assert feng(0.0) == pytest.approx(0.0, abs=1e-9)
    # d/dt of the leading term alone vanishes at 1 / |lambda1| = 0.24 min.
    assert minutes[values.argmax()] == pytest.approx(1 / 4.133859, abs=0.05)


def test_tissue_after_a_bolus_is_sokoloff_s_convolution():
    def tissue_response(t):
        total = GREY.k2 + GREY.k3
        return GREY.k1 / total * (GREY.k3 + GREY.k2 * np.exp(-total * t))

    for minutes in (0.5, 10.0, 45.0):
        free_and_bound, _ = quad(
            lambda s, t=minutes: plasma_per_mbq(s) * tissue_response(t - s), 0, minutes, limit=200
        )
        expected = BOLUS.injected_mbq * (
            (1 - GREY.blood_fraction) * free_and_bound + GREY.blood_fraction * plasma_per_mbq(minutes)
        )
        assert curve(GREY, BOLUS, [minutes])[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("half_life_minutes", [F18, 20.0])
def test_frames_agree_with_a_numerical_solver(protocol, half_life_minutes):
    administration = PROTOCOLS[protocol]
    edges = [(0.0, 0.5), (0.5, 2.0), (20.0, 20.5), (54.0, 56.0), (56.0, 57.0), (80.0, 90.0)]
    found = frame_decays(GREY, PLASMA, administration, edges, half_life_minutes=half_life_minutes)
    (a1, a2, a3), (l1, l2, l3) = FENG_AMPLITUDES, FENG_RATES_PER_MINUTE
    per_minute = administration.injected_mbq * (1 - administration.bolus_fraction) / 55.0

    def integral(t, rate):
        # of Feng's curve, term by term
        return rate * (
            a1 * (1 - np.exp(l1 * t) * (1 - l1 * t)) / l1**2
            + (a2 + a3) * (1 - np.exp(l1 * t)) / l1
            - a2 * (1 - np.exp(l2 * t)) / l2
            - a3 * (1 - np.exp(l3 * t)) / l3
        )

    def plasma(t):
        infused = integral(t, per_minute) - integral(max(t - 55.0, 0.0), per_minute)
        bolus = administration.injected_mbq * administration.bolus_fraction * feng(t)
        return PLASMA.per_feng_unit * (bolus + infused)

    def slopes(t, state):
        free, bound, _ = state
        arriving = plasma(t)
        seen = (1 - GREY.blood_fraction) * (free + bound) + GREY.blood_fraction * arriving
        return [
            GREY.k1 * arriving - (GREY.k2 + GREY.k3) * free,
            GREY.k3 * free,
            seen * decay_factor(t, half_life_minutes=half_life_minutes),
        ]

    solved = solve_ivp(
        slopes, (0, 90), [0.0, 0.0, 0.0], dense_output=True, rtol=1e-9, atol=1e-10, max_step=0.05
    )
    expected = [solved.sol(end)[2] - solved.sol(start)[2] for start, end in edges]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_infusion_is_a_row_of_small_boluses():
    minutes = 40.0
    steps = (np.arange(20_000) + 0.5) * minutes / 20_000
    expected = INFUSION.injected_mbq / 55.0 * plasma_per_mbq(steps).mean() * minutes
    assert curve(BLOOD, INFUSION, [minutes])[0] == pytest.approx(expected, rel=1e-4)


def test_the_hybrid_is_half_of_each():
    minutes = [3.0, 30.0, 70.0]
    halves = (curve(GREY, BOLUS, minutes) + curve(GREY, INFUSION, minutes)) / 2
    np.testing.assert_allclose(curve(GREY, HYBRID, minutes), halves, rtol=1e-9)


def test_a_long_infusion_comes_to_a_steady_state():
    endless = Administration(injected_mbq=1e5, bolus_fraction=0.0, infusion_minutes=2000.0)
    (a1, a2, a3), (l1, l2, l3) = FENG_AMPLITUDES, FENG_RATES_PER_MINUTE
    area = a1 / l1**2 + (a2 + a3) / l1 - a2 / l2 - a3 / l3
    plateau = PLASMA.per_feng_unit * area * endless.injected_mbq / endless.infusion_minutes
    assert curve(BLOOD, endless, [1900.0])[0] == pytest.approx(plateau, rel=1e-6)
    # Free FDG is in equilibrium then, and the bound rises by k3 times it: Ki Cp per minute.
    tissue = GREY.model_copy(update={"blood_fraction": 0.0})
    rise = np.diff(curve(tissue, endless, [1900.0, 1950.0]))[0] / 50.0
    assert rise == pytest.approx(influx_per_minute(GREY) * plateau, rel=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_patlak_s_slope_is_the_net_influx(protocol):
    tissue = GREY.model_copy(update={"blood_fraction": 0.0})
    minutes = np.linspace(30, 50, 9)
    plasma = curve(BLOOD, PROTOCOLS[protocol], minutes)
    area = np.cumsum(
        frame_decays(
            BLOOD,
            PLASMA,
            PROTOCOLS[protocol],
            [(0, minutes[0]), *itertools.pairwise(minutes)],
            half_life_minutes=np.inf,
        )
    )
    activity = curve(tissue, PROTOCOLS[protocol], minutes)
    slope = np.polyfit(area / plasma, activity / plasma, 1)[0]
    # To 5 %: free FDG lags a little behind plasma that still rises.
    assert slope == pytest.approx(influx_per_minute(GREY), rel=0.05)
    assert influx_per_minute(GREY) == pytest.approx(0.095 * 0.069 / 0.194)


def test_weights_are_decays_of_undecayed_activity():
    edges = [(30.0, 30.0 + 16 / 60), (40.0, 70.0)]
    expected = [
        decay_factor(start, half_life_minutes=F18) * decaying_minutes(end - start, half_life_minutes=F18)
        for start, end in edges
    ]
    np.testing.assert_allclose(frame_weights(edges, half_life_minutes=F18), expected, rtol=1e-12)
    np.testing.assert_allclose(frame_weights(edges, half_life_minutes=np.inf), [16 / 60, 30.0])


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_a_long_frame_holds_the_decays_of_the_short_ones_in_it(protocol):
    """Across the end of the infusion too, in a row of frames of many lengths."""
    borders = [30.0, 33.5, 37.1, 44.0, 44.25, 44.5, 53.0, 60.0]
    unequal = list(itertools.pairwise(borders))
    short = list(itertools.pairwise(np.linspace(30.0, 60.0, 601).round(9)))
    found, parts = (
        frame_decays(GREY, PLASMA, PROTOCOLS[protocol], edges, half_life_minutes=F18)
        for edges in (unequal, short)
    )
    weights, of_parts = (frame_weights(edges, half_life_minutes=F18) for edges in (unequal, short))
    starts = np.array([start for start, _ in short])
    for (start, end), decays, weight in zip(unequal, found, weights, strict=True):
        inside = (starts >= start - 1e-6) & (starts < end - 1e-6)
        assert decays == pytest.approx(parts[inside].sum(), rel=1e-9)
        assert weight == pytest.approx(of_parts[inside].sum(), rel=1e-9)


def test_activity_given_by_then():
    assert BOLUS.given_mbq(0.0) == 200
    assert INFUSION.given_mbq(11.0) == pytest.approx(40)
    assert HYBRID.given_mbq(11.0) == pytest.approx(120)
    assert INFUSION.given_mbq(70.0) == 200


def test_default_contrast_is_that_of_fdg():
    """Grey : white about 2.5, and the rest about a tenth of grey, an hour after a bolus."""
    at_60 = {
        name: curve(getattr(TissueKinetics(), name), BOLUS, [60.0])[0]
        for name in ("grey_matter", "white_matter", "csf", "other")
    }
    assert 2.0 < at_60["grey_matter"] / at_60["white_matter"] < 3.5
    assert 5.0 < at_60["grey_matter"] * PLASMA.weight_kg / BOLUS.injected_mbq < 9.0
    for name in ("csf", "other"):
        assert 0.07 < at_60[name] / at_60["grey_matter"] < 0.15
