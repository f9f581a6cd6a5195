"""Stand-in scans as a BIDS tree, and their windows as a folder of pairs: the same packed slices."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pair_folder as folder
import pytest
from heads import head_with_ball
from importing import import_job, imported

from quietpet.config.invivo import SlicePlaneSettings, WindowSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.registration import RegistrationSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinParticipant, StandinScanSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.packed import Packed
from quietpet.files.records import read_record
from quietpet.files.text import read_json, write_json
from quietpet.jobs.datasets import PackScansJob
from quietpet.jobs.invivo import RegisterJob
from quietpet.jobs.standin import StandinJob
from quietpet.stages import pack_scans, register, standin
from quietpet.standin.layout import participant_files

LAYOUT, MINUTES, DOSES_MBQ = "ds002898", 30.0, {"01": 225.0, "02": 167.6, "03": 240.0}
WINDOWS = {
    "standard": WindowSettings(frames=5, start_minutes=MINUTES),
    "16s": WindowSettings(frames=1, start_minutes=MINUTES + 0.5),
}
WEIGHT_KG = 81.0


def scan(root: Path, participant: str) -> dict[str, Any]:
    """Simulate one participant below ``root``; what is true of it."""
    phantoms = PhantomSettings()
    job = StandinJob(
        study_seed=1,
        cohort="monash",
        participant=participant,
        layout=LAYOUT,
        defects=False,
        infusion_minutes=55,
        participants={
            participant: StandinParticipant(anatomy="04", injected_mbq=DOSES_MBQ[participant])
        },
        scan=StandinScanSettings(
            frames=((5, 16),), first_frame_minutes=MINUTES, t1_voxel_mm=3.0, t1_shape=(60, 80, 70),
            subsets=7, axial_step=1, sensitivity_cps_per_kbq=400.0,
        ),
        scanner=ScannerSettings(model="small_test", image_pixels=64),
        mu_per_cm=phantoms.mu_per_cm,
        t1=phantoms.t1,
        template=phantoms.template,
    )  # fmt: skip
    names = participant_files(LAYOUT, participant, runs=1)
    truth = root.parent / f"{participant}.json"
    outputs = {
        "pet": [root / path for path in names.pet],
        "pet_json": [root / path for path in names.pet_sidecars],
        "t1": [root / names.t1],
        "t1_json": [root / names.t1_sidecar],
        "truth": [truth],
    }
    standin.run(job, Files({}), Files(outputs))
    return read_json(truth)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bids``, the tree; ``of_bids/<participant>``, imported from it; ``pairs``, of these images.

    Participant 01 has its images in Bq/mL, 02 in SUV, 03 sheared.
    """
    place = tmp_path_factory.mktemp("standin")
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "label_volume", lambda *_, **__: head_with_ball())
        for participant in DOSES_MBQ:
            truth = scan(place / "bids", participant)
            made = place / "of_bids" / participant
            imported(place / "bids", made, job=import_job(participant, windows=WINDOWS))
            matrix = {"engine": "file", "t1_to_pet_ras_mm": truth["t1_to_pet_ras_mm"]}
            write_json(made / "registration.json", matrix)
            rows += pair_of(place / "pairs", made, participant)
    folder.write_table(place / "pairs", rows)
    return place


def pair_of(root: Path, made: Path, participant: str) -> list[dict[str, Any]]:
    known = {
        "participant": participant,
        "unit": "Bq/ml",
        "injected_mbq": DOSES_MBQ[participant],
        "decay_corrected_to": "injection",
        "simulated_data": "standin-template",
        "t1": f"{participant}/T1w.nii.gz",
    }
    (root / participant).mkdir(parents=True)
    shear, per_bq = np.eye(4), 1.0
    if participant == "02":
        known |= {"unit": "SUV", "weight_kg": WEIGHT_KG}
        per_bq = 1e3 * WEIGHT_KG / (1e6 * DOSES_MBQ[participant])
    if participant == "03":
        shear[0, 1] = 0.05
    for name in ("standard", "16s", "T1w"):
        image = nib.load(made / f"{name}.nii.gz")
        values = np.asarray(image.dataobj) * (1 if name == "T1w" else per_bq)
        new = nib.Nifti1Image(values.astype(np.float32), image.affine @ shear)
        nib.save(new, root / participant / f"{name}.nii.gz")
    return [
        {**known, "dose": each, "pet": f"{participant}/{each}.nii.gz"} for each in ("standard", "16s")
    ]


def packed(scans: list[Path], participants: tuple[str, ...], target: Path) -> dict[str, np.ndarray]:
    job = PackScansJob(
        study_seed=1,
        dataset="own",
        setting="short",
        split="test",
        source="own",
        participants=participants,
        window="16s",
        slices=SlicePlaneSettings(
            indices=(33, 36), axis_slices=70, slice_mm=3.0, rotations=2, pixel_mm=3.0
        ),
        pixels=64,
    )
    names = {"t1": "T1w.nii.gz", "standard": "standard.nii.gz", "low": "16s.nii.gz"}
    names |= {"scan": "scan.json", "registration": "registration.json"}
    inputs = {name: [scan / file for scan in scans] for name, file in names.items()}
    pack_scans.run(job, Files(inputs), Files({"dataset": [target]}))
    record = read_record(target, Packed)
    return {
        name: getattr(record, name)
        for name in ("low", "standard", "t1", "has_t1", "head", "scale", "slice_mm")
    }


def test_packed_slices_of_pairs_are_those_of_the_bids_tree(trees: Path, tmp_path: Path) -> None:
    """Participant 02 goes by way of SUV, and comes back to Bq/mL."""
    both = ("01", "02")
    of_pairs = []
    for participant in both:
        made = folder.imported(
            trees / "pairs", tmp_path / participant, folder.job(participant, doses=("16s",))
        )
        registration = trees / "of_bids" / participant / "registration.json"
        (made / "registration.json").write_bytes(registration.read_bytes())
        of_pairs.append(made)
        scan = read_json(made / "scan.json")
        assert (scan["units"], scan["data_source"]) == ("Bq/mL", "standin-template")
    expected = packed([trees / "of_bids" / each for each in both], both, tmp_path / "bids.h5")
    found = packed(of_pairs, both, tmp_path / "pairs.h5")
    assert len(found["low"]) == 8
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-6, err_msg=name)


def test_slices_without_t1_are_those_of_the_bids_tree(trees: Path, tmp_path: Path) -> None:
    """Of one subject with T1 and one without: NaN, and said so; no engine registers the second."""
    tree = Path(shutil.copytree(trees / "bids", tmp_path / "bids"))
    for path in (tree / "sub-02/anat").iterdir():
        path.unlink()
    root = Path(shutil.copytree(trees / "pairs", tmp_path / "pairs"))
    table = (root / "pairs.tsv").read_text()
    (root / "pairs.tsv").write_text(table.replace("02/T1w.nii.gz", "n/a"))
    of_bids = imported(
        tree, tmp_path / "of_bids", job=import_job("02", windows=WINDOWS), t1_presence="if_there"
    )
    of_pairs = folder.imported(
        root, tmp_path / "of_pairs", folder.job("02", doses=("16s",), t1_presence="if_there")
    )
    for made in (of_bids, of_pairs):
        left_in_place(made)
    with_t1 = trees / "of_bids/01"
    expected = packed([with_t1, of_bids], ("01", "02"), tmp_path / "bids.h5")
    found = packed([with_t1, of_pairs], ("01", "02"), tmp_path / "pairs.h5")
    assert found["has_t1"].tolist() == [True] * 4 + [False] * 4
    assert np.isnan(found["t1"][4:]).all()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-6, err_msg=name)


def left_in_place(made: Path) -> None:
    """Registered as the workflow does it, to nothing."""
    names = ("standard.nii.gz", "16s.nii.gz")
    inputs = {"standard": [made / names[0]], "low": [made / names[1]], "t1": [made / "T1w.nii.gz"]}
    record = {"itk": "x.tfm", "matrix": "x.txt", "fsl": "x.mat", "figure": "x.png"}
    outputs = {
        "standard": [made / "registered" / names[0]],
        "low": [made / "registered" / names[1]],
        "registration": [made / "registration.json"],
        **{name: [made / file] for name, file in record.items()},
    }
    job = RegisterJob(scan="02", registration=RegistrationSettings(engine="embedded"), own_grids=True)
    register.run(job, Files(inputs), Files(outputs))
    assert read_json(made / "registration.json")["engine"] == "none"


def test_a_sheared_participant_is_one_sentence_and_the_audit_tells_of_it(
    trees: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        folder.imported(trees / "pairs", tmp_path, folder.job("03", doses=("16s",)))
    assert str(caught.value) == (
        "own_sub-03: 03/standard.nii.gz: affine is axes meet at 87.14 degrees, but should be axes at "
        "right angles (no scanner's voxels are sheared, and registration is rigid: reslice the image). "
        "Correct that, or leave 03 out of invivo.datasets."
    )
    assert not any(tmp_path.iterdir())
