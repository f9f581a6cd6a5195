"""The audit against the defects of two real data sets, a clean one, and one defect after the other."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import petbids
import pytest

from quietpet.cli import main
from quietpet.errors import InputError
from quietpet.invivo.audit import audit
from quietpet.invivo.bids import read_tree
from quietpet.invivo.decay import decay_references_s
from quietpet.invivo.exchange import find_exchanges
from quietpet.invivo.findings import DATA_SET, Finding
from quietpet.invivo.sidecar import NUMBERS
from quietpet.invivo.timing import decay_factors, timeline


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return petbids.write_dataset(tmp_path_factory.mktemp("bids") / "tiny")


@pytest.fixture
def tree(clean: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(clean, tmp_path / "tiny"))


def found(root: Path, check: str) -> list[Finding]:
    return [finding for finding in audit(read_tree(root)) if finding.check == check]


def test_a_clean_data_set_has_no_findings(clean: Path, capsys) -> None:
    assert audit(read_tree(clean)) == []
    assert main(["audit", str(clean), "--read-images"]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings, 0 notes\n"


@pytest.fixture(scope="module")
def rspetmr(shared: Path) -> list[Finding]:
    return audit(read_tree(shared / "invivo_metadata" / "ds002898"))


@pytest.fixture(scope="module")
def dacra(shared: Path) -> list[Finding]:
    return audit(read_tree(shared / "invivo_metadata" / "ds003397"))


def test_ds002898_whose_dose_is_whose(shared: Path, rspetmr: list[Finding]) -> None:
    with (shared / "facts" / "ds002898_dose_audit.csv").open() as stream:
        rows = {row["participant"]: row for row in csv.DictReader(stream)}
    dataset = read_tree(shared / "invivo_metadata" / "ds002898")
    owners = {label: found.owner for label, found in find_exchanges(dataset.pet).items()}
    assert len(owners) == 26
    for label, row in rows.items():
        assert owners.get(label, label) == row["sidecar_whose_time_zero_matches_header"]
    findings = {each.participant: each for each in rspetmr if each.check == "exchanged-sidecar"}
    assert findings.keys() == owners.keys()
    for label, finding in findings.items():
        row = rows[label]
        assert finding.severity == "error"
        assert f"{float(row['sidecar_injected_radioactivity_mbq']):g} MBq" in finding.value
        assert f"{float(row['matching_sidecar_injected_mbq']):g} MBq" in finding.expected
        assert row["matching_time_zero"] in finding.expected
        assert f"{float(row['header_radionuclide_total_dose_mbq']):.1f} MBq" in finding.evidence
        assert "RadionuclideTotalDose" in finding.correction
    assert "but not the dose noted for sub-27" in findings["sub-24"].evidence


def by_check(findings: list[Finding]) -> dict[str, set[str]]:
    checks: dict[str, set[str]] = {}
    for finding in findings:
        checks.setdefault(finding.check, set()).add(finding.participant)
    return checks


def test_ds002898_other_defects(rspetmr: list[Finding]) -> None:
    checks = by_check(rspetmr)
    everyone = {f"sub-{number:02d}" for number in range(1, 28)}
    assert checks["midnight-wrap"] == {"sub-04", "sub-09", "sub-24"}
    assert checks["exchanged-frames"] == {"sub-04", "sub-09", "sub-24"}
    assert checks["string-numbers"] == everyone
    assert checks["old-key-names"] == everyone
    assert checks["decay-factors"] == checks["copied-constant"] == everyone
    assert checks["scalar-per-frame"] == checks["clock-times"] == {"sub-27"}
    assert checks["frame-gaps"] == {"sub-20", "sub-27"}
    assert checks["unlike-the-others"] == {"sub-06", "sub-20", "sub-27"}
    assert checks["hidden-from-validators"] == checks["no-images"] == {DATA_SET}
    wrap = next(each for each in rspetmr if each.check == "midnight-wrap")
    assert wrap.value.startswith("[86399, 15, 31")
    assert wrap.expected.startswith("[-1.0, 15")
    units = next(each for each in rspetmr if each.check == "old-key-names")
    assert "FrameDurationUnit" in units.value
    assert "FrameDurationUnits" in units.expected


def test_ds003397(dacra: list[Finding]) -> None:
    checks = by_check(dacra)
    everyone = {f"sub-{number:02d}" for number in range(1, 16)}
    assert checks["missing-keys"] == everyone
    missing = next(each for each in dacra if each.check == "missing-keys")
    for key in ("FrameTimesStart", "FrameDuration", "Units", "InjectedRadioactivity", "TimeZero"):
        assert key in missing.key
    assert "22 of them" in missing.evidence
    assert missing.file.endswith("and 3 more")
    assert checks["mode-of-administration"] == {f"sub-{n}" for n in ("05", "07", "08", "09", "10")}
    assert checks["late-injection"] == {"sub-06"}
    assert checks["derived-frame-times"] == everyone
    assert not any(finding.severity == "error" for finding in dacra)


def test_ds003397_derived_times_agree_with_dicom(shared: Path) -> None:
    """Run 4 has both: DICOM's own times and decay factors per frame, and the keys we derive from."""
    for participant in read_tree(shared / "invivo_metadata" / "ds003397").participants:
        run = participant.pet[3]
        samples = run.sidecar["time"]["samples"]
        timing = timeline(participant.pet, 3)
        assert timing.n_frames == len(samples["AcquisitionTime"]) == 41
        np.testing.assert_array_equal(timing.starts_s, 4800 + 16.0 * np.arange(41))
        # FrameReferenceTime [ms] is where the activity has its mean within a frame (PS3.3, C.8.9.4).
        rate = np.log(2) / 6586.2
        mean_s = np.log(rate * 16 / (1 - np.exp(-rate * 16))) / rate
        reference_s = np.array(samples["FrameReferenceTime"]) / 1e3 - mean_s
        np.testing.assert_allclose(np.diff(reference_s), 16, atol=1e-6)
        # Two participants' series are corrected to a second after their first frame.
        series_s = timing.starts_s[0] - reference_s[0]
        assert round(series_s, 3) == (1 if participant.label in ("sub-09", "sub-10") else 0)
        factors = decay_factors(timing, half_life_s=6586.2, reference_s=series_s)
        np.testing.assert_allclose(factors, samples["DecayFactor"], rtol=4e-6)


def spoil(**changes: Any) -> Callable[[Path], None]:
    """Give participant 2 a side-car with other values; None takes a key away."""

    def do(root: Path) -> None:
        values = {**petbids.sidecar(2), **changes}
        petbids.write_sidecar(root, 2, {k: v for k, v in values.items() if v is not None})

    return do


def respoil(**changes: Any) -> Callable[[Path], None]:
    """Rewrite participant 2's PET image."""

    def do(root: Path) -> None:
        known = {"values": petbids.frames(2), "affine": petbids.PET_AFFINE, **changes}
        petbids.write_image(petbids.pet_path(root, 2), **known)

    return do


FLIP = np.diag([-1.0, 1, 1, 1])
ELSEWHERE = np.array([[1.0, 0, 0, 30], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
STARTS = petbids.sidecar(2)["FrameTimesStart"]


def copied_time(root: Path) -> None:
    spoil(TimeZero=petbids.sidecar(5)["TimeZero"])(root)


def exchanged(root: Path) -> None:
    for own, other in ((2, 3), (3, 2)):
        added = {key: petbids.sidecar(other)[key] for key in ("TimeZero", "InjectedRadioactivity")}
        petbids.write_sidecar(root, own, {**petbids.sidecar(own), **added})


def with_form(which: str) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        image = nib.load(petbids.pet_path(root, 2))
        getattr(image, f"set_{which}")(FLIP @ petbids.PET_AFFINE, code=1)
        nib.save(image, petbids.pet_path(root, 2))

    return do


def web_page(root: Path) -> None:
    petbids.pet_path(root, 2).write_text("<!DOCTYPE html><html>504 Gateway Time-out</html>")


def annex_pointer(root: Path) -> None:
    petbids.pet_path(root, 2).write_text("/annex/objects/MD5E-s1530599960--fb58a7.nii.gz\n")


def cut_short(root: Path) -> None:
    path = petbids.pet_path(root, 2)
    path.write_bytes(path.read_bytes()[:200])


DEFECTS = {
    "string-numbers": spoil(InjectedRadioactivity="232.0"),
    "old-key-names": spoil(Units=None, Unit="Bq/mL"),
    "clock-times": spoil(InjectionStart="11:30:35"),
    "scalar-per-frame": spoil(FrameDuration=16),
    "midnight-wrap": spoil(FrameTimesStart=[86399.0, *STARTS[1:]]),
    "unit-spelling": spoil(InjectedRadioactivityUnits="Mbq"),
    "missing-keys": spoil(TracerName=None),
    "units": spoil(Units="SUV"),
    "frame-times": spoil(FrameDuration=[16.0] * 3),
    "frame-count": spoil(FrameTimesStart=STARTS[:-1], FrameDuration=[16.0] * 11),
    "frame-gaps": spoil(FrameTimesStart=[*STARTS[:-1], 400.0]),
    "decay-factors": spoil(DecayCorrectionFactor=[1.07238] * petbids.N_FRAMES),
    "copied-constant": spoil(ScatterFraction=[44.32] * petbids.N_FRAMES),
    "dose": spoil(InjectedRadioactivity=168.0),
    "time-zero": spoil(TimeZero="05:00:00"),
    "copied-time": copied_time,
    "exchanged-sidecar": exchanged,
    "mode-of-administration": spoil(ModeOfAdministration="bolus"),
    "unlike-the-others": spoil(ReconMethodName="FBP"),
    "dimensions": respoil(values=petbids.frames(2)[..., 0]),
    "misnamed-gz": respoil(gzipped=False),
    "geometry": with_form("qform"),
    "unreadable-image": web_page,
    "missing-image": lambda root: petbids.pet_path(root, 2).unlink(),
    "missing-t1": lambda root: petbids.t1_path(root, 2).unlink(),
    "no-number": spoil(InjectedRadioactivity="a lot"),
    "no-time": spoil(TimeZero="noon"),
    "dose-unit": spoil(InjectedRadioactivityUnits="counts"),
    "half-life": spoil(TracerRadionuclide="C11"),
    "unreadable-sidecar": lambda root: petbids.write_sidecar(root, 2, {}).write_text("[1]") and None,
}


@pytest.mark.parametrize("check", DEFECTS)
def test_every_defect_is_found_where_it_is(tree: Path, check: str) -> None:
    DEFECTS[check](tree)
    findings = found(tree, check)
    assert findings, "not found"
    affected = {"sub-02", "sub-03"} if check == "exchanged-sidecar" else {"sub-02"}
    assert {finding.participant for finding in findings} == affected
    for finding in findings:
        assert finding.file.startswith("sub-0")
        assert (tree / finding.file).exists(), "every finding names a file that is there"
        assert "" not in (finding.key, finding.value, finding.expected, finding.evidence)


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (with_form("qform"), "mirror image"),
        (with_form("sform"), "mirror image"),
        (respoil(affine=FLIP @ petbids.PET_AFFINE), "ImageOrientationPatientDICOM"),
        (
            respoil(affine=petbids.PET_AFFINE + np.array([[0, 0, 0, 30]] + 3 * [4 * [0]])),
            "field of view",
        ),
        (respoil(affine=petbids.PET_AFFINE + 0.2 * np.eye(4, k=1)), "axes meet at 8"),
    ],
)
def test_left_and_right_and_position(tree: Path, spoiled, words: str) -> None:
    spoiled(tree)
    assert any(words in f"{each.value} {each.evidence}" for each in found(tree, "geometry"))


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [(web_page, "web page"), (annex_pointer, "pointer"), (cut_short, "damaged")],
)
def test_what_is_no_image(tree: Path, spoiled, words: str) -> None:
    spoiled(tree)
    (finding,) = found(tree, "unreadable-image")
    assert words in finding.value
    assert finding.file not in finding.value, "said once"
    path = petbids.pet_path(tree, 2)
    path.rename(path.with_suffix(""))
    (finding,) = found(tree, "unreadable-image")
    assert finding.file.endswith("_pet.nii")


def test_reading_images_finds_what_headers_hide(tree: Path, capsys) -> None:
    path = petbids.pet_path(tree, 2)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the stored checksum
    path.write_bytes(bytes(content))
    broken = petbids.frames(3).astype(np.float32)
    broken[1, 2, 2, 7] = np.nan
    petbids.write_image(petbids.pet_path(tree, 3), broken, petbids.PET_AFFINE)
    assert main(["audit", str(tree)]) == 0
    capsys.readouterr()
    report = tree.parent / "report.json"
    assert main(["audit", str(tree), "--read-images", "--json", str(report)]) == 1
    faults = {each["participant"]: each["value"] for each in json.loads(report.read_text())["findings"]}
    assert "CRC" in faults["sub-02"]
    assert "1 of 120 values of frame 7 are not finite" in faults["sub-03"]


def test_side_cars_are_inherited(tree: Path) -> None:
    for number in range(1, 7):
        values = petbids.sidecar(number)
        del values["TracerName"]
        petbids.write_sidecar(tree, number, values)
    (tree / "task-rest_pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    assert audit(read_tree(tree)) == []
    (tree / "task-rest_pet.json").rename(tree / "task-other_pet.json")
    assert len(found(tree, "missing-keys")) == 6


def test_the_reports_hold_every_finding(tree: Path, tmp_path: Path, capsys) -> None:
    DEFECTS["units"](tree)
    html, report = tmp_path / "audit.html", tmp_path / "audit.json"
    description = tree / "dataset_description.json"
    description.write_text(json.dumps({"Name": "<script>alert(1)</script>", "BIDSVersion": "1.8.0"}))
    assert main(["audit", str(tree), "--html", str(html), "--json", str(report)]) == 1
    assert "error   units (1): sub-02" in capsys.readouterr().out
    content = json.loads(report.read_text())
    assert content["counts"] == {"error": 1, "warning": 1, "note": 0}
    assert {each["check"] for each in content["findings"]} == {"units", "unlike-the-others"}
    page = html.read_text()
    assert "<script>" not in page
    assert page.count("sub-02_task-rest_pet.json") == 2


def test_decay_corrected_to_another_time_is_no_finding(tree: Path) -> None:
    """To the injection, 33 s into the scan."""
    factor = 2 ** (-33 / petbids.HALF_LIFE_S)
    factors = [factor * each for each in petbids.decay_factors()]
    spoil(ImageDecayCorrectionTime=33, DecayCorrectionFactor=factors)(tree)
    assert audit(read_tree(tree)) == []
    spoil(ImageDecayCorrectionTime=3300, DecayCorrectionFactor=factors)(tree)
    assert found(tree, "decay-factors")


def test_a_folder_that_is_no_data_set(tmp_path: Path, capsys) -> None:
    assert main(["audit", str(tmp_path / "absent")]) == 1
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"holds no folders sub-\*"):
        read_tree(tmp_path)


@pytest.mark.parametrize("key", [*sorted(NUMBERS), "Units", "TimeZero", "AcquisitionTime", "global"])
def test_no_value_of_a_side_car_ends_the_audit(tree: Path, key: str) -> None:
    odd = [None, "", "soon", 0, -1, 1e30, 1e-30, float("nan"), True, [], ["x"], [None], [180]]
    odd += [{}, {"const": []}]
    odd += [{"const": {"RadiopharmaceuticalInformationSequence": [None], "ActualFrameDuration": "x"}}]
    dataset, others = read_tree(tree), set()
    image = dataset.participants[1].pet[0]
    for value in odd:
        spoiled = replace(image, sidecar={**image.sidecar, key: value})
        people = [*dataset.participants]
        people[1] = replace(people[1], pet=[spoiled])
        others |= {each.participant for each in audit(replace(dataset, participants=people))}
    assert others <= {"sub-02", "-"}, "nobody else has a finding for it"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ImageOrientationPatientDICOM", ["a"] * 6),
        ("ImageVoxelSize", [0, 0, 0]),
        ("ImageVoxelSize", "2 mm"),
        ("dcmmeta_shape", ["a", 1, 2, 3]),
        ("time", {"samples": {"DecayFactor": [0.0]}}),
        ("InjectedRadioactivityUnits", ["MBq"]),
        ("ModeOfAdministration", ["bolus"]),
    ],
)
def test_no_other_key_ends_it_either(tree: Path, key: str, value: Any) -> None:
    spoil(**{key: value})(tree)
    assert {each.participant for each in audit(read_tree(tree))} <= {"sub-02"}


@pytest.mark.parametrize(
    ("per_second", "words", "severity"),
    [(1e3, "milliseconds", "error"), (1 / 60, "minutes", "warning")],
)
def test_frame_times_in_another_unit(tree: Path, per_second: float, words: str, severity: str) -> None:
    long = per_second if per_second < 1 else 60 * per_second
    spoil(FrameTimesStart=[long * start for start in STARTS], FrameDuration=[long * 16.0] * 12)(tree)
    (finding,) = found(tree, "frame-times")
    assert finding.severity == severity
    assert words in finding.evidence


def test_durations_that_are_ends_are_named(tree: Path) -> None:
    """As in a published example of a PET-BIDS data set."""
    ends = [10 * n**2 for n in range(1, 13)]
    spoil(FrameTimesStart=[0, *ends[:-1]], FrameDuration=ends)(tree)
    (finding,) = found(tree, "frame-gaps")
    assert "hold the ends" in finding.evidence


@pytest.mark.parametrize(
    ("frames", "faulty"), [((), False), ((1,), False), ((2,), True), ((1, 3), True)]
)
def test_t1_is_one_volume(tree: Path, frames: tuple[int, ...], faulty: bool) -> None:
    values = np.ones((12, 10, 8, *frames), np.int16)
    petbids.write_image(petbids.t1_path(tree, 2), values, petbids.T1_AFFINE)
    assert bool(found(tree, "dimensions")) == faulty


def test_what_an_import_cannot_do_without_is_an_error(tree: Path) -> None:
    for key in ("Units", "ImageDecayCorrected", "TracerName"):
        spoil(**{key: None})(tree)
        (finding,) = found(tree, "missing-keys")
        assert finding.severity == ("note" if key == "TracerName" else "error")
    stored = {"const": {"Units": "BQML"}}
    spoil(Units=None, **{"global": stored})(tree)
    (finding,) = found(tree, "missing-keys")
    assert (finding.severity, finding.correction[:4]) == ("warning", "unit")
    spoil(FrameDuration=None)(tree)
    assert {each.severity for each in found(tree, "missing-keys")} == {"error"}


def test_a_dose_of_nothing(tree: Path) -> None:
    spoil(InjectedRadioactivity=0, RadionuclideTotalDose=0)(tree)
    assert [each.key for each in found(tree, "dose")] == [
        "RadionuclideTotalDose",
        "InjectedRadioactivity",
    ]


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_the_description_of_the_data_set(tree: Path, text: str | None) -> None:
    path = tree / "dataset_description.json"
    path.unlink() if text is None else path.write_text(text)
    (finding,) = found(tree, "dataset-description")
    assert finding.severity == "warning"
    assert str(tree) not in finding.value
    assert not found(tree, "bids-version")


def test_a_tree_without_pet(tmp_path: Path, capsys) -> None:
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    assert main(["audit", str(tmp_path)]) == 1
    assert "no-pet" in capsys.readouterr().out


def test_a_table_without_its_first_column(tree: Path) -> None:
    (tree / "participants.tsv").write_text("subject\tgroup\nsub-01\tI\n")
    assert [each.key for each in found(tree, "participants-table")] == ["participant_id"]


def test_a_link_whose_content_was_not_fetched(tree: Path) -> None:
    path = petbids.pet_path(tree, 2)
    path.unlink()
    path.symlink_to("../../.git/annex/objects/none")
    (finding,) = found(tree, "missing-image")
    assert "link" in finding.value


def test_runs_corrected_to_different_times(tree: Path) -> None:
    folder, zero = petbids.pet_path(tree, 2).parent, petbids.sidecar(2)["TimeZero"]
    for run, reference in (("1", 0), ("2", 0)):
        values = petbids.sidecar(2, TimeZero=zero, ImageDecayCorrectionTime=reference)
        values["FrameTimesStart"] = [192 * (run == "2") + start for start in STARTS]
        del values["DecayCorrectionFactor"]
        name = f"sub-02_task-rest_run-{run}_pet"
        shutil.copy(petbids.pet_path(tree, 2), folder / f"{name}.nii.gz")
        (folder / f"{name}.json").write_text(json.dumps(values))
    for path in folder.glob("*task-rest_pet.*"):
        path.unlink()
    assert not found(tree, "decay-reference")
    values["ImageDecayCorrectionTime"] = 192
    (folder / f"{name}.json").write_text(json.dumps(values))
    (finding,) = found(tree, "decay-reference")
    assert finding.value == "0 s, 192 s"


def test_ds003397_is_corrected_to_one_time(shared: Path) -> None:
    for participant in read_tree(shared / "invivo_metadata" / "ds003397").participants:
        references = decay_references_s(participant.pet, half_life_s=6586.2)
        assert len(references) == 4
        # DICOM's factors begin with the first run, to the second in which the scanner wrote its time.
        assert set(references) == {references[-1]}
        assert references[-1] == pytest.approx(0, abs=1.05)


def test_a_broken_side_car_is_one_finding(tree: Path) -> None:
    petbids.write_sidecar(tree, 2, {}).write_text("{")
    (finding,) = found(tree, "unreadable-sidecar")
    assert not found(tree, "unreadable-image") + found(tree, "missing-keys")
    assert "not readable as JSON" in finding.value
    assert str(tree) not in finding.value


def test_gzip_under_the_name_of_an_uncompressed_image(tree: Path) -> None:
    path = petbids.pet_path(tree, 2)
    path.rename(path.with_suffix(""))
    (finding,) = found(tree, "misnamed-gz")
    assert finding.value == "gzip without .gz"
    with gzip.open(path.with_suffix("")) as stream:
        assert stream.read(4) == (348).to_bytes(4, "little")
