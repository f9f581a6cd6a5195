from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from quietpet.config.phantoms import FB_SEM_ACTIVITY, FB_SEM_MU_PER_CM, FB_SEM_T1, LesionSettings
from quietpet.phantom.tissues import LESION_BASE, Tissue, lesion_numbers, value_table

# raw label: (activity, mu [1/cm], T1), as the FB-SEM training-set builder assigns them
FB_SEM = {
    0: (0, 0, 0),
    16: (8, 0.0975, 48),
    32: (96, 0.0975, 106),
    48: (32, 0.0975, 154),
    64: (8, 0.0975, 0),
    80: (8, 0.0975, 0),
    96: (16, 0.0975, 92),
    112: (8, 0.13, 48),
    128: (8, 0.0975, 0),
    145: (8, 0.0975, 0),
    161: (8, 0.13, 48),
    177: (8, 0.13, 48),
}


@pytest.mark.parametrize("raw", FB_SEM)
def test_raw_labels_get_the_published_values(raw: int) -> None:
    code = raw & 0xF0
    values = [value_table(v)[code] for v in (FB_SEM_ACTIVITY, FB_SEM_MU_PER_CM, FB_SEM_T1)]
    np.testing.assert_allclose(values, FB_SEM[raw], rtol=1e-6)


def test_there_are_twelve_classes_in_steps_of_16() -> None:
    assert [int(tissue) for tissue in Tissue] == list(range(0, 192, 16))


def test_lesion_codes_lie_above_the_tissues_and_fit_a_byte() -> None:
    limit = 255 - LESION_BASE
    assert max(Tissue) < LESION_BASE + 1
    assert LesionSettings(count=limit).count == limit
    with pytest.raises(ValidationError):
        LesionSettings(count=limit + 1)


def test_lesion_values_and_numbers_come_back_from_the_codes() -> None:
    codes = np.array([0, 48, LESION_BASE + 1, LESION_BASE + 15], np.uint8)
    table = value_table(FB_SEM_ACTIVITY, {1: 144.0, 15: 16.0})
    assert table[codes].tolist() == [0, 32, 144, 16]
    assert lesion_numbers(codes).tolist() == [0, 0, 1, 15]
    assert lesion_numbers(codes).dtype == np.uint8
