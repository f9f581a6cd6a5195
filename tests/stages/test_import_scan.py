"""From a BIDS tree to the images of a scan's windows; every unusable scan is one clear error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import petbids
import pytest
from importing import WINDOWS, expected_mean, fetch_job, import_job, imported

from quietpet.cli import main
from quietpet.config.invivo import ScanRequirement, WindowSettings
from quietpet.config.standin import TissueKinetics
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.invivo.bids import files_of_scan
from quietpet.stages import fetch_invivo, import_scan
from quietpet.standin.kinetics import (
    BOLUS_FRACTIONS,
    Administration,
    Plasma,
    frame_decays,
    frame_weights,
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return petbids.write_dataset(tmp_path_factory.mktemp("bids") / "tiny")


@pytest.fixture
def tree(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "tiny"))


def test_windows_and_t1_of_a_scan(clean: Path, tmp_path: Path) -> None:
    results = imported(clean, tmp_path)
    for name, first, count in (("standard", 2, 6), ("half", 2, 2), ("16s", 4, 1)):
        image = nib.load(results / f"{name}.nii.gz")
        np.testing.assert_allclose(image.get_fdata(), expected_mean(first, count), rtol=1e-5, atol=1e-3)
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        np.testing.assert_array_equal(image.get_qform(), image.get_sform())
        assert image.get_data_dtype() == np.float32
        # The same voxel is at the same place as before.
        assert (image.affine @ [5, 0, 0, 1]).tolist() == (petbids.PET_AFFINE @ [0, 0, 0, 1]).tolist()
    t1 = nib.load(results / "T1w.nii.gz")
    np.testing.assert_array_equal(t1.get_fdata(), nib.load(petbids.t1_path(clean, 2)).get_fdata())
    np.testing.assert_array_equal(t1.affine, petbids.T1_AFFINE)
    scan = json.loads((results / "scan.json").read_text())
    assert scan["complete"] is True
    assert scan["units"] == "Bq/mL"
    assert scan["header_dose_mbq"] == scan["noted_dose_mbq"] == 232.0
    assert (scan["tracer"], scan["administration"]) == ("FDG", "infusion")
    assert scan["corrections"] == []
    assert scan["windows"]["standard"]["frames"] == [2, 7]
    assert scan["windows"]["standard"]["seconds"] == 96
    assert scan["windows"]["half"] == {
        "frames": [2, 3], "n_frames": 2, "start_s": 32, "end_s": 64, "seconds": 32,
        "asked": "0.5 min from 0.5 min on", "weights": scan["windows"]["half"]["weights"],
    }  # fmt: skip
    assert any(path.endswith("_pet.nii.gz") for path in scan["provenance"]["inputs"])


UNEQUAL_S = (60.0, 60.0, 16.0, 16.0, 24.0, 40.0, 1.5, 300.0)


@pytest.mark.parametrize("administration", ["bolus", "infusion"])
@pytest.mark.parametrize("corrected", [True, False])
def test_windows_of_unequal_frames_are_one_long_frame_of_the_kinetics(
    tree: Path, tmp_path: Path, administration: str, corrected: bool
) -> None:
    """Frames of many lengths hold the closed form of decaying FDG; a window is that of its own time."""
    ends_s = np.cumsum(UNEQUAL_S)
    starts_s = ends_s - UNEQUAL_S
    given = Administration(
        injected_mbq=230.0, bolus_fraction=BOLUS_FRACTIONS[administration], infusion_minutes=55.0
    )

    def shown(edges_s: list[tuple[float, float]], *, corrected: bool = True) -> np.ndarray:
        """Bq/ml of grey matter in each frame, decay-corrected to the injection or as it was."""
        edges = [(start / 60, end / 60) for start, end in edges_s]
        half_life_minutes = petbids.HALF_LIFE_S / 60
        decays = frame_decays(
            TissueKinetics().grey_matter,
            Plasma(suv=1.8, weight_kg=70.0),
            given,
            edges,
            half_life_minutes=half_life_minutes,
        )
        weights = frame_weights(edges, half_life_minutes=half_life_minutes)
        minutes = np.array([end - start for start, end in edges])
        return 1000 * decays / (weights if corrected else minutes)

    values = shown(list(zip(starts_s, ends_s, strict=True)), corrected=corrected)
    frames = np.ones((*petbids.SHAPE, 1), np.float32) * values.astype(np.float32)
    petbids.write_image(petbids.pet_path(tree, 2), frames, petbids.PET_AFFINE, slope=1.0)
    rate = np.log(2) / petbids.HALF_LIFE_S
    of_dicom = np.exp(rate * starts_s) * rate * UNEQUAL_S / (1 - np.exp(-rate * np.array(UNEQUAL_S)))
    keys = {
        "FrameTimesStart": starts_s.tolist(),
        "FrameDuration": list(UNEQUAL_S),
        "ImageDecayCorrected": corrected,
        "DecayCorrectionFactor": of_dicom.tolist() if corrected else [1.0] * len(UNEQUAL_S),
    }
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, **keys))
    windows = {
        "standard": WindowSettings(minutes=ends_s[-1] / 60, start_minutes=0),
        "middle": WindowSettings(minutes=56 / 60, start_minutes=2),
        "late": WindowSettings(frames=2, start_minutes=176 / 60),
    }
    results = imported(tree, tmp_path, job=import_job(windows=windows))
    spans_s = {"standard": (0.0, 517.5), "middle": (120.0, 176.0), "late": (176.0, 217.5)}
    for name, span in spans_s.items():
        image = nib.load(results / f"{name}.nii.gz").get_fdata()
        np.testing.assert_allclose(image, shown([span])[0], rtol=1e-5)
    scan = json.loads((results / "scan.json").read_text())
    assert {name: (each["start_s"], each["end_s"]) for name, each in scan["windows"].items()} == spans_s
    assert scan["corrections"] == []


@pytest.mark.parametrize(("rounding", "count"), [("down", 1), ("up", 2), ("nearest", 2)])
def test_rounding_is_a_setting_and_recorded(
    clean: Path, tmp_path: Path, rounding: str, count: int
) -> None:
    results = imported(clean, tmp_path, job=import_job(rounding=rounding))
    scan = json.loads((results / "scan.json").read_text())
    assert scan["rounding"] == rounding
    assert scan["windows"]["half"]["n_frames"] == count
    image = nib.load(results / "half.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(2, count), rtol=1e-5, atol=1e-3)


def test_the_same_scan_gives_the_same_bytes(clean: Path, tmp_path: Path) -> None:
    first, second = (imported(clean, tmp_path / name) for name in "ab")
    for name in ("standard.nii.gz", "16s.nii.gz", "T1w.nii.gz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_kilobecquerels_become_becquerels(tree: Path, tmp_path: Path) -> None:
    for number in range(1, 7):
        petbids.write_sidecar(tree, number, petbids.sidecar(number, Units="kBq/mL"))
    image = nib.load(imported(tree, tmp_path / "out") / "16s.nii.gz").get_fdata()
    np.testing.assert_allclose(image, 1000 * expected_mean(4, 1), rtol=1e-6)


def test_frames_without_decay_correction_are_corrected(tree: Path, tmp_path: Path) -> None:
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, ImageDecayCorrected=False))
    image = nib.load(imported(tree, tmp_path / "out") / "standard.nii.gz").get_fdata()
    rate, start_s, seconds = np.log(2) / petbids.HALF_LIFE_S, 32.0, 96.0
    whole = np.exp(rate * start_s) * rate * seconds / (1 - np.exp(-rate * seconds))
    np.testing.assert_allclose(image, whole * expected_mean(2, 6, decay=False), rtol=1e-5, atol=1e-3)


def split_in_runs(root: Path, *, keys: bool) -> None:
    """Participant 2's frames in two files of six, with or without the keys that BIDS wants."""
    values, path = petbids.frames(2), petbids.pet_path(root, 2)
    sidecar = petbids.sidecar(2)
    for old in path.parent.iterdir():
        old.unlink()
    for run in (1, 2):
        clock = f"11:3{0 if run == 1 else 1}:{2 if run == 1 else 38:02d}.000000"
        half = slice(6 * (run - 1), 6 * run)
        own = {**sidecar, "AcquisitionTime": clock}
        for key in ("FrameTimesStart", "FrameDuration", "DecayCorrectionFactor"):
            own[key] = sidecar[key][half]
        if not keys:
            kept = ("AcquisitionTime", "RadionuclideHalfLife", "RadionuclideTotalDose")
            own = {key: own[key] for key in kept}
            own["SeriesDescription"] = "_Bol_Inf_DataSet_1st_set_PRR_AC_Images"
        if not keys and run == 2:
            const = {"ActualFrameDuration": 16000, "Units": "BQML", "DecayCorrection": "START"}
            own |= {"dcmmeta_shape": [6, 5, 4, 6], "global": {"const": const}}
        name = f"sub-02_task-rest_run-{run}_pet"
        (path.parent / f"{name}.json").write_text(json.dumps(own))
        petbids.write_image(
            path.with_name(f"{name}.nii.gz"),
            values[..., half],
            petbids.PET_AFFINE,
            slope=0.5,
            gzipped=run == 2,
        )


@pytest.mark.parametrize("keys", [True, False])
def test_a_scan_of_several_runs(tree: Path, tmp_path: Path, keys: bool) -> None:
    """As ds003397: misnamed uncompressed images, and without keys the timing is derived."""
    split_in_runs(tree, keys=keys)
    results = imported(tree, tmp_path / "out")
    for name, first, count in (("standard", 2, 6), ("16s", 4, 1)):
        image = nib.load(results / f"{name}.nii.gz").get_fdata()
        np.testing.assert_allclose(image, expected_mean(first, count), rtol=1e-5, atol=1e-3)
    scan = json.loads((results / "scan.json").read_text())
    checks = {each["check"] for each in scan["corrections"]}
    assert "misnamed-gz" in checks
    assert ("derived-frame-times" in checks) != keys
    assert scan["header_dose_mbq"] == 232.0
    assert scan["windows"]["standard"]["frames"] == [2, 7]


def write_runs_of(
    root: Path, activity: np.ndarray, *, half_life_s: float, **of_runs: tuple[Any, Any]
) -> None:
    """Two runs of a constant activity (x, y, z, 1) [Bq/mL], written as each side-car says.

    ``of_runs`` gives a key of the two side-cars; frames are those of :func:`petbids.sidecar`.
    """
    split_in_runs(root, keys=True)
    rate = np.log(2) / half_life_s
    within = (1 - np.exp(-rate * 16)) / (rate * 16)
    for run in (0, 1):
        path = petbids.pet_path(root, 2).with_name(f"sub-02_task-rest_run-{run + 1}_pet.json")
        sidecar = json.loads(path.read_text()) | {key: values[run] for key, values in of_runs.items()}
        del sidecar["DecayCorrectionFactor"]
        sidecar |= {"TracerRadionuclide": "O15", "RadionuclideHalfLife": half_life_s}
        path.write_text(json.dumps(sidecar))
        left = within * np.exp(-rate * np.array(sidecar["FrameTimesStart"]))
        values = activity * (np.ones(6) if sidecar["ImageDecayCorrected"] else left)
        values /= 1000 if sidecar["Units"] == "kBq/mL" else 1
        petbids.write_image(path.with_suffix(".nii.gz"), values.astype(np.float32), petbids.PET_AFFINE)


@pytest.mark.parametrize(
    "of_runs",
    [
        {"Units": ("kBq/mL", "Bq/mL")},
        {"Units": ("Bq/mL", "kBq/mL")},
        {"ImageDecayCorrected": (True, False)},
        {"ImageDecayCorrected": (False, True)},
        {"ImageDecayCorrected": (False, False)},
        {"ImageDecayCorrected": (False, True), "Units": ("kBq/mL", "Bq/mL")},
    ],
)
def test_each_run_is_read_by_its_own_facts(tree: Path, tmp_path: Path, of_runs) -> None:
    """A constant activity is what every window shows, in Bq/mL, whatever run it lies in."""
    activity = petbids.frames(2)[..., :1].astype(np.float64) + 1
    write_runs_of(tree, activity, half_life_s=122.24, **of_runs)
    windows = {"standard": WINDOWS["standard"], "second": WindowSettings(frames=3, start_minutes=1.6)}
    results = imported(tree, tmp_path / "out", job=import_job(windows=windows))
    for name in windows:
        image = nib.load(results / f"{name}.nii.gz").get_fdata()
        np.testing.assert_allclose(image, activity[::-1, ..., 0], rtol=2e-6)
    scan = json.loads((results / "scan.json").read_text())
    unlike = {each["key"] for each in scan["corrections"] if each["check"] == "runs-unlike"}
    assert unlike == {key for key, values in of_runs.items() if values[0] != values[1]}
    for run, recorded in enumerate(scan["runs"]):
        assert recorded["file"].endswith(f"_run-{run + 1}_pet.nii.gz")
        units = of_runs.get("Units", ("Bq/mL", "Bq/mL"))[run]
        assert recorded["to_bq_per_ml"] == (1000 if units == "kBq/mL" else 1)
        assert recorded["decay_corrected"] == of_runs.get("ImageDecayCorrected", (True, True))[run]


def test_runs_of_two_tracers_are_no_scan(tree: Path, tmp_path: Path) -> None:
    activity = np.ones((*petbids.SHAPE, 1))
    write_runs_of(tree, activity, half_life_s=122.24, TracerName=("water", "oxygen"))
    with pytest.raises(
        InputError, match=r"run-2_pet\.json: TracerName is \"oxygen\", but \"water\" in .*run-1"
    ):
        imported(tree, tmp_path / "out")
    later = {"standard": WindowSettings(frames=2, start_minutes=1.6)}
    imported(tree, tmp_path / "alone", job=import_job(windows=later), runs=("2",))


def test_runs_are_read_in_the_order_of_the_whole_scan(tree: Path, tmp_path: Path) -> None:
    """Of runs 1 and 2 the clocks tell an order, of all three they do not: numbers do."""
    split_in_runs(tree, keys=True)
    folder = petbids.pet_path(tree, 2).parent
    clocks = {"run-1": "11:40:00", "run-2": "11:30:00"}
    for path in folder.glob("*.json"):
        values = json.loads(path.read_text())
        clock = next(clock for run, clock in clocks.items() if run in path.name)
        path.write_text(json.dumps({**values, "AcquisitionTime": clock, "TimeZero": clock}))
    (folder / "sub-02_task-rest_run-3_pet.json").write_text("{}")
    located = tmp_path / "located.json"
    job = fetch_job(tree, runs=("1", "2"))
    fetch_invivo.run(job, Files({}), Files({"located": [located]}))
    found = json.loads(located.read_text())
    assert [name[-5:-4] for name in found["runs"]] == ["1", "2", "3"]
    assert found["pet"] == found["runs"][:2]


def test_run_10_comes_after_run_2(tree: Path, tmp_path: Path) -> None:
    """Names sort otherwise, and no clock tells."""
    split_in_runs(tree, keys=True)
    folder = petbids.pet_path(tree, 2).parent
    for old, new in (("run-2", "run-10"), ("run-1", "run-2")):
        for path in folder.glob(f"*_{old}_pet.*"):
            path.rename(folder / path.name.replace(old, new))
    for path in folder.glob("*.json"):
        sidecar = json.loads(path.read_text())
        for key in ("AcquisitionTime", "TimeZero", "DecayCorrectionFactor"):
            del sidecar[key]
        path.write_text(json.dumps(sidecar))
    image = nib.load(imported(tree, tmp_path / "out") / "standard.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(2, 6), rtol=1e-5, atol=1e-3)


def test_the_scans_table_orders_runs_and_is_recorded(tree: Path, tmp_path: Path) -> None:
    """Run 2 was acquired first, and runs 1 and 2 have no clock beside."""
    split_in_runs(tree, keys=True)
    folder = petbids.pet_path(tree, 2).parent
    for old, new in (("run-2", "run-3"), ("run-1", "run-2"), ("run-3", "run-1")):
        for path in folder.glob(f"*_{old}_pet.*"):
            path.rename(folder / path.name.replace(old, new))
    for path in folder.glob("*.json"):
        sidecar = json.loads(path.read_text())
        for key in ("AcquisitionTime", "TimeZero", "DecayCorrectionFactor"):
            del sidecar[key]
        sidecar["FrameTimesStart"] = (16.0 * np.arange(6)).tolist()
        if "run-1" in path.name:
            sidecar |= {"ImageDecayCorrectionTime": -96, "InjectionStart": -96, "ScanStart": -96}
        path.write_text(json.dumps(sidecar))
    rows = "pet/sub-02_task-rest_run-{}_pet.nii.gz\t1900-01-{}"
    table = folder.parent / "sub-02_scans.tsv"
    times = rows.format(1, "02T00:01:06"), rows.format(2, "01T23:59:30")
    table.write_text("\n".join(["filename\tacq_time", *times]) + "\n")
    results = imported(tree, tmp_path / "out")
    image = nib.load(results / "standard.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(2, 6), rtol=1e-5, atol=1e-3)
    scan = json.loads((results / "scan.json").read_text())
    assert any(path.endswith("sub-02_scans.tsv") for path in scan["provenance"]["inputs"])
    assert table in files_of_scan(tree, "sub-02")


@pytest.mark.parametrize("told", ["InjectionStart", "ScanStart"])
def test_windows_count_from_the_injection(tree: Path, tmp_path: Path, told: str) -> None:
    """32 s before the first frame, by either of the two zeros that BIDS allows."""
    starts = petbids.sidecar(2)["FrameTimesStart"]
    changes: dict[str, Any] = {"InjectionStart": -32}
    if told == "ScanStart":
        factors = [2 ** (32 / petbids.HALF_LIFE_S) * each for each in petbids.decay_factors()]
        changes = {"TimeZero": "11:29:30", "ScanStart": 32, "DecayCorrectionFactor": factors}
        changes["FrameTimesStart"] = [32 + start for start in starts]
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, **changes))
    results = imported(tree, tmp_path / "out")
    scan = json.loads((results / "scan.json").read_text())
    assert scan["windows"]["standard"]["frames"] == [0, 5]
    assert scan["windows"]["standard"]["start_s"] == 32
    assert scan["injection_from"] == "InjectionStart"
    assert scan["decay_corrected_to_s"] == (32 if told == "InjectionStart" else 0)
    assert scan["corrections"] == []
    image = nib.load(results / "standard.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(0, 6), rtol=1e-5, atol=1e-3)


def test_a_late_injection_moves_windows(tree: Path, tmp_path: Path) -> None:
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, InjectionStart=32))
    results = imported(tree, tmp_path / "out")
    scan = json.loads((results / "scan.json").read_text())
    assert scan["windows"]["standard"]["frames"] == [4, 9]
    assert scan["windows"]["standard"]["start_s"] == 32
    image = nib.load(results / "standard.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(4, 6), rtol=1e-5, atol=1e-3)


def test_more_activity_than_was_injected(tree: Path, tmp_path: Path) -> None:
    """0.96 mL hold 2.4e8 Bq/mL on average: 230 MBq, but in kBq/mL a thousand times as much."""
    values = np.full((*petbids.SHAPE, 12), 2.4e8, np.float32)
    petbids.write_image(petbids.pet_path(tree, 2), values, petbids.PET_AFFINE)
    imported(tree, tmp_path / "out")
    for changes in ({"Units": "kBq/mL"}, {"RadionuclideTotalDose": 1.8e8, "InjectedRadioactivity": 180}):
        petbids.write_sidecar(tree, 2, petbids.sidecar(2, **changes))
        with pytest.raises(
            InputError, match=r"own_sub-02: invivo\.windows\.standard: .*MBq were injected"
        ):
            imported(tree, tmp_path / "bad")
    assert not (tmp_path / "bad" / "scan.json").exists()


@pytest.mark.parametrize("told_by", ["BIDS", "DICOM"])
def test_runs_that_were_corrected_to_their_own_starts(tree: Path, tmp_path: Path, told_by: str) -> None:
    """A constant activity, decay-corrected: every window shows it as of the first run that is read."""
    split_in_runs(tree, keys=True)
    half_life_s, activity = 122.24, petbids.frames(2)[..., :1].astype(np.float32) + 1
    rate = np.log(2) / half_life_s
    for run, start_s in ((1, 0.0), (2, 96.0)):
        path = petbids.pet_path(tree, 2).with_name(f"sub-02_task-rest_run-{run}_pet.json")
        sidecar = json.loads(path.read_text())
        del sidecar["DecayCorrectionFactor"]
        sidecar |= {"TracerRadionuclide": "O15", "RadionuclideHalfLife": half_life_s}
        if told_by == "BIDS":
            sidecar |= {"TimeZero": f"11:{30 + run // 2}:{(2, 38)[run // 2]:02d}"}
            sidecar["FrameTimesStart"] = (16.0 * np.arange(6)).tolist()
        else:
            del sidecar["ImageDecayCorrectionTime"]
            within = rate * 16 / (1 - np.exp(-rate * 16))
            sidecar["time"] = {
                "samples": {"DecayFactor": [within * 2 ** (16 * n / half_life_s) for n in range(6)]}
            }
        path.write_text(json.dumps(sidecar))
        values = np.repeat(activity * np.exp(-rate * start_s), 6, axis=3).astype(np.float32)
        petbids.write_image(path.with_suffix(".nii.gz"), values, petbids.PET_AFFINE)
    results = imported(tree, tmp_path / "out")
    for name in WINDOWS:
        image = nib.load(results / f"{name}.nii.gz").get_fdata()
        np.testing.assert_allclose(image, activity[::-1, ..., 0], rtol=2e-6)
    scan = json.loads((results / "scan.json").read_text())
    assert scan["decay_corrected_to_s"] == pytest.approx(0, abs=1e-9)
    assert "decay-reference" in {each["check"] for each in scan["corrections"]}
    later = {name: WindowSettings(frames=2, start_minutes=1.6) for name in WINDOWS}
    results = imported(tree, tmp_path / "later", job=import_job(windows=later), runs=("2",))
    image = nib.load(results / "half.nii.gz").get_fdata()
    np.testing.assert_allclose(image, np.exp(-rate * 96) * activity[::-1, ..., 0], rtol=2e-6)


def test_only_some_runs_are_read(tree: Path, tmp_path: Path) -> None:
    split_in_runs(tree, keys=False)
    (petbids.pet_path(tree, 2).with_name("sub-02_task-rest_run-1_pet.nii.gz")).unlink()
    later = {name: WindowSettings(frames=2, start_minutes=1.6) for name in WINDOWS}
    results = imported(tree, tmp_path / "out", job=import_job(windows=later), runs=("2",))
    image = nib.load(results / "half.nii.gz").get_fdata()
    np.testing.assert_allclose(image, expected_mean(6, 2), rtol=1e-5, atol=1e-3)
    with pytest.raises(InputError, match="no frame before 96 s; add the run before"):
        imported(tree, tmp_path / "out", runs=("2",))


def test_an_exchanged_side_car_is_read_for_whom_it_was_written(tree: Path, tmp_path: Path) -> None:
    for own, other in ((2, 3), (3, 2)):
        added = {
            key: petbids.sidecar(other)[key]
            for key in ("TimeZero", "InjectedRadioactivity", "FrameTimesStart")
        }
        if own == 3:  # noted for participant 2: a scan that began a second early
            added["FrameTimesStart"] = [time - 1 for time in added["FrameTimesStart"]]
        petbids.write_sidecar(tree, own, {**petbids.sidecar(own), **added})
    results = imported(tree, tmp_path / "out")
    scan = json.loads((results / "scan.json").read_text())
    assert scan["header_dose_mbq"] == 232.0
    assert scan["noted_dose_mbq"] == 232.0, "in participant 3's side-car"
    assert scan["frame_times_from"].endswith("sub-03_task-rest_pet.json")
    assert scan["windows"]["standard"]["start_s"] == 31
    assert [each["check"] for each in scan["corrections"]] == ["exchanged-sidecar"]


def test_notes_that_were_exchanged_change_no_image(tree: Path, tmp_path: Path) -> None:
    """Injected and corrected at times of their own: read as they are, and from the other's folder."""
    noted = {
        number: {
            "TimeZero": petbids.sidecar(number)["TimeZero"],
            "InjectedRadioactivity": 230.0 + number,
            "InjectionStart": -10.0 * number,
            "ImageDecayCorrectionTime": -1000.0 * number,
        }
        for number in (2, 3)
    }
    read = {}
    for name, other in (("right", {2: 2, 3: 3}), ("exchanged", {2: 3, 3: 2})):
        for number in (2, 3):
            own = petbids.sidecar(number, DecayCorrectionFactor=None) | noted[other[number]]
            petbids.write_sidecar(tree, number, {k: v for k, v in own.items() if v is not None})
        results = imported(tree, tmp_path / name)
        scan = json.loads((results / "scan.json").read_text())
        images = [(results / f"{window}.nii.gz").read_bytes() for window in WINDOWS]
        facts = "noted_dose_mbq", "injection_after_time_zero_s", "decay_corrected_to_s", "windows"
        read[name] = [*images, *(scan[key] for key in facts)]
    assert read["exchanged"] == read["right"]
    assert read["right"][-3:-1] == [-20, -1980]


def test_of_several_series_one_must_be_named(tree: Path, tmp_path: Path) -> None:
    folder = petbids.pet_path(tree, 2).parent
    for path in [*folder.iterdir()]:
        for kind in ("acdyn", "nac"):
            shutil.copy(path, folder / path.name.replace("_pet", f"_rec-{kind}_pet"))
        path.unlink()
    with pytest.raises(InputError, match=r"several PET images, .*rec-acdyn_pet.*by entities"):
        imported(tree, tmp_path / "out")
    results = imported(tree, tmp_path / "out", entities={"rec": "acdyn"})
    np.testing.assert_allclose(
        nib.load(results / "16s.nii.gz").get_fdata(), expected_mean(4, 1), rtol=1e-6
    )


def test_t1_is_that_of_the_same_session(clean: Path, tmp_path: Path) -> None:
    tree = tmp_path / "sessions"
    shutil.copytree(clean, tree)
    for session in ("1", "2"):
        folder = tree / "sub-02" / f"ses-{session}"
        for kind in ("pet", "anat"):
            for path in (clean / "sub-02" / kind).iterdir():
                (folder / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / kind / path.name.replace("sub-02", f"sub-02_ses-{session}"))
    for kind in ("pet", "anat"):
        shutil.rmtree(tree / "sub-02" / kind)
    results = imported(tree, tmp_path / "out", entities={"ses": "2"})
    scan = json.loads((results / "scan.json").read_text())
    assert scan["t1"] == "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii.gz"
    with pytest.raises(
        InputError, match=r"'ses': '3'.* there are sub-02_ses-1_task-rest_pet, sub-02_ses-2"
    ):
        imported(tree, tmp_path / "out", entities={"ses": "3"})


NAN = petbids.frames(2).astype(np.float32)
NAN[1, 1, 1, 4] = np.nan


def image(values: np.ndarray, affine: np.ndarray = petbids.PET_AFFINE) -> Callable[[Path], None]:
    return lambda root: petbids.write_image(petbids.pet_path(root, 2), values, affine, slope=0.5)


def sidecar(**other: Any) -> Callable[[Path], None]:
    return lambda root: petbids.write_sidecar(root, 2, petbids.sidecar(2, **other)) and None


def broken_checksum(root: Path) -> None:
    content = bytearray(petbids.pet_path(root, 2).read_bytes())
    content[-6] ^= 1
    petbids.pet_path(root, 2).write_bytes(bytes(content))


BAD = {
    "no T1": (
        lambda root: shutil.rmtree(petbids.t1_path(root, 2).parent),
        r"sub-02: has no T1-weighted image",
    ),
    "NaN": (image(NAN), r"_pet\.nii\.gz: 1 of 120 values of frame 4 are not finite"),
    "units": (sidecar(Units="SUV"), r'_pet\.json: Units is "SUV", but should be Bq/mL or kBq/mL'),
    "3-D": (image(petbids.frames(2)[..., 0]), r"dim is 3-D, \[6, 5, 4\], but should be 4-D"),
    "frame times": (
        sidecar(FrameTimesStart=[0, 16, 32], FrameDuration=[16, 16, 16]),
        r"has 12 frames, but FrameTimesStart in sub-02/pet/\S+_pet\.json lists 3",
    ),
    "checksum": (broken_checksum, r"_pet\.nii\.gz: damaged \(CRC check failed"),
    "left and right": (
        image(petbids.frames(2), np.diag([-1.0, 1, 1, 1]) @ petbids.PET_AFFINE),
        r"affine is first axis .*left and right are swapped",
    ),
    "no image": (
        lambda root: petbids.pet_path(root, 2).unlink(),
        r"tiny: has no PET image of sub-02",
    ),
    "T1 cut short": (
        lambda root: (
            petbids.t1_path(root, 2).write_bytes(petbids.t1_path(root, 2).read_bytes()[:-40]) and None
        ),
        r"_T1w\.nii\.gz: damaged",
    ),
    "JSON": (
        lambda root: petbids.write_sidecar(root, 2, {}).write_text("{") and None,
        r"own_sub-02: sub-02/pet/sub-02_task-rest_pet\.json: not readable as JSON .*leave sub-02 out",
    ),
    "JSON list": (
        lambda root: petbids.write_sidecar(root, 2, {}).write_text("[]") and None,
        r"_pet\.json: holds no JSON object",
    ),
    "no side-car": (
        lambda root: petbids.write_sidecar(root, 2, {}).unlink(),
        r"_pet\.nii\.gz: has no side-car \(\.json\), so nothing tells",
    ),
    "T1 without image": (
        lambda root: petbids.t1_path(root, 2).unlink(),
        r"sub-02: has no T1-weighted image",
    ),
    "link": (
        lambda root: (
            petbids.pet_path(root, 2).unlink()
            or petbids.pet_path(root, 2).symlink_to("../../.git/annex/objects/none")
        ),
        r"\(sub-02_task-rest_pet: links whose content was not fetched",
    ),
    "2-D": (image(petbids.frames(2)[..., 0, 0]), r"dim is 2-D, \[6, 5\], but should be 4-D"),
    "colours": (
        image(np.zeros((*petbids.SHAPE, 12), [(name, "u1") for name in "RGB"])),
        r"_pet\.nii\.gz: holds .*not real numbers",
    ),
    "no activity": (
        image(petbids.frames(2) * 0),
        r"_pet\.nii\.gz: frames 2 to 7, invivo\.windows\.standard, hold no activity",
    ),
    "scaling": (
        lambda root: petbids.write_image(
            petbids.pet_path(root, 2), petbids.frames(2), petbids.PET_AFFINE, slope=np.inf
        ),
        r"scl_slope, scl_inter are inf, 0",
    ),
    "overflow": (
        lambda root: petbids.write_image(
            petbids.pet_path(root, 2), petbids.frames(2), petbids.PET_AFFINE, slope=3e38
        ),
        r"values of frame 2 are not finite",
    ),
    "sheared": (
        image(petbids.frames(2), petbids.PET_AFFINE + 0.2 * np.eye(4, k=1)),
        r"affine is axes meet at 8\d\.\d\d degrees",
    ),
    "durations": (
        sidecar(FrameDuration=[0] * 12),
        r"FrameDuration is .*, but should be .*durations above 0",
    ),
    "decay": (sidecar(ImageDecayCorrected=None), r"ImageDecayCorrected is None; write true or false"),
    "scan start": (
        sidecar(ScanStart=3000, AcquisitionTime=None),
        r"ScanStart, FrameTimesStart is 3000 s, .* but should be no frame before the scan",
    ),
    "decay word": (
        sidecar(ImageDecayCorrected=False, DecayCorrection="START"),
        r"ImageDecayCorrected is false, but should be true \(DecayCorrection of the scanner is START\)",
    ),
    "half-life": (
        sidecar(TracerRadionuclide="Mn52", RadionuclideHalfLife=None),
        r"_pet\.json: TracerRadionuclide is 'Mn52', .* add RadionuclideHalfLife",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_scan_is_one_clear_error_and_others_go_on(
    tree: Path, tmp_path: Path, name: str
) -> None:
    spoil, words = BAD[name]
    spoil(tree)
    with pytest.raises(InputError, match=words):
        imported(tree, tmp_path / "bad")
    assert [path.name for path in (tmp_path / "bad").glob("*") if path.suffix != ".json"] == []
    assert not (tmp_path / "bad" / "scan.json").exists()
    assert (imported(tree, tmp_path / "good", job=import_job("03")) / "scan.json").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            {"header_dose_mbq": (160, 175)},
            r"own_sub-02: .*ood2/uld: wants 160 to 175 MBq .*, but there is 232\.0 MBq",
        ),
        ({"administration": "bolus"}, r"own_sub-02: .* wants bolus, .* infusion \(column 'group'"),
    ],
)
def test_a_cohort_is_what_it_says(clean: Path, tmp_path: Path, setting, words: str) -> None:
    requirements = {"ood2/uld": ScanRequirement(**setting)}
    with pytest.raises(InputError, match=words):
        imported(clean, tmp_path, job=import_job(requirements=requirements))
    fitting = ScanRequirement(header_dose_mbq=(225, 235), administration="infusion")
    imported(clean, tmp_path, job=import_job(requirements={"ood2/ld": fitting}))


@pytest.mark.parametrize("dose_bq", [0, 167, 167e3])  # MBq and kBq, where DICOM has Bq
def test_a_cohort_by_dose_needs_a_dose(tree: Path, tmp_path: Path, dose_bq: float) -> None:
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, RadionuclideTotalDose=dose_bq))
    requirements = {"ood2/uld": ScanRequirement(header_dose_mbq=(160, 175))}
    with pytest.raises(InputError, match=r"but there is no dose; .*leave header_dose_mbq out"):
        imported(tree, tmp_path, job=import_job(requirements=requirements))


def test_a_description_of_the_data_set_is_not_needed(tree: Path, tmp_path: Path) -> None:
    (tree / "dataset_description.json").write_text("{")
    assert (imported(tree, tmp_path / "out") / "scan.json").exists()


def test_the_command_line_runs_both_steps(clean: Path, tmp_path: Path) -> None:
    located = f"located={tmp_path}/located.json"
    settings = fetch_job(clean).model_dump_json()
    assert main(["fetch_invivo", "--settings", settings, "--out", located]) == 0
    settings = import_job(windows={"standard": WINDOWS["standard"], "16s": WINDOWS["16s"]})
    outputs = [f"{name}={tmp_path}/{name}.nii.gz" for name in ("standard", "t1")] + [
        f"low={tmp_path}/16s.nii.gz",
        f"scan={tmp_path}/scan.json",
    ]
    arguments = ["--settings", settings.model_dump_json(), "--in", located, "--out", *outputs]
    assert main(["import_scan", *arguments]) == 0
    assert (tmp_path / "16s.nii.gz").exists()


def test_outputs_must_be_the_windows(clean: Path, tmp_path: Path) -> None:
    located = tmp_path / "located.json"
    fetch_invivo.run(fetch_job(clean), Files({}), Files({"located": [located]}))
    outputs = {name: [tmp_path / f"{name}.nii.gz"] for name in ("standard", "low", "t1", "scan")}
    with pytest.raises(InputError, match=r"outputs called 'low' are \['low'\], but the windows are"):
        import_scan.run(import_job(), Files({"located": [located]}), Files(outputs))


@pytest.mark.parametrize("kind", ["pet", "anat"])
def test_a_name_with_a_wildcard_of_workflows_is_refused(tree: Path, tmp_path: Path, kind: str) -> None:
    for path in [*(tree / "sub-02" / kind).iterdir()]:
        path.rename(path.with_name(path.name.replace("sub-02_", "sub-02_acq-{x}_")))
    with pytest.raises(InputError, match=rf"^sub-02/{kind}/sub-02_acq-\{{x\}}_.*: its name has a brace"):
        imported(tree, tmp_path / "out")
