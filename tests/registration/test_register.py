"""The embedded engine finds known motions, and results that cannot be right are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.registration.register import Registration, register_rigid, require_credible
from quietpet.registration.volume import RigidTransform, Volume

NAMES = ("t1.nii.gz", "pet.nii.gz")


@pytest.fixture(scope="module")
def found(template_pair):
    return register_rigid(template_pair.t1, template_pair.pet, engine="embedded")


@pytest.fixture(scope="module")
def coarse(coarse_pair):
    return register_rigid(coarse_pair.t1, coarse_pair.pet, engine="embedded")


def turned_end_for_end(volume):
    """The same head, its header mirrored left to right and front to back."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return Volume(values=volume.values, affine_ras_mm=flip @ volume.affine_ras_mm)


def test_template_within_the_goals(found, template_pair):
    """Goals: 0.3 mm on average over the brain, no voxel beyond 1.5 mm."""
    error_mm = template_pair.error_mm(found.transform)
    assert error_mm.mean() < 0.3
    assert error_mm.max() < 1.5


def test_brainweb_within_the_goals(brainweb_pair):
    """Goal: 0.6 mm on average."""
    found = register_rigid(brainweb_pair.t1, brainweb_pair.pet, engine="embedded")
    error_mm = brainweb_pair.error_mm(found.transform)
    assert error_mm.mean() < 0.6
    assert error_mm.max() < 1.5


def test_the_result_is_described(found, template_pair):
    truth = template_pair.truth
    centre = template_pair.brain_mm.mean(axis=0, keepdims=True)
    assert found.engine == "embedded"
    assert "SimpleITK" in found.version
    assert found.rotation_deg == pytest.approx(truth.rotation_deg, abs=0.3)
    moved_mm = truth.distance_mm(RigidTransform.identity(), centre)[0]
    assert found.translation_mm == pytest.approx(moved_mm, abs=5)  # of the head, not of the brain
    assert found.offset_mm < 5
    assert found.field_of_view > 0.95
    assert found.nmi_after > found.nmi_before
    assert found.nmi_after > found.nmi_nudged
    require_credible(found, RegistrationSettings(), names=NAMES)


def test_the_number_of_cores_changes_nothing(coarse, coarse_pair):
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        again = register_rigid(coarse_pair.t1, coarse_pair.pet, engine="embedded")
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    np.testing.assert_array_equal(again.transform.fixed_to_moving, coarse.transform.fixed_to_moving)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"field_of_view": 0.4}, r"only 40% of the head .*least_field_of_view = 70%"),
        ({"rotation_deg": 178.0}, r"turned PET by 178\.0 degrees .*most_rotation_deg = 45"),
        ({"offset_mm": 80.0}, r"end 80\.0 mm apart .*most_offset_mm = 50"),
        ({"nmi_before": 1.5}, r"lowered the normalised mutual information from 1\.5000 to"),
        ({"nmi_nudged": 1.5}, r"degrees away .* 1\.5000, no less than"),
    ],
)
def test_incredible_results_are_refused(wrong, complaint):
    sound = Registration(
        transform=RigidTransform.identity(),
        engine="embedded",
        version="SimpleITK",
        nmi_before=1.2,
        nmi_after=1.4,
        nmi_nudged=1.3,
        rotation_deg=10.0,
        translation_mm=10.0,
        offset_mm=5.0,
        field_of_view=1.0,
        seconds=1.0,
    )
    require_credible(sound, RegistrationSettings(), names=NAMES)
    with pytest.raises(InputError, match=rf"pet\.nii\.gz: its registration to t1\.nii\.gz.*{complaint}"):
        require_credible(replace(sound, **wrong), RegistrationSettings(), names=NAMES)


def test_a_wrong_orientation_is_found(coarse_pair):
    """A header turned by 180 degrees is no small motion; whatever the engine finds is refused."""
    wrong = register_rigid(coarse_pair.t1, turned_end_for_end(coarse_pair.pet), engine="embedded")
    with pytest.raises(InputError, match="not credible"):
        require_credible(wrong, RegistrationSettings(), names=NAMES)


def test_a_cut_head_is_found(coarse_pair):
    """PET that ends above the ears shows less than half of the head."""
    pet = coarse_pair.pet
    affine = pet.affine_ras_mm.copy()
    affine[:3, 3] = pet.world_mm(np.array([[0.0, 0.0, 38.0]]))[0]
    top = Volume(values=pet.values[:, :, 38:], affine_ras_mm=affine)
    cut = register_rigid(coarse_pair.t1, top, engine="embedded")
    with pytest.raises(InputError, match="of the head in T1 lies within the PET image"):
        require_credible(cut, RegistrationSettings(), names=NAMES)


@pytest.mark.parametrize("which", [0, 1])
def test_nan_is_named_before_any_work(coarse_pair, which):
    volumes = [coarse_pair.t1, coarse_pair.pet]
    broken = volumes[which].values.copy()
    broken[3, 4, 5] = np.nan
    volumes[which] = replace(volumes[which], values=broken)
    with pytest.raises(InputError, match=rf"{NAMES[which]}: 1 of \d+ voxels are not finite"):
        register_rigid(*volumes, engine="embedded", names=NAMES)
