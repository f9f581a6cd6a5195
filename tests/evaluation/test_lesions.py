"""Lesion contrasts on slices where the answer is known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.lesions import (
    pet_only_cold_percent,
    pet_only_contrast_percent,
    pet_only_hot_percent,
    t1_only_cold_percent,
    t1_only_hot_percent,
    t1_only_rms_percent,
)

BACKGROUND = 10.0


def disc(y: int, x: int) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return (rows - y) ** 2 + (columns - x) ** 2 <= 16


HOT, COLD, T1_HOT, T1_COLD = disc(16, 16), disc(16, 48), disc(48, 16), disc(48, 48)


def phantom() -> SliceImages:
    """A hot (+8) and a cold (-4) PET-only lesion, and a bright and a dark T1-only lesion."""
    standard = BACKGROUND + 8.0 * HOT - 4.0 * COLD
    return SliceImages(
        restored=standard,
        standard=standard,
        t1=100.0 + 50.0 * T1_HOT - 20.0 * T1_COLD,
        head=np.ones((64, 64), dtype=bool),
        pet_lesions=(1 * HOT + 2 * COLD).astype(np.uint8),
        t1_lesions=(1 * T1_HOT + 2 * T1_COLD).astype(np.uint8),
    )


def test_the_standard_dose_keeps_everything_and_invents_nothing() -> None:
    assert pet_only_contrast_percent(phantom(), 1.0) == pytest.approx(100.0)
    for gained in (t1_only_hot_percent, t1_only_cold_percent, t1_only_rms_percent):
        assert gained(phantom(), 1.0) == pytest.approx(0.0)


def test_a_fraction_of_the_contrast_is_that_fraction() -> None:
    restored = BACKGROUND + 0.25 * (8.0 * HOT - 4.0 * COLD)
    assert pet_only_contrast_percent(replace(phantom(), restored=restored), 1.0) == pytest.approx(25.0)


def test_hot_and_cold_losses_do_not_cancel() -> None:
    lost_both = np.full((64, 64), BACKGROUND)
    assert pet_only_contrast_percent(replace(phantom(), restored=lost_both), 1.0) == pytest.approx(0.0)
    lost_cold = BACKGROUND + 8.0 * HOT
    kept = pet_only_contrast_percent(replace(phantom(), restored=lost_cold), 1.0)
    assert kept == pytest.approx(100.0 * 8 / 12)


def test_an_enhanced_hot_lesion_does_not_hide_a_lost_cold_one() -> None:
    restored = BACKGROUND + 12.0 * HOT
    images = replace(phantom(), restored=restored)
    assert pet_only_contrast_percent(images, 1.0) == pytest.approx(100.0)
    assert pet_only_hot_percent(images, 1.0) == pytest.approx(150.0)
    assert pet_only_cold_percent(images, 1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(("hot", "cold"), [(3.0, -1.0), (-3.0, 1.0), (2.0, 2.0), (-2.0, -2.0)])
def test_what_follows_t1_is_seen_with_its_sign_and_never_cancels(hot: float, cold: float) -> None:
    restored = phantom().standard + hot * T1_HOT + cold * T1_COLD
    images = replace(phantom(), restored=restored)
    assert t1_only_hot_percent(images, 1.0) == pytest.approx(100.0 * hot / BACKGROUND)
    assert t1_only_cold_percent(images, 1.0) == pytest.approx(100.0 * cold / BACKGROUND)
    rms = 100.0 * ((hot**2 + cold**2) / 2) ** 0.5 / BACKGROUND
    assert t1_only_rms_percent(images, 1.0) == pytest.approx(rms)


def test_lesions_of_both_modalities_are_left_out() -> None:
    images = replace(phantom(), t1_lesions=phantom().pet_lesions)
    assert np.isnan(pet_only_contrast_percent(images, 1.0))
    for gained in (t1_only_hot_percent, t1_only_cold_percent, t1_only_rms_percent):
        assert np.isnan(gained(images, 1.0))


def test_no_lesion_and_too_small_a_lesion_are_undefined() -> None:
    none = np.zeros((64, 64), dtype=np.uint8)
    assert np.isnan(pet_only_contrast_percent(replace(phantom(), pet_lesions=none), 1.0))
    speck = none.copy()
    speck[5, 5:8] = 1
    assert np.isnan(pet_only_contrast_percent(replace(phantom(), pet_lesions=speck), 1.0))
