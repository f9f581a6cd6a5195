"""T1 that is moved, turned or another's, against closed forms."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from packed import write_packed
from scipy.ndimage import center_of_mass

from quietpet.data.dataset import PairDataset
from quietpet.data.scaling import activity_weighted_mean
from quietpet.data.wrong_t1 import (
    WrongT1Pairs,
    drawn_shift_mm,
    drawn_sign,
    rotated,
    rows_of_next_subject,
    shifted,
)
from quietpet.errors import InputError
from quietpet.phantom.slices import rotate

PIXEL_MM = 2.08626
PIXELS = 65
CENTRE = PIXELS // 2


def blob(y, x, *, sigma=3.0, pixels=PIXELS):
    """A Gaussian about (y, x), in pixels."""
    rows, columns = np.ogrid[:pixels, :pixels]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)).astype(np.float64)


@pytest.mark.parametrize("shift_mm", [(2.0, 0.0), (0.0, -2.0), (2.4, 3.2), (-1.7, 0.3), (0.0, 0.0)])
def test_the_centre_of_a_blob_moves_by_exactly_the_millimetres(shift_mm):
    """Linear interpolation moves a centre of mass exactly, whatever the fraction of a pixel."""
    image = blob(30.0, 34.0)
    moved = shifted(image, shift_mm=shift_mm, pixel_mm=PIXEL_MM)
    before, after = np.array(center_of_mass(image)), np.array(center_of_mass(moved))
    np.testing.assert_allclose((after - before) * PIXEL_MM, shift_mm, atol=1e-5)
    assert moved.sum() == pytest.approx(image.sum(), rel=1e-6)


def test_a_shift_blurs_by_the_variance_of_linear_interpolation():
    """A fraction f of a pixel adds f (1 - f) to the variance along the axis: weights f and 1 - f."""
    moved = shifted(blob(32.0, 32.0), shift_mm=(0.0, 0.5 * PIXEL_MM), pixel_mm=PIXEL_MM)
    columns = np.arange(PIXELS)
    weights = moved.sum(axis=0) / moved.sum()
    mean = (weights * columns).sum()
    assert (weights * (columns - mean) ** 2).sum() == pytest.approx(3.0**2 + 0.25, rel=1e-6)


def test_whole_pixels_are_moved_as_they_are_and_zero_comes_in():
    image = np.arange(1.0, 26.0).reshape(5, 5)
    moved = shifted(image, shift_mm=(2 * PIXEL_MM, -PIXEL_MM), pixel_mm=PIXEL_MM)
    expected = np.zeros((5, 5))
    expected[2:, :-1] = image[:-2, 1:]
    np.testing.assert_allclose(moved, expected, atol=1e-9)


@pytest.mark.parametrize("angle_deg", [3.0, -3.0, 90.0])
def test_a_known_point_is_turned_about_the_centre(angle_deg):
    """Counter-clockwise as displayed: a point to the right of the centre goes up, to lower rows."""
    radius = 20.0
    turned = rotated(blob(CENTRE, CENTRE + radius), angle_deg)
    angle = np.deg2rad(angle_deg)
    expected = (CENTRE - radius * np.sin(angle), CENTRE + radius * np.cos(angle))
    np.testing.assert_allclose(center_of_mass(turned), expected, atol=2e-3)
    assert turned.sum() == pytest.approx(blob(CENTRE, CENTRE + radius).sum(), rel=1e-4)


@pytest.mark.parametrize("pixels", [64, 65])
def test_phantoms_are_turned_alike(pixels):
    image = blob(20.0, 37.0, pixels=pixels)
    np.testing.assert_allclose(rotated(image, 3.0), rotate(image, 3.0, order=1), atol=1e-10)


def test_from_outside_comes_zero():
    ones = np.ones((9, 9), np.float32)
    turned = rotated(ones, 45.0)
    assert turned[4, 4] == 1
    assert turned[0, 0] == turned[8, 8] == 0
    assert turned.dtype == np.float32


def test_directions_are_of_the_slice_alone_and_point_everywhere():
    """The same for 2 and 4 mm; their mean is that of independent directions, 0 within 4 sigma."""
    keys = [f"45/z{number:03d}/r0" for number in range(400)]
    shifts = np.array([drawn_shift_mm(2.0, study_seed=7, key=key) for key in keys])
    np.testing.assert_allclose(np.hypot(*shifts.T), 2.0)
    np.testing.assert_allclose(2 * shifts, [drawn_shift_mm(4.0, study_seed=7, key=key) for key in keys])
    assert np.abs(shifts.mean(axis=0)).max() < 4 * 2.0 / np.sqrt(2 * len(keys))
    signs = [drawn_sign(study_seed=7, key=key) for key in keys]
    assert set(signs) == {-1, 1}
    assert abs(np.mean(signs)) < 4 / np.sqrt(len(keys))
    assert drawn_shift_mm(2.0, study_seed=8, key=keys[0]) != tuple(shifts[0])


def test_the_next_subject_has_the_same_slice_and_the_last_the_first():
    subjects = ["45", "45", "46", "46", "47", "47"]
    assert rows_of_next_subject(subjects, origin="test.h5") == [2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (["45", "45"], r"test\.h5: holds one subject, '45', and no other .* test two subjects"),
        (
            ["45", "45", "46"],
            r"test\.h5: its subjects have different numbers of slices \(45: 2, 46: 1\)",
        ),
    ],
)
def test_where_no_other_subject_can_be_taken(subjects, message):
    with pytest.raises(InputError, match=message):
        rows_of_next_subject(subjects, origin="test.h5")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Two subjects of three slices, with rings of different sizes."""
    path = write_packed(tmp_path_factory.mktemp("wrong") / "test.h5", slices=6)
    with h5py.File(path, "r+") as file:
        del file["subject"]
        file["subject"] = ["45"] * 3 + ["46"] * 3
    return path


def wrong(packed, condition, **options):
    return WrongT1Pairs(packed, condition=condition, **{"study_seed": 1, **options})


def test_own_t1_is_the_data_set_itself(packed):
    for pair, own in zip(PairDataset(packed), wrong(packed, "own"), strict=True):
        np.testing.assert_array_equal(own.t1, pair.t1)
        assert own.t1_scale == pair.t1_scale


def test_another_subjects_t1_comes_with_its_scale_and_nothing_else_changes(packed):
    pairs = PairDataset(packed)
    for row, pair in enumerate(wrong(packed, "other_subject")):
        other = pairs[(row + 3) % 6]
        np.testing.assert_array_equal(pair.t1, other.t1)
        assert pair.t1_scale == pytest.approx(other.t1_scale)
        assert (pair.key, pair.subject, pair.scale) == (
            pairs.keys[row], pairs.subjects[row], pairs[row].scale,
        )  # fmt: skip
        np.testing.assert_array_equal(pair.low, pairs[row].low)


def test_another_subjects_t1_is_turned_to_the_angle_of_the_slice(tmp_path):
    """Blobs at known angles about the centre: whose they are differs, and not how they are turned."""
    path = write_packed(tmp_path / "test.h5", slices=4)
    angles_deg, radii = np.array([0.0, 10.0, 0.0, -8.0]), np.array([14.0, 14.0, 20.0, 20.0])
    with h5py.File(path, "r+") as file:
        pixels = file["t1"].shape[-1]
        radii *= pixels / PIXELS
        centre, angle = pixels // 2, np.deg2rad(angles_deg)
        for row in range(4):
            y, x = centre - radii[row] * np.sin(angle[row]), centre + radii[row] * np.cos(angle[row])
            file["t1"][row] = blob(y, x, pixels=pixels)
        file["angle_deg"][...] = angles_deg
        del file["subject"]
        file["subject"] = ["45", "45", "46", "46"]
    pairs = WrongT1Pairs(path, condition="other_subject", study_seed=1)
    for row, other in enumerate([2, 3, 0, 1]):
        expected = (
            centre - radii[other] * np.sin(angle[row]), centre + radii[other] * np.cos(angle[row]),
        )  # fmt: skip
        np.testing.assert_allclose(center_of_mass(pairs[row].t1), expected, atol=5e-3)
    for row in (1, 3):
        assert pairs[row].t1_scale == pytest.approx(activity_weighted_mean(pairs[row].t1))
    # Of equal angles it is the other's as packed, not interpolated.
    np.testing.assert_array_equal(pairs[0].t1, PairDataset(path)[2].t1)


@pytest.mark.parametrize(("condition", "length_mm"), [("shift_2mm", 2.0), ("shift_4mm", 4.0)])
def test_slices_are_moved_by_the_named_millimetres(packed, condition, length_mm):
    pairs = PairDataset(packed)
    for before, after in zip(pairs, wrong(packed, condition), strict=True):
        moved = np.subtract(center_of_mass(after.t1), center_of_mass(before.t1)) * pairs.pixel_mm
        np.testing.assert_allclose(
            moved, drawn_shift_mm(length_mm, study_seed=1, key=before.key), atol=1e-4
        )
        assert after.t1_scale == activity_weighted_mean(after.t1)


def test_slices_are_turned_by_three_degrees_to_either_side(packed):
    for before, after in zip(PairDataset(packed), wrong(packed, "rotate_3deg"), strict=True):
        sign = drawn_sign(study_seed=1, key=before.key)
        np.testing.assert_array_equal(after.t1, rotated(before.t1, 3.0 * sign))


def test_a_wrong_t1_does_not_depend_on_what_is_read_before(packed):
    forwards, backwards = wrong(packed, "shift_4mm"), wrong(packed, "shift_4mm")
    read = {row: backwards[row].t1 for row in reversed(range(6))}
    for row in range(6):
        np.testing.assert_array_equal(forwards[row].t1, read[row])
