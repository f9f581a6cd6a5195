"""Doses at which an untreated scan is as good, in closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.evaluation.dose_equivalent import (
    ABOVE,
    BELOW,
    NOT_MONOTONE,
    Found,
    over_subjects,
    where,
)

DOSES = (0.05, 0.1, 0.25, 0.5)


def metric(dose: float, *, slope: float = 3.0) -> float:
    """Linear in the logarithm of the dose, as a PSNR is whose noise follows Poisson's law."""
    return 30.0 + slope * np.log2(dose)


@pytest.mark.parametrize("slope", [3.0, -0.5])
@pytest.mark.parametrize("dose", [0.05, 0.07, 0.1, 0.2, 0.49, 0.5])
def test_a_metric_linear_in_the_logarithm_is_inverted_exactly(slope: float, dose: float) -> None:
    curve = [metric(each, slope=slope) for each in DOSES]
    found = where(DOSES, curve, metric(dose, slope=slope))
    assert found.status == ""
    assert found.value == pytest.approx(dose, rel=1e-12)


@pytest.mark.parametrize("dose", [0.05, 0.1, 0.25])
def test_a_method_that_equals_twice_the_dose_has_the_factor_2(dose: float) -> None:
    curve = [metric(each) for each in DOSES]
    found = where(DOSES, curve, metric(2 * dose))
    assert found.value is not None
    assert found.value / dose == pytest.approx(2.00, rel=1e-12)


def test_beyond_the_doses_that_were_measured_nothing_is_extrapolated() -> None:
    for slope in (3.0, -0.5):
        curve = [metric(each, slope=slope) for each in DOSES]
        assert where(DOSES, curve, metric(0.51, slope=slope)) == Found(None, ABOVE)
        assert where(DOSES, curve, metric(0.049, slope=slope)) == Found(None, BELOW)


@pytest.mark.parametrize("values", [(1.0, 3.0, 2.0, 4.0), (1.0, 2.0, 2.0, 4.0), (2.0, 2.0, 2.0, 2.0)])
def test_a_curve_that_turns_or_rests_has_no_answer(values: tuple[float, ...]) -> None:
    assert where(DOSES, values, 2.0) == Found(None, NOT_MONOTONE)


def test_subjects_are_averaged_as_logarithms() -> None:
    """Geometric mean 0.2; the logarithms are log 0.2 + (-d, 0, d), t of 2 is 4.3027."""
    found = over_subjects([Found(0.1, ""), Found(0.2, ""), Found(0.4, "")], confidence=0.95)
    reach = 4.30265 * np.log(2) / np.sqrt(3)
    assert found.mean == pytest.approx(0.2)
    assert found.ci_low == pytest.approx(0.2 * np.exp(-reach), rel=1e-5)
    assert found.ci_high == pytest.approx(0.2 * np.exp(reach), rel=1e-5)
    assert found.status == ""


def test_one_subject_has_no_interval() -> None:
    found = over_subjects([Found(0.1, "")], confidence=0.95)
    assert (found.mean, found.ci_low, found.ci_high) == (pytest.approx(0.1), None, None)


def test_subjects_beyond_the_range_are_counted_and_not_left_out() -> None:
    found = over_subjects(
        [Found(0.1, ""), Found(None, ABOVE), Found(None, NOT_MONOTONE)], confidence=0.95
    )
    assert found.mean is found.ci_low is None
    assert (found.within, found.above, found.below, found.not_monotone) == (1, 1, 0, 1)
    assert found.status == "above the range measured in 1 of 3 subjects, not monotone in 1 of 3 subjects"
    assert over_subjects([Found(None, BELOW)] * 2, confidence=0.95).status == BELOW
