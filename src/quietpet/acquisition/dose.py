"""From an injection and a scan to activity: uptake, radioactive decay, and what randoms make of it.

Kept free of torch, so that a study is explained before anything is computed.
"""

from __future__ import annotations

import math

from quietpet.config.acquisition import CalibrationSettings
from quietpet.config.doses import ScanSettings


def decay_factor(minutes: float, *, half_life_minutes: float) -> float:
    """Part of the activity that is left after ``minutes``: 2^(-t / T)."""
    return 2.0 ** (-minutes / half_life_minutes)


def decaying_minutes(minutes: float, *, half_life_minutes: float) -> float:
    """Minutes at the initial activity with as many decays as ``minutes`` of decaying activity.

    The integral of 2^(-t / T) over the scan, T / ln 2 (1 - 2^(-minutes / T)).
    """
    rate = math.log(2.0) / half_life_minutes
    return -math.expm1(-rate * minutes) / rate


def activity_at_start_mbq(scan: ScanSettings, *, half_life_minutes: float) -> float:
    """Injected activity that is left when the scan starts [MBq]."""
    return scan.injected_mbq * decay_factor(scan.uptake_minutes, half_life_minutes=half_life_minutes)


def grey_matter_kbq_per_ml(
    scan: ScanSettings, calibration: CalibrationSettings, *, half_life_minutes: float
) -> float:
    """Activity concentration of grey matter at the start of the scan [kBq/ml].

    SUV x activity / body weight, with tissue of 1 g/ml; MBq/kg is kBq/g.
    """
    activity_mbq = activity_at_start_mbq(scan, half_life_minutes=half_life_minutes)
    return calibration.grey_matter_suv * activity_mbq / calibration.weight_kg


def relative_activity(scan: ScanSettings, standard: ScanSettings, *, half_life_minutes: float) -> float:
    """Activity at the start of ``scan`` / activity at the start of the standard scan."""
    ours, theirs = (
        activity_at_start_mbq(each, half_life_minutes=half_life_minutes) for each in (scan, standard)
    )
    return ours / theirs


def relative_randoms(scan: ScanSettings, standard: ScanSettings, *, half_life_minutes: float) -> float:
    """Randoms per true of ``scan`` / randoms per true of the standard scan.

    Trues follow the activity, randoms its square (2 tau times the product of two singles rates), which
    decays with half the half-life.
    """
    ours, theirs = (
        decaying_minutes(each.minutes, half_life_minutes=half_life_minutes / 2)
        / decaying_minutes(each.minutes, half_life_minutes=half_life_minutes)
        for each in (scan, standard)
    )
    activity = relative_activity(scan, standard, half_life_minutes=half_life_minutes)
    return activity * ours / theirs
