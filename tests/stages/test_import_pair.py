"""From a folder of pairs to the files of a scan: the BIDS path's values, or one clear sentence."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pair_folder as folder
import pytest

from quietpet.cli import main
from quietpet.config.invivo import ScanRequirement
from quietpet.errors import InputError
from quietpet.files.volumes import read_volume, write_volume
from quietpet.geometry.volume import Volume, is_missing
from quietpet.registration.volume import RigidTransform


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs") / "own"
    for participant in ("01", "02"):
        folder.write_images(root, participant)
    folder.write_table(root, [*folder.rows_of("01"), *folder.rows_of("02")])
    return root


@pytest.fixture
def own(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "own"))


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).get_fdata(dtype=np.float32))


def test_images_in_bq_per_ml_are_taken_as_they_are(clean: Path, tmp_path: Path) -> None:
    results = folder.imported(clean, tmp_path)
    names = {"standard.nii.gz": "sd.nii.gz", "x20.nii.gz": "ld.nii.gz", "T1w.nii.gz": "t1.nii.gz"}
    for made, given in names.items():
        np.testing.assert_array_equal(values(results / made), values(clean / "01" / given))
        np.testing.assert_array_equal(
            nib.load(results / made).affine, nib.load(clean / "01" / given).affine
        )
    scan = json.loads((results / "scan.json").read_text())
    assert (scan["units"], scan["data_source"], scan["participant"]) == ("Bq/mL", "own", "01")
    assert list(scan["windows"]) == ["standard", "x20"]
    assert scan["complete"] is True
    assert scan["corrections"] == []
    inputs = scan["provenance"]["inputs"]
    assert {Path(path).name for path in inputs} == {"pairs.tsv", "sd.nii.gz", "ld.nii.gz", "t1.nii.gz"}


def test_other_axes_become_ras_without_interpolation(own: Path, tmp_path: Path) -> None:
    image = nib.load(own / "01/ld.nii.gz")
    before = image.get_fdata(dtype=np.float32)
    turned = image.as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    content = turned.to_bytes()
    (own / "01/ld.nii.gz").write_bytes(content)  # not compressed, whatever its name says
    made = nib.load(folder.imported(own, tmp_path) / "x20.nii.gz")
    np.testing.assert_array_equal(np.asarray(made.dataobj), before)
    np.testing.assert_allclose(made.affine, folder.affine())


def suv_folder(root: Path, **low: Any) -> None:
    """Participant 01's low dose in SUV: what the activity was, times weight over injected activity."""
    standard, x20 = folder.rows_of("01", radionuclide="F18", delay_minutes=folder.DELAY_MINUTES)
    known = {"unit": "SUVbw", "weight_kg": folder.WEIGHT_KG, **low}
    folder.write_table(root, [standard, x20 | known])
    grams_per_bq = 1000 * folder.WEIGHT_KG / (1e6 * folder.INJECTED_MBQ)
    folder.altered(root / "01/ld.nii.gz", lambda bq_per_ml: bq_per_ml * grams_per_bq)


@pytest.mark.parametrize("unit", ["SUV", "SUVbw", "suv_bw", "g/ml"])
def test_suv_is_activity_over_what_is_left_when_the_scan_starts_per_weight(
    own: Path, tmp_path: Path, unit: str
) -> None:
    """SUV = C W / A with A = A0 2^(-t/T): the same SUV is less Bq/mL at a later time."""
    suv_folder(own, unit=unit)
    scan = folder.imported(own, tmp_path)
    left = 2 ** (-60 * folder.DELAY_MINUTES / folder.HALF_LIFE_S)
    expected = left * values(own.parent / "own/01/ld.nii.gz") * 1e6 * folder.INJECTED_MBQ
    np.testing.assert_allclose(
        values(scan / "x20.nii.gz"), expected / (1000 * folder.WEIGHT_KG), rtol=1e-6
    )


def test_suv_of_an_image_that_is_corrected_to_the_injection(own: Path, tmp_path: Path) -> None:
    """Both rows of the time of the injection: nothing decays, and no nuclide is needed."""
    before = values(own / "01/ld.nii.gz")
    suv_folder(own)
    rows = folder.rows_of("01", decay_corrected_to="injection")
    rows[1] |= {"unit": "SUV", "weight_kg": folder.WEIGHT_KG}
    folder.write_table(own, rows)
    np.testing.assert_allclose(values(folder.imported(own, tmp_path) / "x20.nii.gz"), before, rtol=1e-6)


@pytest.mark.parametrize(
    ("standard", "low", "half_lives"),
    [
        ({"decay_corrected_to": "injection"}, {"decay_corrected_to": "start", "delay_minutes": 30}, 30),
        ({"delay_minutes": 60}, {"delay_minutes": 45}, -15),
        ({"delay_minutes": 60}, {"decay_corrected_to": "injection"}, -60),
        ({"delay_minutes": 60}, {"delay_minutes": 60}, 0),
    ],
)
def test_a_low_dose_is_brought_to_the_time_of_the_standard_one(
    own: Path, tmp_path: Path, standard: dict[str, Any], low: dict[str, Any], half_lives: float
) -> None:
    """An activity at t is 2^((t - t') / T) of it at t'; minutes of gallium-68 here."""
    rows = folder.rows_of("01", radionuclide="Ga68")
    folder.write_table(own, [rows[0] | standard, rows[1] | low])
    factor = 2 ** (60 * half_lives / 4062.6)
    results = folder.imported(own, tmp_path)
    np.testing.assert_allclose(
        values(results / "x20.nii.gz"), factor * values(own / "01/ld.nii.gz"), rtol=1e-6
    )
    np.testing.assert_array_equal(values(results / "standard.nii.gz"), values(own / "01/sd.nii.gz"))


def test_frames_become_the_image_of_one_long_frame(own: Path, tmp_path: Path) -> None:
    """A constant activity that only decays: each frame shows it at the injection, so does their mean."""
    frames = np.stack([values(own / "01/ld.nii.gz")] * 3, axis=-1) * [0.9, 1.2, 1.0]
    image = nib.load(own / "01/ld.nii.gz")
    nib.save(nib.Nifti1Image(frames.astype(np.float32), image.affine), own / "01/ld.nii.gz")
    starts_s, durations_s = np.array([3000.0, 3300.0, 3900.0]), np.array([300.0, 600.0, 1200.0])
    rows = folder.rows_of("01", radionuclide="F18", decay_corrected_to="injection")
    rows[1] |= {"frame_starts_s": "3000, 3300, 3900", "frame_durations_s": "300,600,1200"}
    folder.write_table(own, rows)
    # What decayed in each frame weighs it, written here by its integral.
    rate = np.log(2) / folder.HALF_LIFE_S
    decayed = np.exp(-rate * starts_s) - np.exp(-rate * (starts_s + durations_s))
    expected = np.average(frames, axis=-1, weights=decayed)
    scan = folder.imported(own, tmp_path)
    np.testing.assert_allclose(values(scan / "x20.nii.gz"), expected, rtol=1e-5)
    assert json.loads((scan / "scan.json").read_text())["windows"]["x20"]["seconds"] == 2100


def test_a_low_dose_on_other_voxels_keeps_them(own: Path, tmp_path: Path) -> None:
    """It is interpolated once, when it is cut or registered, and not here."""
    finer = folder.pet(voxel_mm=4.0, shape=(36, 42, 30), noise=5)
    write_volume(own / "01/ld.nii.gz", finer)
    made = read_volume(folder.imported(own, tmp_path) / "x20.nii.gz")
    np.testing.assert_array_equal(made.values, finer.values)
    np.testing.assert_allclose(made.affine_ras_mm, finer.affine_ras_mm)


def test_a_low_dose_of_another_scan_is_registered_to_the_standard_one(own: Path, tmp_path: Path) -> None:
    motion = RigidTransform.from_rotation(euler_deg=(3, -4, 5), translation_mm=(14, -9, 6))
    low = folder.pet(noise=7)
    write_volume(
        own / "01/ld.nii.gz",
        Volume(values=low.values, affine_ras_mm=motion.fixed_to_moving @ low.affine_ras_mm),
    )
    with pytest.raises(
        InputError, match=r"same_position \(x20\) is 1\d\.\d mm between .* same_position: no"
    ):
        folder.imported(own, tmp_path)
    rows = folder.rows_of("01")
    folder.write_table(own, [rows[0], rows[1] | {"same_position": "no"}])
    made = read_volume(folder.imported(own, tmp_path) / "x20.nii.gz")
    np.testing.assert_array_equal(made.values, low.values)
    corners = np.array([[0, 0, 0], [23, 0, 0], [0, 27, 0], [23, 27, 19]])
    apart_mm = np.linalg.norm(made.world_mm(corners) - low.world_mm(corners), axis=1)
    assert apart_mm.max() < 2.0  # a third of a voxel
    scan = json.loads((tmp_path / "scan.json").read_text())
    assert scan["windows"]["x20"]["to_standard"]["engine"] == "embedded"
    assert scan["windows"]["standard"]["to_standard"] is None


def sheared(root: Path) -> None:
    shear = np.eye(4)
    shear[0, 1] = 0.03
    matrix = nib.load(root / "01/ld.nii.gz").affine @ shear
    folder.altered(root / "01/ld.nii.gz", lambda seen: seen, matrix=matrix)


def holed(root: Path) -> None:
    def change(seen: np.ndarray) -> np.ndarray:
        seen[12, 14, 10] = np.nan
        return seen

    folder.altered(root / "01/ld.nii.gz", change)


def dynamic(root: Path) -> None:
    image = nib.load(root / "01/ld.nii.gz")
    frames = np.stack([np.asarray(image.dataobj)] * 2, axis=-1)
    nib.save(nib.Nifti1Image(frames, image.affine), root / "01/ld.nii.gz")


def reshaped(*shape: int) -> Any:
    def spoil(root: Path) -> None:
        nib.save(nib.Nifti1Image(np.ones(shape, np.float32), folder.affine()), root / "01/ld.nii.gz")

    return spoil


def coloured(root: Path) -> None:
    colours = np.zeros((24, 28, 20), dtype=[(name, "u1") for name in "RGB"])
    nib.save(nib.Nifti1Image(colours, folder.affine()), root / "01/ld.nii.gz")


SPOILT = {
    "one plane": (reshaped(24, 28), r"01/ld.nii.gz: dim is 2-D, \[24, 28\], but should be 3-D, or 4-D"),
    "one slice": (reshaped(24, 28, 1), r"01/ld.nii.gz: dim is 3-D, \[24, 28, 1\]"),
    "five axes": (reshaped(24, 28, 20, 1, 3), r"01/ld.nii.gz: dim is 5-D, \[24, 28, 20, 1, 3\]"),
    "colours": (coloured, r"01/ld.nii.gz: holds RGB values"),
    "sheared axes": (
        sheared,
        r"01/ld.nii.gz: affine is axes meet at 8[78]\.\d+ degrees, .* right angles",
    ),
    "NaN in the head": (holed, r"01/ld.nii.gz: 1 of 13440 values of frame 0 are not finite"),
    "two frames": (dynamic, r"frame_starts_s, frame_durations_s \(x20\) is n/a, .* times of 2 frame"),
    "no file": (
        lambda root: (root / "01/ld.nii.gz").unlink(),
        r"01/ld.nii.gz: no such file; paths are relative to the folder of pairs.tsv",
    ),
    "a text": (
        lambda root: (root / "01/ld.nii.gz").write_text("no image"),
        r"01/ld.nii.gz: is no NIfTI image",
    ),
    "cut short": (
        lambda root: (root / "01/ld.nii.gz").write_bytes((root / "01/ld.nii.gz").read_bytes()[:9000]),
        r"01/ld.nii.gz: damaged",
    ),
    "a difference": (
        lambda root: folder.altered(root / "01/ld.nii.gz", lambda seen: seen - seen.mean()),
        r"01/ld.nii.gz: values \(x20\) is values down to -.*, but should be no value below 0",
    ),
    "all below 0": (
        lambda root: folder.altered(root / "01/ld.nii.gz", lambda seen: -1 - seen),
        r"values \(x20\) is largest value -1 Bq/mL, but should be activity",
    ),
    "counts not scaled": (
        lambda root: folder.altered(root / "01/ld.nii.gz", lambda seen: seen / 20),
        r"values \(x20\) is 0\.0\d+ of the standard dose's activity, but should be 0\.5 to 2",
    ),
    "brighter": (
        lambda root: folder.altered(root / "01/ld.nii.gz", lambda seen: seen * 2.5),
        r"values \(x20\) is 2\.5 of the standard dose's activity, but should be 0\.5 to 2",
    ),
    "more than was given": (
        lambda root: folder.altered(root / "01/sd.nii.gz", lambda seen: seen * 1000),
        r"values \(standard\) is .* MBq in the image, but should be at most 200 MBq",
    ),
    "twice the same": (
        lambda root: shutil.copy(root / "01/sd.nii.gz", root / "01/ld.nii.gz"),
        r"values \(x20\) is the values of the standard dose, but should be another image",
    ),
    "half the head": (
        lambda root: write_volume(root / "01/ld.nii.gz", folder.pet(shape=(24, 28, 10), noise=3)),
        r"pet \(x20\) is \d\d% of the standard dose's activity in its field of view",
    ),
    "T1 of nothing": (
        lambda root: folder.altered(root / "01/t1.nii.gz", lambda seen: 0 * seen),
        r"01/t1.nii.gz: t1 is 0 in every voxel, but should be a head",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_an_image_that_cannot_be_used_is_one_sentence_of_import_and_audit(
    own: Path, tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = SPOILT[case]
    spoil(own)
    with pytest.raises(InputError, match=rf"^own_sub-01: .*{words}") as caught:
        folder.imported(own, tmp_path / "results")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results/scan.json").exists()
    assert main(["audit", str(own), "--json", str(tmp_path / "audit.json")]) == 1
    report = json.loads((tmp_path / "audit.json").read_text())
    errors = [each for each in report["findings"] if each["severity"] == "error"]
    assert {each["participant"] for each in errors} == {"01"}
    assert len(errors) == 1
    capsys.readouterr()
    # The other participant goes on.
    folder.imported(own, tmp_path / "other", folder.job("02"))


def test_frames_are_as_many_as_their_times(own: Path, tmp_path: Path) -> None:
    dynamic(own)
    standard, low = folder.rows_of("01", radionuclide="F18", decay_corrected_to="injection")
    times = {"frame_starts_s": "0,60,120", "frame_durations_s": "60,60,60"}
    folder.write_table(own, [standard, low | times])
    with pytest.raises(InputError, match=r"\(x20\) is times of 3 frame\(s\), but .* times of 2 frame"):
        folder.imported(own, tmp_path)


LACKING = {
    "weight_kg": r"weight_kg \(x20\) is n/a, but should be the body weight \[kg\] \(its unit is SUV",
    "injected_mbq": r"injected_mbq \(x20\) is n/a, but should be the injected activity \[MBq\]",
    "delay_minutes": r"delay_minutes \(x20\) is n/a, but should be minutes from injection to scan",
    "radionuclide": r"radionuclide \(x20\) is n/a, but should be one of F18, C11",
}


@pytest.mark.parametrize("column", LACKING)
def test_suv_without_what_it_is_made_of_is_refused(own: Path, tmp_path: Path, column: str) -> None:
    suv_folder(own, **{column: "n/a"})
    with pytest.raises(
        InputError, match=rf"^own_sub-01: pairs.tsv: {LACKING[column]}.*Correct that, or"
    ):
        folder.imported(own, tmp_path)


@pytest.mark.parametrize("unit", ["SUVlbm", "counts", "%ID/g", "Bq", "SUVR", "MBq"])
def test_units_of_something_else_are_refused(own: Path, tmp_path: Path, unit: str) -> None:
    folder.write_table(own, folder.rows_of("01", unit=unit))
    words = rf"unit \(standard\) is '{re.escape(unit)}', but should be Bq/mL, kBq/mL, SUV or SUVbw"
    with pytest.raises(InputError, match=words):
        folder.imported(own, tmp_path)


def test_a_participant_or_a_dose_that_is_not_there_is_named(clean: Path, tmp_path: Path) -> None:
    for name, others in (
        ("1", ", but '01'"), ("001", ", but '01'"), ("xyz", "; there are 01, 02"),
    ):  # fmt: skip
        words = rf"pairs.tsv: has no participant '{name}'{others}; correct invivo.datasets"
        with pytest.raises(InputError, match=words):
            folder.imported(clean, tmp_path, folder.job(name))
    with pytest.raises(
        InputError, match=r"no row of 01 with the dose 'x100'; there are standard, x20\."
    ):
        folder.imported(clean, tmp_path, folder.job(doses=("x100",)))


def test_without_a_standard_dose_the_table_is_at_fault(own: Path, tmp_path: Path) -> None:
    folder.write_table(own, [folder.rows_of("01")[1], *folder.rows_of("02")])
    with pytest.raises(InputError, match=r"pairs.tsv: dose is x20, but should be standard in one row"):
        folder.imported(own, tmp_path)


def test_a_participant_without_t1_is_refused_or_keeps_its_own_grid(own: Path, tmp_path: Path) -> None:
    folder.write_table(own, [*folder.rows_of("01", t1="n/a"), *folder.rows_of("02")])
    with pytest.raises(InputError) as caught:
        folder.imported(own, tmp_path)
    assert str(caught.value) == (
        "own_sub-01: pairs.tsv: t1 is n/a in every row of 01, but PET is registered to it. Name a T1 "
        "image, leave 01 out of invivo.datasets, or write invivo.sources.own.t1_presence: if_there."
    )
    assert not any(tmp_path.glob("*.nii.gz"))
    results = folder.imported(own, tmp_path, folder.job(t1_presence="if_there"))
    t1, standard = (read_volume(results / f"{name}.nii.gz") for name in ("T1w", "standard"))
    assert is_missing(t1)
    np.testing.assert_array_equal(t1.affine_ras_mm, standard.affine_ras_mm)
    assert json.loads((results / "scan.json").read_text())["t1"] is None
    # Whoever has one keeps it.
    made = folder.imported(own, tmp_path / "02", folder.job("02", t1_presence="if_there"))
    assert not is_missing(read_volume(made / "T1w.nii.gz"))


def test_a_setting_may_ask_for_a_dose_and_an_administration(own: Path, tmp_path: Path) -> None:
    folder.write_table(own, folder.rows_of("01", administration="Bolus"))
    asked = ScanRequirement(header_dose_mbq=(190, 210), administration="bolus")
    scan = folder.imported(own, tmp_path, folder.job(requirements={"d/s": asked})) / "scan.json"
    assert json.loads(scan.read_text())["administration"] == "bolus"
    for other in (
        ScanRequirement(header_dose_mbq=(90, 110)),
        ScanRequirement(administration="infusion"),
    ):
        with pytest.raises(InputError, match=r"invivo.datasets, d/s: wants .* pairs.tsv"):
            folder.imported(own, tmp_path, folder.job(requirements={"d/s": other}))
