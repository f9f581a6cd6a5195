"""In-vivo slices in the packed file: the right pixels of the right images, or one clear error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from quietpet.config.invivo import SlicePlaneSettings
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.files.volumes import write_volume
from quietpet.geometry.volume import Volume
from quietpet.jobs.datasets import PackScansJob
from quietpet.registration.volume import RigidTransform
from quietpet.stages import pack_scans

HALF_AXES_MM = np.array([62.0, 80.0, 70.0])
GRADIENT = np.array([0.4, -0.3, 0.6])
T1_TO_PET = RigidTransform.from_rotation(euler_deg=(4, -3, 6), translation_mm=(5, -4, 3))
PIXELS, PIXEL_MM = 96, 2.5


@dataclass(frozen=True)
class Scan:
    """Files of one participant, by the names of the stage."""

    paths: dict[str, Path]


def grid(shape: tuple[int, int, int], voxel_mm: float) -> Volume:
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = -voxel_mm * (np.array(shape) - 1) / 2
    return Volume(values=np.zeros(shape, np.float32), affine_ras_mm=affine)


def filled(empty: Volume, function) -> Volume:
    positions_mm = empty.world_mm(np.argwhere(np.ones(empty.values.shape)))
    values = function(positions_mm).reshape(empty.values.shape).astype(np.float32)
    return Volume(values=values, affine_ras_mm=empty.affine_ras_mm)


def in_head(t1_mm: np.ndarray) -> np.ndarray:
    return ((t1_mm / HALF_AXES_MM) ** 2).sum(axis=1) <= 1


def activity(pet_mm: np.ndarray) -> np.ndarray:
    """Linear in the PET's world, so that interpolating it adds no error."""
    return 500 + pet_mm @ GRADIENT


def make_scan(folder: Path, participant: str, *, units: str = "Bq/mL", low_factor: float = 2.0) -> Scan:
    names = {"t1": "T1w.nii.gz", "standard": "standard.nii.gz", "low": "16s.nii.gz"}
    names |= {"scan": "scan.json", "registration": "registration.json"}
    paths = {name: folder / participant / file for name, file in names.items()}
    pet = filled(grid((80, 90, 80), 3.0), activity)
    write_volume(paths["standard"], pet)
    write_volume(paths["low"], Volume(values=low_factor * pet.values, affine_ras_mm=pet.affine_ras_mm))
    write_volume(paths["t1"], filled(grid((70, 90, 80), 2.0), lambda mm: 100.0 * in_head(mm)))
    write_json(
        paths["scan"],
        {
            "participant": participant,
            "data_source": "standin-template",
            "units": units,
            "windows": {"standard": {}, "16s": {}},
        },
    )
    matrix = T1_TO_PET.fixed_to_moving.tolist()
    write_json(paths["registration"], {"engine": "embedded", "t1_to_pet_ras_mm": matrix})
    return Scan(paths)


def job(*participants: str, **changes: object) -> PackScansJob:
    # 80 slices of 2 mm: slice 45 is 11 mm above the middle.
    slices = SlicePlaneSettings(
        indices=(40, 45), axis_slices=80, slice_mm=2.0, rotations=2, pixel_mm=PIXEL_MM
    )
    settings = {
        "study_seed": 3,
        "dataset": "ood1",
        "setting": "16s",
        "split": "test",
        "source": "rspetmr",
        "participants": participants,
        "window": "16s",
        "slices": slices,
        "pixels": PIXELS,
    }
    return PackScansJob.model_validate(settings | changes)


def packed(tmp_path: Path, scans: list[Scan], settings: PackScansJob) -> PairDataset:
    target = tmp_path / "test.h5"
    inputs = {name: [scan.paths[name] for scan in scans] for name in scans[0].paths}
    pack_scans.run(settings, Files(inputs), Files({"dataset": [target]}))
    return PairDataset(target)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> list[Scan]:
    folder = tmp_path_factory.mktemp("scans")
    return [make_scan(folder, name) for name in ("04", "07")]


def test_every_pixel_holds_the_activity_at_its_place_in_the_pet(tmp_path, scans):
    pairs = packed(tmp_path, scans, job("04", "07"))
    assert len(pairs) == 2 * 2 * 2
    assert pairs.keys[:4] == ["04/z040/r0", "04/z040/r1", "04/z045/r0", "04/z045/r1"]
    assert pairs.pixel_mm == pytest.approx(PIXEL_MM)
    for pair in map(pairs.__getitem__, range(4)):
        step_mm = (np.arange(PIXELS) - PIXELS // 2) * PIXEL_MM
        right, front = np.meshgrid(step_mm, -step_mm)
        angle = np.deg2rad(pair.angle_deg)
        turned = (
            right * np.cos(angle) + front * np.sin(angle),
            front * np.cos(angle) - right * np.sin(angle),
        )
        t1_mm = np.stack([*turned, np.full_like(right, pair.slice_mm)], axis=-1).reshape(-1, 3)
        inner = in_head(1.2 * t1_mm).reshape(right.shape)
        expected = activity(T1_TO_PET.apply(t1_mm)).reshape(right.shape)
        # The middle of the head is found to within a voxel of 4 mm: 1.5 Bq/mL here.
        np.testing.assert_allclose(pair.standard[inner], expected[inner], atol=2.5)
        np.testing.assert_allclose(pair.low[inner], 2 * pair.standard[inner], rtol=1e-6)
    assert pairs[0].angle_deg == 0
    assert pairs[1].angle_deg != 0


def test_slices_lie_at_their_millimetres(tmp_path, scans):
    pairs = packed(tmp_path, scans[:1], job("04"))
    assert [pairs[row].slice_mm for row in (0, 2)] == [1.0, 11.0]


def test_the_head_is_that_of_t1_and_there_are_no_lesions(tmp_path, scans):
    pair = packed(tmp_path, scans[:1], job("04"))[0]
    # The outline is that of an image of 4-mm voxels, outside the head by less than one of them.
    smallest_mm2, largest_mm2 = (np.pi * np.prod(HALF_AXES_MM[:2] + margin) for margin in (0.0, 4.0))
    assert smallest_mm2 < pair.head.sum() * PIXEL_MM**2 < largest_mm2
    assert pair.truth is None
    assert not pair.pet_lesions.any()
    assert not pair.t1_lesions.any()


def test_the_file_says_what_the_pairs_are(tmp_path, scans):
    pairs = packed(tmp_path, scans, job("04", "07"))
    assert pairs.lineage == {
        "data_source": "standin-template",
        "projector": "-",
        "registration": "embedded",
    }
    assert (pairs.dataset, pairs.setting, pairs.split) == ("ood1", "16s", "test")
    assert pairs.subjects[::4] == ["04", "07"]


def test_angles_belong_to_the_participant_and_not_to_the_company(tmp_path, scans):
    together = packed(tmp_path, scans, job("04", "07"))
    alone = packed(tmp_path / "alone", scans[1:], job("07"))
    assert [together[row].angle_deg for row in range(4, 8)] == [alone[row].angle_deg for row in range(4)]


def test_the_files_of_other_participants_are_refused(tmp_path, scans):
    with pytest.raises(InputError, match=r"test split is \('04', '07'\), but scans of \('07', '04'\)"):
        packed(tmp_path, scans[::-1], job("04", "07"))


def test_a_window_that_was_not_imported_is_refused(tmp_path, scans):
    with pytest.raises(InputError, match=r"scan\.json: has no window '2min'"):
        packed(tmp_path, scans[:1], job("04", window="2min"))


def test_images_in_different_units_are_refused(tmp_path, scans):
    other = make_scan(tmp_path, "09", units="kBq/mL")
    with pytest.raises(InputError, match=r"09/scan\.json is in kBq/mL, but .*04/scan\.json in Bq/mL"):
        packed(tmp_path, [scans[0], other], job("04", "09"))


def test_slices_beyond_the_image_are_refused(tmp_path, scans):
    slices = SlicePlaneSettings(indices=(250,), axis_slices=256, slice_mm=1.0)
    with pytest.raises(InputError, match=r"T1w\.nii\.gz: has 80 slices of 2 mm, none at"):
        packed(tmp_path, scans[:1], job("04", slices=slices))
