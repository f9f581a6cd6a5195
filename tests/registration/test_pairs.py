"""What benchmarks and tests of registration measure against."""

from __future__ import annotations

import numpy as np
import pytest
from registration_pairs import MOST_DEG, MOST_MM, displaced

from quietpet.registration.volume import RigidTransform


def test_a_displaced_header_leaves_the_images_where_they_meet(template_pair):
    """The truth takes each place in T1 to the same voxel of PET as before."""
    voxels = template_pair.pet.indices(template_pair.truth.apply(template_pair.brain_mm))
    centre = template_pair.brain_mm.mean(axis=0, keepdims=True)
    truths = []
    for number in range(1, 6):
        case = displaced(template_pair, name="head", number=number)
        np.testing.assert_allclose(
            case.pet.indices(case.truth.apply(case.brain_mm)), voxels, rtol=0, atol=1e-6
        )
        assert case.truth.rotation_deg <= MOST_DEG
        assert np.linalg.norm(case.truth.apply(centre) - centre) <= MOST_MM
        truths.append(case.truth.fixed_to_moving)
    assert len({truth.tobytes() for truth in truths}) == 5
    again = displaced(template_pair, name="head", number=1)
    np.testing.assert_array_equal(again.truth.fixed_to_moving, truths[0])


def test_a_shift_is_what_registration_left_in_the_axes_of_t1(template_pair):
    left_mm = (0.3, -0.2, -0.9)
    found = template_pair.truth @ RigidTransform.from_rotation(translation_mm=left_mm)
    assert template_pair.shift_mm(found) == pytest.approx(left_mm)
    assert template_pair.error_mm(found) == pytest.approx(np.linalg.norm(left_mm))
