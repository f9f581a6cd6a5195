"""Decay and uptake against closed forms and numerical integrals."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.acquisition.dose import (
    activity_at_start_mbq,
    decay_factor,
    decaying_minutes,
    grey_matter_kbq_per_ml,
    relative_activity,
    relative_randoms,
)
from quietpet.config.acquisition import AcquisitionSettings, CalibrationSettings
from quietpet.config.doses import ScanSettings

F18 = AcquisitionSettings().half_life_minutes
STANDARD = ScanSettings(injected_mbq=200, uptake_minutes=40, minutes=15)


def integral(function, minutes, steps=200_000):
    """Midpoint rule on [0, minutes]."""
    middles = (np.arange(steps) + 0.5) * minutes / steps
    return function(middles).mean() * minutes


def test_half_of_the_activity_is_left_after_one_half_life():
    assert F18 == 109.77
    assert decay_factor(109.77, half_life_minutes=F18) == pytest.approx(0.5)
    assert decay_factor(0.0, half_life_minutes=F18) == 1.0
    # ln 2 / 109.77 min = 6.3145e-3 / min.
    assert decay_factor(60.0, half_life_minutes=F18) == pytest.approx(np.exp(-60 * 6.31454e-3), rel=1e-5)


@pytest.mark.parametrize("minutes", [0.01, 15.0, 110.0, 600.0])
def test_decays_of_a_scan_are_the_integral_of_the_activity(minutes):
    expected = integral(lambda t: 0.5 ** (t / F18), minutes)
    assert decaying_minutes(minutes, half_life_minutes=F18) == pytest.approx(expected, rel=1e-8)


def test_grey_matter_of_a_typical_scan():
    """SUV 7 of 200 MBq in 75 kg is 7 x 2.667 kBq/ml, times 2^(-40/109.77) = 0.7768."""
    calibration = CalibrationSettings(grey_matter_suv=7, weight_kg=75, sensitivity_cps_per_kbq=36)
    found = grey_matter_kbq_per_ml(STANDARD, calibration, half_life_minutes=F18)
    assert found == pytest.approx(7 * 200 / 75 * 0.77679, rel=1e-4)


def test_half_the_injection_is_half_the_activity_and_half_the_randoms_per_true():
    half = STANDARD.model_copy(update={"injected_mbq": 100})
    assert relative_activity(half, STANDARD, half_life_minutes=F18) == pytest.approx(0.5)
    assert relative_randoms(half, STANDARD, half_life_minutes=F18) == pytest.approx(0.5)


def test_randoms_follow_the_square_of_the_decaying_activity():
    """Randoms per true are the integral of A(t)^2 over that of A(t), for any two scans."""
    late = ScanSettings(injected_mbq=150, uptake_minutes=90, minutes=60)

    def randoms_per_true(scan):
        start = activity_at_start_mbq(scan, half_life_minutes=F18)

        def activity(t):
            return start * 0.5 ** (t / F18)

        return integral(lambda t: activity(t) ** 2, scan.minutes) / integral(activity, scan.minutes)

    found = relative_randoms(late, STANDARD, half_life_minutes=F18)
    assert found == pytest.approx(randoms_per_true(late) / randoms_per_true(STANDARD), rel=1e-8)
