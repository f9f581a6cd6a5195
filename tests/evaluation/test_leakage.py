"""Leakage from T1 and loss of PET-only lesions, where what was copied is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quietpet.evaluation.leakage import leakage, pet_only_loss
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS, subject_rows
from quietpet.files.packed import LowSlices, ReferenceSlices
from quietpet.phantom.tissues import Tissue

UPTAKE, SLICES = 10.0, 12
ROWS, COLUMNS = np.mgrid[:64, :64]


def disc(y: int, x: int) -> np.ndarray:
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= 16


PET_HOT, PET_COLD, T1_HOT, T1_COLD = disc(16, 16), disc(16, 48), disc(48, 16), disc(48, 48)
NOISE = np.random.default_rng(0).standard_normal((SLICES, 64, 64))


def reference(**changed) -> ReferenceSlices:
    """One subject: a hot (+8) and a cold (-4) lesion in PET, a bright and a dark one in T1."""
    standard = np.tile(UPTAKE + 8.0 * PET_HOT - 4.0 * PET_COLD, (SLICES, 1, 1))
    labels = np.where(COLUMNS < 32, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    labels[:3] = Tissue.SKULL
    made = ReferenceSlices(
        origin="test.h5", key=[f"04_s{row}" for row in range(SLICES)], subject=["04"] * SLICES,
        slice_mm=np.zeros(SLICES), angle_deg=np.zeros(SLICES), standard=standard,
        t1=np.tile(100.0 + 50.0 * T1_HOT - 20.0 * T1_COLD, (SLICES, 1, 1)),
        has_t1=np.ones(SLICES, bool), head=np.ones((SLICES, 64, 64), np.uint8),
        pet_lesions=np.tile((1 * PET_HOT + 2 * PET_COLD).astype(np.uint8), (SLICES, 1, 1)),
        t1_lesions=np.tile((1 * T1_HOT + 2 * T1_COLD).astype(np.uint8), (SLICES, 1, 1)),
        labels=np.tile(labels.astype(np.uint8), (SLICES, 1, 1)),
    )  # fmt: skip
    return replace(made, **changed)


LOW = reference().standard + 2.0 * NOISE


def measured(
    restored: np.ndarray,
    *,
    low: np.ndarray = LOW,
    against: str = "standard",
    estimate: str = "single",
    **changed,
) -> dict[str, float]:
    expected = reference(**changed)
    slices = LowSlices(origin="test.h5", key=expected.key, low=low)
    rows = [*subject_rows({"single": restored}, expected, slices)]
    assert all({*row} < {*SUBJECT_COLUMNS} for row in rows)
    named = [row for row in rows if (row["against"], row["estimate"]) == (against, estimate)]
    found = {row["measure"]: row["value"] for row in named}
    assert len(found) == len(named)
    return found


def copied(hot: float, cold: float, *, noise: float = 0.2) -> np.ndarray:
    """Nearly without noise, and as much PET in the bright and dark lesions of T1."""
    return reference().standard + hot * T1_HOT + cold * T1_COLD + noise * NOISE


def test_the_identity_leaks_nothing_beyond_its_own_noise() -> None:
    found = measured(LOW)
    for kind in ("hot", "cold", "all"):
        assert found[f"t1_only_{kind}_rms_ratio"] == pytest.approx(1.0)
        assert found[f"t1_only_{kind}_excess_percent"] == 0.0
        assert found[f"t1_only_{kind}_rms_percent"] == found[f"t1_only_{kind}_input_rms_percent"] > 0


def test_the_standard_dose_leaks_and_loses_nothing() -> None:
    found = measured(reference().standard)
    for kind in ("hot", "cold", "all"):
        assert found[f"t1_only_{kind}_rms_percent"] == pytest.approx(0.0)
        assert found[f"pet_only_{kind}_loss_percent"] == pytest.approx(0.0)


@pytest.mark.parametrize("sign", [1, -1], ids=["copy", "inverse copy"])
def test_a_method_that_copies_t1_scores_high_either_way_round(sign: int) -> None:
    """T1's relative contrasts, +50 % and -20 %, in PET: far more than the input's noise in a lesion."""
    found = measured(copied(sign * 5.0, sign * -2.0))
    assert found["t1_only_hot_mean_percent"] == pytest.approx(sign * 50.0, abs=1)
    assert found["t1_only_cold_mean_percent"] == pytest.approx(sign * -20.0, abs=1)
    rms = 100 * ((0.5**2 + 0.2**2) / 2) ** 0.5
    assert found["t1_only_all_rms_percent"] == pytest.approx(rms, abs=1)
    noise = found["t1_only_all_input_rms_percent"]
    assert noise < 6
    assert found["t1_only_all_rms_ratio"] == pytest.approx(rms / noise, rel=0.05)
    assert found["t1_only_all_excess_percent"] == pytest.approx((rms**2 - noise**2) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("hot", "cold"), [(3.0, -3.0), (3.0, 3.0)])
def test_what_a_mean_over_kinds_hides_is_seen(hot: float, cold: float) -> None:
    found = measured(copied(hot, cold))
    assert found["t1_only_all_rms_ratio"] > 5
    assert found["t1_only_hot_rms_ratio"] > 5
    assert found["t1_only_cold_rms_ratio"] > 5
    assert "t1_only_all_mean_percent" not in found


def test_half_of_the_lesions_copied_and_half_inverted_cancel_in_the_mean_alone() -> None:
    """The same kind, up in one slice and down in the next."""
    turns = np.where(np.arange(SLICES) % 2, 1.0, -1.0)[:, None, None]
    found = measured(reference().standard + 4.0 * turns * T1_HOT)
    assert found["t1_only_hot_mean_percent"] == pytest.approx(0.0, abs=1e-9)
    assert found["t1_only_hot_rms_percent"] == pytest.approx(40.0)
    assert found["t1_only_hot_excess_percent"] > 39
    assert found["t1_only_cold_rms_percent"] == pytest.approx(0.0)


def test_a_denoiser_that_never_saw_t1_stays_below_the_input() -> None:
    found = measured(copied(0.0, 0.0, noise=0.5))
    assert found["t1_only_all_rms_ratio"] == pytest.approx(0.25)
    noise = found["t1_only_all_input_rms_percent"]
    assert found["t1_only_all_excess_percent"] == pytest.approx(-noise * (1 - 0.25**2) ** 0.5)


def test_loss_of_pet_only_lesions_is_of_each_kind() -> None:
    found = measured(UPTAKE + 0.25 * 8.0 * PET_HOT - 1.5 * 4.0 * PET_COLD + 0.0 * NOISE)
    assert found["pet_only_hot_loss_percent"] == pytest.approx(75.0)
    assert found["pet_only_cold_loss_percent"] == pytest.approx(-50.0)
    assert found["pet_only_all_loss_percent"] == pytest.approx(100 * (1 - (0.25 * 8 + 1.5 * 4) / 12))
    assert abs(found["pet_only_hot_input_loss_percent"]) < 10


def test_slices_without_t1_cannot_leak_and_no_lesions_measure_nothing() -> None:
    none = measured(copied(5.0, -2.0), has_t1=np.zeros(SLICES, bool))
    assert none["t1_only_all_rms_ratio"] == none["t1_only_hot_mean_percent"] == ""
    half = np.arange(SLICES) < 6
    rows = [*subject_rows({"single": LOW}, reference(has_t1=half), LowSlices(
        origin="test.h5", key=reference().key, low=LOW))]  # fmt: skip
    counts = {row["measure"]: row["count"] for row in rows}
    assert (counts["t1_only_all_rms_percent"], counts["t1_only_hot_rms_percent"]) == (12, 6)
    assert next(leakage([], [])).count == 0
    assert all(np.isnan(each.value) for each in (*leakage([], []), *pet_only_loss([], [])))


def test_an_input_without_noise_has_no_ratio_but_an_excess() -> None:
    still = LowSlices(origin="test.h5", key=reference().key, low=reference().standard)
    rows = subject_rows({"single": copied(5.0, -2.0, noise=0.0)}, reference(), still)
    found = {row["measure"]: row["value"] for row in rows}
    assert found["t1_only_hot_rms_ratio"] == ""
    assert found["t1_only_hot_excess_percent"] == pytest.approx(50.0)


TRUTH = reference().standard
NOISY = TRUTH + 3.0 * NOISE
"""A standard dose with noise of its own."""


def thinned(part: float) -> np.ndarray:
    """A low dose of that ``part`` of the counts: what noise the standard has, and more of its own."""
    more = np.random.default_rng(1).standard_normal(NOISE.shape)
    return NOISY + 3.0 * (1 / part - 1) ** 0.5 * more


def to_truth(restored: np.ndarray, part: float = 0.75, *, estimate: str = "single") -> dict[str, float]:
    changed = {"standard": NOISY, "truth": TRUTH}
    return measured(restored, low=thinned(part), against="truth", estimate=estimate, **changed)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_the_truth_leaks_and_loses_nothing_however_noisy_the_standard_dose_is(part: float) -> None:
    found = to_truth(TRUTH, part)
    for kind in ("hot", "cold", "all"):
        assert found[f"t1_only_{kind}_rms_percent"] == found[f"t1_only_{kind}_rms_ratio"] == 0.0
        assert found[f"t1_only_{kind}_excess_percent"] < 0
        assert found[f"pet_only_{kind}_loss_percent"] == pytest.approx(0.0)
    assert found["brain_outlier_score"] == 1.0
    assert found["region_bias_percent"] == 0.0


def test_against_a_standard_dose_that_shares_noise_the_truth_seems_to_leak() -> None:
    """Of 3/4 of the counts sqrt(f / (1 - f)) = 1.7: why the truth is taken where it is known."""
    found = measured(TRUTH, low=thinned(0.75), standard=NOISY, truth=TRUTH)
    assert found["t1_only_all_rms_ratio"] > 1.2


@pytest.mark.parametrize("part", [0.25, 0.75])
def test_against_the_truth_the_low_dose_has_the_ratio_one(part: float) -> None:
    found = to_truth(thinned(part), part)
    for kind in ("hot", "cold", "all"):
        assert found[f"t1_only_{kind}_rms_ratio"] == pytest.approx(1.0)
        assert found[f"t1_only_{kind}_excess_percent"] == 0.0
        lost = found[f"pet_only_{kind}_loss_percent"]
        assert lost == pytest.approx(found[f"pet_only_{kind}_input_loss_percent"])


def test_a_copy_of_t1_stands_out_against_the_truth() -> None:
    found = to_truth(TRUTH + 5.0 * T1_HOT - 2.0 * T1_COLD)
    assert found["t1_only_hot_mean_percent"] == pytest.approx(50.0)
    assert found["t1_only_cold_mean_percent"] == pytest.approx(-20.0)
    assert found["t1_only_all_rms_ratio"] > 3


def test_lesions_are_hot_or_cold_by_the_truth_not_by_the_sign_of_noise() -> None:
    """Faint lesions: of a perfect image a sort by the noisy standard dose would lose contrast."""
    truth = UPTAKE + 0.3 * PET_HOT - 0.3 * PET_COLD + 0.0 * NOISE
    changed = {"standard": truth + 3.0 * NOISE, "truth": truth}
    found = measured(truth, against="truth", **changed)
    assert found["pet_only_all_loss_percent"] == pytest.approx(0.0)
    assert measured(truth, **changed)["pet_only_all_loss_percent"] > 10


def test_the_standard_dose_itself_is_measured_against_the_truth_beside_every_method() -> None:
    itself = to_truth(TRUTH, estimate="reference")
    assert itself == to_truth(NOISY) == to_truth(LOW, estimate="reference")
    more = thinned(0.75) - TRUTH
    assert 0 < itself["t1_only_all_rms_ratio"] < 1.3 * np.std(NOISY - TRUTH) / np.std(more)
    rows = subject_rows(
        {"single": LOW, "mean_of_2": LOW},
        reference(truth=TRUTH),
        LowSlices(origin="test.h5", key=reference().key, low=LOW),
    )
    names = {(row.get("method"), row["estimate"]) for row in rows if row["against"] == "truth"}
    assert names == {(None, "single"), (None, "mean_of_2"), ("standard dose", "reference")}


def test_scans_without_a_truth_are_compared_with_the_standard_dose_alone() -> None:
    assert not measured(LOW, against="truth")
    assert not measured(LOW, estimate="reference")
