"""A stand-in cohort of which one participant has no T1: from BIDS to restored slices."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest
from heads import head_with_ball
from importing import fetch_job, import_job, imported
from pydantic import TypeAdapter

from quietpet.commands.check_registration import check_registration
from quietpet.config.invivo import SlicePlaneSettings, WindowSettings
from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.registration import RegistrationSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinCohortSettings, StandinParticipant, StandinScanSettings
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute
from quietpet.files.named import Files
from quietpet.files.text import read_json, write_text
from quietpet.files.volumes import read_volume
from quietpet.jobs.datasets import PackScansJob
from quietpet.jobs.invivo import RegisterJob
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.registration.formats import matrix_text
from quietpet.registration.volume import RigidTransform
from quietpet.stages import fetch_invivo, fit, pack_scans, register, restore, standin, standin_cohort
from quietpet.standin.layout import participant_files, runs_of

pytestmark = pytest.mark.usefixtures("on_the_cpu")

SCAN = StandinScanSettings(
    frames=((5, 16),), t1_voxel_mm=3.0, t1_shape=(60, 80, 70), subsets=7, axial_step=1,
    sensitivity_cps_per_kbq=400.0,
)  # fmt: skip
COHORT = StandinCohortSettings(
    layout="ds002898",
    infusion_minutes=55,
    participants={
        name: StandinParticipant(anatomy="04", administration="infusion", injected_mbq=dose)
        for name, dose in (("01", 225.0), ("02", 231.0))
    },
)
WINDOWS = {
    "standard": WindowSettings(frames=5, start_minutes=30),
    "16s": WindowSettings(frames=1, start_minutes=30.5),
}
MADE = ("standard", "low", "registration", "itk", "matrix", "fsl", "figure")
MUNET = {"kind": "munet", "channels": (4, 8), "convolutions": 1}


def write_cohort(root):
    names = ("description", "readme", "participants", "participants_json", "ignored")
    files = (
        "dataset_description.json",
        "README",
        "participants.tsv",
        "participants.json",
        ".bidsignore",
    )
    outputs = {name: [root / file] for name, file in zip(names, files, strict=True)}
    standin_cohort.run(
        StandinCohortJob(cohort="monash", settings=COHORT, scan=SCAN), Files({}), Files(outputs)
    )
    phantoms = PhantomSettings()
    for participant in COHORT.participants:
        made = participant_files(COHORT.layout, participant, runs=len(runs_of(SCAN)))
        job = StandinJob(
            study_seed=1, cohort="monash", participant=participant, layout=COHORT.layout, defects=False,
            infusion_minutes=55, participants=COHORT.participants, scan=SCAN,
            scanner=ScannerSettings(model="small_test", image_pixels=64), mu_per_cm=phantoms.mu_per_cm,
            t1=phantoms.t1, template=phantoms.template,
        )  # fmt: skip
        outputs = {
            "pet": [root / path for path in made.pet],
            "pet_json": [root / path for path in made.pet_sidecars],
            "t1": [root / made.t1],
            "t1_json": [root / made.t1_sidecar],
            "truth": [root.parent / f"truth-{participant}.json"],
        }
        standin.run(job, Files({}), Files(outputs))


def registered(results, *, transform=None):
    settings = RegistrationSettings(**({"engine": "file", "transform": "x.txt"} if transform else {}))
    inputs = {"standard": ["standard.nii.gz"], "low": ["16s.nii.gz"], "t1": ["T1w.nii.gz"]}
    given = {name: [results / file for file in files] for name, files in inputs.items()}
    given |= {"transform": [transform]} if transform else {}
    files = ("standard.nii.gz", "16s.nii.gz", "r.json", "x.tfm", "x.txt", "x.mat", "qc.png")
    outputs = {name: [results / "registered" / file] for name, file in zip(MADE, files, strict=True)}
    register.run(RegisterJob(scan="own", registration=settings), Files(given), Files(outputs))
    return results


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two participants, of whom 02 has no T1."""
    root = tmp_path_factory.mktemp("cohort") / "bids"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())
        write_cohort(root)
    shutil.rmtree(root / "sub-02" / "anat")
    return root


@pytest.fixture(scope="module")
def scans(tree):
    """Both imported and registered; 01 by the transform that the simulation knows."""
    found = {}
    for name in ("01", "02"):
        results = tree.parent / name
        job = import_job(participant=name, windows=WINDOWS)
        found[name] = imported(tree, results, job=job, t1_presence="if_there")
    truth = np.array(read_json(tree.parent / "truth-01.json")["t1_to_pet_ras_mm"])
    transform = tree.parent / "truth-01.txt"
    write_text(transform, matrix_text(RigidTransform(fixed_to_moving=truth)))
    registered(found["01"], transform=transform)
    registered(found["02"])
    return found


def packed(scans, folder, *participants, split="test"):
    slices = SlicePlaneSettings(
        indices=(33, 37), axis_slices=70, slice_mm=3.0, rotations=2, pixel_mm=4.5
    )
    job = PackScansJob(
        study_seed=3, dataset="own", setting="16s", split=split, source="own",
        participants=participants, window="16s", slices=slices, pixels=64,
    )  # fmt: skip
    files = {
        "scan": "scan.json", "registration": "registered/r.json", "t1": "T1w.nii.gz",
        "standard": "standard.nii.gz", "low": "16s.nii.gz",
    }  # fmt: skip
    inputs = {name: [scans[who] / file for who in participants] for name, file in files.items()}
    target = folder / split / f"{'-'.join(participants)}.h5"
    target.parent.mkdir(exist_ok=True)
    pack_scans.run(job, Files(inputs), Files({"dataset": [target]}))
    return target


def test_a_missing_t1_is_nan_on_the_grid_of_its_pet(scans):
    t1, pet = (nib.load(scans["02"] / name) for name in ("T1w.nii.gz", "standard.nii.gz"))
    assert np.isnan(t1.get_fdata()).all()
    np.testing.assert_array_equal(t1.affine, pet.affine)
    assert (t1.shape, t1.header["descrip"].item()) == (pet.shape, b"no T1")
    assert read_json(scans["02"] / "located.json")["t1"] is None
    assert read_json(scans["02"] / "scan.json")["t1"] is None
    assert read_json(scans["01"] / "scan.json")["t1"].endswith("_T1w.nii.gz")
    assert np.isfinite(nib.load(scans["01"] / "T1w.nii.gz").get_fdata()).all()


def test_its_images_stay_as_they_are(scans):
    for name in ("standard.nii.gz", "16s.nii.gz"):
        before, after = (read_volume(scans["02"] / folder / name) for folder in ("", "registered"))
        np.testing.assert_array_equal(after.values, before.values)
        np.testing.assert_array_equal(after.affine_ras_mm, before.affine_ras_mm)
    record = read_json(scans["02"] / "registered" / "r.json")
    assert record["engine"] == "none"
    np.testing.assert_array_equal(record["t1_to_pet_ras_mm"], np.eye(4))
    assert "nmi_after" not in record
    assert (scans["02"] / "registered" / "qc.png").stat().st_size > 1000


def test_its_slices_are_those_of_its_pet_and_its_head_is_pets(scans, tmp_path):
    pairs = PairDataset(packed(scans, tmp_path, "02"))
    assert not pairs.has_t1.any()
    assert pairs.lineage["registration"] == "none"
    pet = read_volume(scans["02"] / "standard.nii.gz")
    middle = (np.array(pet.values.shape) - 1) / 2
    for pair in (pairs[0], pairs[2]):
        assert pair.t1 is None
        assert pair.angle_deg == 0
        # The nearest slice of PET's own axis, at the millimetres from its middle.
        plane = round(middle[2] + pair.slice_mm / pet.voxel_mm[2])
        assert abs((plane - middle[2]) * pet.voxel_mm[2] - pair.slice_mm) < 1e-6
        total = pet.values[:, :, plane].sum(dtype=float) * pet.voxel_mm[0] * pet.voxel_mm[1]
        assert pair.standard.sum(dtype=float) * 4.5**2 == pytest.approx(total, rel=0.02)
        assert pair.standard[pair.head].sum() > 0.95 * pair.standard.sum()


def test_a_data_set_holds_both_kinds(scans, tmp_path):
    pairs = PairDataset(packed(scans, tmp_path, "01", "02"))
    assert pairs.has_t1.tolist() == [True] * 4 + [False] * 4
    assert pairs.lineage["registration"] == "file"
    assert np.isfinite(pairs[0].t1).all()
    assert pairs[7].t1 is None
    alone = PairDataset(packed(scans, tmp_path, "01"))
    np.testing.assert_array_equal(pairs[3].standard, alone[3].standard)


def test_there_is_no_registration_to_check(scans):
    pet, t1 = (scans["02"] / name for name in ("standard.nii.gz", "T1w.nii.gz"))
    with pytest.raises(InputError, match=r"T1w\.nii\.gz: stands for the T1 of a scan that has none"):
        check_registration(pet=pet, t1=t1, engine=None, figure=None)


def test_a_transform_or_a_record_of_another_t1_is_refused(scans, tmp_path, tree):
    given = tree.parent / "truth-01.txt"
    again = shutil.copytree(scans["02"], tmp_path / "again")
    with pytest.raises(InputError, match=r"truth-01\.txt: is given for a scan without T1 .*T1w\.nii"):
        registered(again, transform=given)
    shutil.copy(scans["01"] / "registered" / "r.json", again / "registered" / "r.json")
    with pytest.raises(InputError, match=r"r\.json: is not of the T1 in .*T1w\.nii\.gz; register"):
        packed({"02": again}, tmp_path, "02")


def test_what_speaks_of_a_t1_is_never_taken_for_none(tree, tmp_path):
    broken = shutil.copytree(tree, tmp_path / "bids")
    (broken / "sub-02" / "anat").mkdir()
    sidecar = next((broken / "sub-01" / "anat").glob("*_T1w.json"))
    shutil.copy(sidecar, broken / "sub-02" / "anat" / sidecar.name.replace("01", "02", 1))
    targets = Files({"located": [tmp_path / "located.json"]})
    with pytest.raises(InputError, match=r"sub-02: has no T1-weighted .*remove what is left of its T1"):
        fetch_invivo.run(fetch_job(broken, "02", t1_presence="if_there"), Files({}), targets)


@pytest.mark.parametrize(
    ("file", "renamed"),
    [
        ("anat/sub-02_T1.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("anat/T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("sub-02_t1w.nii", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("anat/sub-02_acq-x_MPRAGE.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("anat/sub-02_UNIT1.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("anat/sub-02_3DT1_brain.mgz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("sub-02_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("pet/sub-02_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("mri/T1.mgz", "sub-02/anat/sub-02_T1w.nii.gz"),
        ("ses-b/sub-02_ses-b_mprage.nii.gz", "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz"),
    ],
)
def test_a_t1_under_another_name_or_elsewhere_is_no_missing_one(tree, tmp_path, file, renamed):
    root = shutil.copytree(tree, tmp_path / "bids")
    named = root / "sub-02" / file
    named.parent.mkdir(parents=True, exist_ok=True)
    named.write_bytes(b"")
    targets = Files({"located": [tmp_path / "located.json"]})
    with pytest.raises(InputError) as error:
        fetch_invivo.run(fetch_job(root, "02", t1_presence="if_there"), Files({}), targets)
    assert str(error.value).startswith(f"{named}: is named like a T1-weighted image")
    assert f"rename it to {renamed}, or" in str(error.value)
    assert not (tmp_path / "located.json").exists()


@pytest.mark.parametrize(
    "file",
    [
        "anat/sub-02_T2w.nii.gz",
        "anat/sub-02_T1map.nii.gz",
        "anat/sub-02_acq-post1_FLAIR.nii.gz",
        "anat/sub-02_acq-T1_T2w.json",
        "anat/sub-02_T10.nii.gz",
        "func/sub-02_task-rest1_bold.nii.gz",
        "ses-T1/anat/sub-02_ses-T1_T2w.nii.gz",
        "ses-T1/sub-02_ses-T1_scan.nii.gz",
        "T1.png",
    ],
)
def test_what_is_no_t1_by_its_name_leaves_it_missing(tree, tmp_path, file):
    root = shutil.copytree(tree, tmp_path / "bids")
    named = root / "sub-02" / file
    named.parent.mkdir(parents=True, exist_ok=True)
    named.write_text("{}")
    targets = Files({"located": [tmp_path / "located.json"]})
    fetch_invivo.run(fetch_job(root, "02", t1_presence="if_there"), Files({}), targets)
    assert read_json(tmp_path / "located.json")["t1"] is None


def test_a_t1_of_another_name_than_the_source_asks_for_is_no_missing_one(tree, tmp_path):
    targets = Files({"located": [tmp_path / "located.json"]})
    job = fetch_job(tree, "01", t1_presence="if_there", t1={"acq": "other"})
    with pytest.raises(InputError, match=r"with entities \{'acq': 'other'\}; there are sub-01_T1w"):
        fetch_invivo.run(job, Files({}), targets)
    job = fetch_job(tree, "02", t1_presence="if_there", t1={"acq": "other"})
    fetch_invivo.run(job, Files({}), targets)
    assert read_json(tmp_path / "located.json")["t1"] is None


def test_without_the_setting_a_participant_without_t1_is_refused_and_told_of_it(tree, tmp_path):
    targets = Files({"located": [tmp_path / "located.json"]})
    said = (
        r"sub-02: has no T1-weighted image .*Add it, leave the participant out of invivo\.datasets, or "
        r"set invivo\.sources\.own\.t1_presence: if_there"
    )
    with pytest.raises(InputError, match=said):
        fetch_invivo.run(fetch_job(tree, "02"), Files({}), targets)
    assert not (tmp_path / "located.json").exists()


def learned(train, validation, folder, model):
    job = FitJob(
        study_seed=1, dataset="own", setting="16s", method="m", replicate="r0", model=model,
        training=TrainingSettings(iterations=2, batch_size=2, patch_pixels=32, validate_every=2),
    )  # fmt: skip
    weights = folder / "weights.safetensors"
    outputs = Files({"weights": [weights], "log": [folder / "log.csv"]})
    fit.run(job, Files({"train": [train], "validation": [validation]}), outputs)
    return weights


def restored(test, weights, folder, model):
    job = RestoreJob(
        study_seed=1, dataset="own", setting="16s", method="m", replicate="r0", learning="internal",
        model=model, inference=InferenceSettings(pixels=64),
    )  # fmt: skip
    target = folder / "restored.h5"
    restore.run(job, Files({"weights": [weights], "test": [test]}), Files({"restored": [target]}))
    return target


def test_methods_that_need_no_t1_learn_from_such_scans_and_restore_them(scans, tmp_path):
    both, held_out = (
        packed(scans, tmp_path, "01", "02", split=split) for split in ("train", "validation")
    )
    lacking = packed(scans, tmp_path, "02")
    munet = TypeAdapter(AnyMethodSettings).validate_python(MUNET)
    on_pet_alone = munet.on_pet_alone()
    weights = learned(both, held_out, tmp_path, on_pet_alone)
    with open_hdf5(restored(lacking, weights, tmp_path, on_pet_alone), kind="restored") as file:
        images = read_array(file, "single")
        assert np.isfinite(images).all()
        assert images.max() > 0
        # Weights of registered scans restore those that are not: the slices are what is scored.
        assert read_attribute(file, "lineage")["registration"] == "none"
    with pytest.raises(InputError, match=r"01-02\.h5: 4 of 8 slices have no T1, the first is '02/z0"):
        learned(both, held_out, tmp_path / "needed", munet)
    assert not (tmp_path / "needed").exists()
