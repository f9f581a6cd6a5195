from __future__ import annotations

import math

import numpy as np
import pytest

from quietpet.config.phantoms import LesionSettings
from quietpet.errors import InputError
from quietpet.phantom.lesions import Lesion, draw_lesions, lesion_values, paint
from quietpet.phantom.tissues import LESION_BASE, LabelVolume, Tissue


@pytest.fixture(scope="module")
def volume() -> LabelVolume:
    """White matter in the middle of grey matter."""
    codes = np.full((120, 130, 140), Tissue.GREY_MATTER, np.uint8)
    codes[40:80, 40:90, 40:100] = Tissue.WHITE_MATTER
    return LabelVolume(codes=codes, voxel_mm=0.5)


def _lesion(number: int, voxel: tuple[int, int, int], radius_mm: float) -> Lesion:
    return Lesion(number=number, hot=True, voxel=voxel, radius_mm=radius_mm)


@pytest.mark.parametrize("radius_mm", [5.0, 6.37, 8.0])
def test_a_painted_sphere_has_the_volume_of_a_sphere(volume: LabelVolume, radius_mm: float) -> None:
    painted = paint(volume, [_lesion(3, (60, 60, 70), radius_mm)])
    found_mm3 = np.count_nonzero(painted.codes == LESION_BASE + 3) * volume.voxel_mm**3
    assert found_mm3 == pytest.approx(4 / 3 * math.pi * radius_mm**3, rel=0.01)


def test_painting_touches_nothing_else_and_not_the_original(volume: LabelVolume) -> None:
    before = volume.codes.copy()
    painted = paint(volume, [_lesion(1, (60, 60, 70), 5.0)])
    np.testing.assert_array_equal(volume.codes, before)
    elsewhere = painted.codes <= LESION_BASE
    np.testing.assert_array_equal(painted.codes[elsewhere], before[elsewhere])


def test_later_lesions_overwrite_earlier_ones(volume: LabelVolume) -> None:
    first, second = _lesion(1, (60, 60, 66), 5.0), _lesion(2, (60, 60, 70), 5.0)
    painted = paint(volume, [first, second]).codes
    alone = paint(volume, [second]).codes
    np.testing.assert_array_equal(painted == LESION_BASE + 2, alone == LESION_BASE + 2)
    assert np.count_nonzero(painted == LESION_BASE + 1) > 0


def test_a_sphere_at_the_border_is_cut_off_there(volume: LabelVolume) -> None:
    painted = paint(volume, [_lesion(1, (0, 60, 70), 6.0)]).codes
    half_mm3 = 2 / 3 * math.pi * 6.0**3
    found_mm3 = np.count_nonzero(painted > LESION_BASE) * volume.voxel_mm**3
    disc_mm3 = math.pi * 6.0**2 * volume.voxel_mm / 2
    assert found_mm3 == pytest.approx(half_mm3 + disc_mm3, rel=0.02)


def test_drawn_lesions_follow_the_published_law(volume: LabelVolume) -> None:
    lesions = draw_lesions(volume, settings=LesionSettings(), rng=np.random.default_rng(5))
    assert [lesion.number for lesion in lesions] == list(range(1, 16))
    assert sum(lesion.hot for lesion in lesions) == 9
    assert all(volume.codes[lesion.voxel] == Tissue.WHITE_MATTER for lesion in lesions)
    assert all(5.0 <= lesion.radius_mm <= 8.0 for lesion in lesions)


def test_the_mean_radius_is_that_of_the_law(volume: LabelVolume) -> None:
    rng = np.random.default_rng(6)
    settings = LesionSettings(count=60)
    radii_mm = [
        lesion.radius_mm
        for _ in range(50)
        for lesion in draw_lesions(volume, settings=settings, rng=rng)
    ]
    # E[2 + 3 * 2**u] = 2 + 3 / ln 2; the standard error of 3000 draws is 0.016 mm.
    assert np.mean(radii_mm) == pytest.approx(2 + 3 / math.log(2), abs=0.06)


def test_more_lesions_leave_the_earlier_ones_in_place(volume: LabelVolume) -> None:
    few = draw_lesions(volume, settings=LesionSettings(count=5), rng=np.random.default_rng(7))
    many = draw_lesions(volume, settings=LesionSettings(count=9), rng=np.random.default_rng(7))
    assert [lesion.voxel for lesion in few] == [lesion.voxel for lesion in many[:5]]


def test_no_lesions_can_be_asked_for(volume: LabelVolume) -> None:
    assert draw_lesions(volume, settings=LesionSettings(count=0), rng=np.random.default_rng(0)) == ()


def test_a_volume_without_white_matter_is_refused() -> None:
    empty = LabelVolume(codes=np.zeros((4, 4, 4), np.uint8), voxel_mm=1.0)
    with pytest.raises(InputError, match="no white matter"):
        draw_lesions(empty, settings=LesionSettings(), rng=np.random.default_rng(0))


def test_hot_and_cold_lesions_get_their_values() -> None:
    cold = Lesion(number=2, hot=False, voxel=(0, 0, 0), radius_mm=5.0)
    assert lesion_values([_lesion(1, (0, 0, 0), 5.0), cold], hot=144, cold=16) == {1: 144, 2: 16}
