"""Which files of a BIDS tree are one scan, which are asked for by name, and which of them were read."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import petbids
import pytest
from importing import expected_mean, import_job, imported

from quietpet.config.invivo import ScanRequirement, WindowSettings
from quietpet.errors import InputError
from quietpet.invivo.audit import audit
from quietpet.invivo.bids import files_of_scan, read_table, read_tree
from quietpet.invivo.findings import Finding


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return petbids.write_dataset(tmp_path_factory.mktemp("bids") / "tiny", participants=3)


@pytest.fixture
def tree(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "tiny"))


def found(root: Path, check: str) -> list[Finding]:
    return [finding for finding in audit(read_tree(root)) if finding.check == check]


def put(root: Path, stem: str, *, frames: np.ndarray | None = None, **sidecar: Any) -> None:
    """A PET image of participant 2 at ``stem`` with its side-car; ``frames`` None: the usual ones."""
    path = root / f"{stem}.nii.gz"
    values = petbids.frames(2) if frames is None else frames
    petbids.write_image(path, values, petbids.PET_AFFINE, slope=0.5)
    written = petbids.sidecar(2, **sidecar)
    path.with_name(f"{path.name.removesuffix('.nii.gz')}.json").write_text(
        json.dumps({key: value for key, value in written.items() if value is not None})
    )


def scan_of(results: Path) -> dict[str, Any]:
    return json.loads((results / "scan.json").read_text())


def image_of(results: Path, name: str = "16s") -> np.ndarray:
    return nib.load(results / f"{name}.nii.gz").get_fdata()


# Sessions, tracers, reconstructions -----------------------------------------------------------------


def without_pet(root: Path) -> Path:
    shutil.rmtree(root / "sub-02" / "pet")
    return root


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("ses", "wk+0", "wk+8"),
        ("ses", "1", "01"),
        ("trc", "FDG+base", "FDG+drug"),
        ("rec", "acdyn", "nac"),
        ("task", "rest", "rest+music"),
    ],
)
def test_what_differs_in_more_than_its_run_is_asked_for(
    tree: Path, tmp_path: Path, entity: str, one: str, other: str
) -> None:
    without_pet(tree)
    for label, frames in ((one, petbids.frames(2)), (other, petbids.frames(2) + 1000)):
        folder = f"sub-02/ses-{label}/pet" if entity == "ses" else "sub-02/pet"
        put(tree, f"{folder}/sub-02_{entity}-{label}_pet", frames=frames)
    assert [each for each in audit(read_tree(tree)) if each.severity == "error"] == []
    with pytest.raises(InputError, match=r"several PET images, .* say which by entities") as caught:
        imported(tree, tmp_path / "out")
    assert any(f"such as {{{entity}: {label!r}}}" in str(caught.value) for label in (one, other))
    for label, more in ((one, 0), (other, 500)):
        results = imported(tree, tmp_path / label, entities={entity: label})
        np.testing.assert_allclose(image_of(results), expected_mean(4, 1) + more, rtol=1e-6)
        assert scan_of(results)["windows"]["standard"]["frames"] == [2, 7]


def test_plus_signs_do_not_relate_side_cars(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    for label in ("base", "drug"):
        put(tree, f"sub-02/pet/sub-02_trc-FDG+{label}_pet", TracerName=None)
        (tree / f"trc-FDG+{label}_pet.json").write_text(json.dumps({"TracerName": label}))
    (tree / "trc-FDG_pet.json").write_text(json.dumps({"TracerName": "neither", "Units": "SUV"}))
    for label in ("base", "drug"):
        results = imported(tree, tmp_path / label, entities={"trc": f"FDG+{label}"})
        assert scan_of(results)["tracer"] == label


NOT_ONE_SCAN = {
    "a word in the name": ("sub-02/pet/sub-02_task-rest_old_pet", "old"),
    "a session in the folder alone": ("sub-02/ses-2/pet/sub-02_task-rest_pet", "no ses-"),
    "another session in the folder": ("sub-02/ses-2/pet/sub-02_ses-1_task-rest_pet", "ses-1"),
    "another participant in the name": ("sub-02/pet/sub-03_task-rest_pet", "sub-03"),
}


@pytest.mark.parametrize("name", NOT_ONE_SCAN)
def test_names_that_say_less_than_they_should_join_nothing(
    tree: Path, tmp_path: Path, name: str
) -> None:
    stem, words = NOT_ONE_SCAN[name]
    put(tree, stem)
    findings = found(tree, "file-name")
    assert [(each.file, each.severity) for each in findings] == [(f"{stem}.nii.gz", "warning")]
    assert words in findings[0].value
    with pytest.raises(InputError, match="several PET images"):
        imported(tree, tmp_path / "out")


def test_an_image_of_an_odd_name_has_its_own_side_car(tree: Path, tmp_path: Path) -> None:
    """Which goes before those that apply to it by the rules."""
    without_pet(tree)
    put(tree, "sub-02/pet/sub-02_task-rest_old_pet", TracerName="FLT")
    (tree / "pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    assert scan_of(imported(tree, tmp_path / "out"))["tracer"] == "FLT"
    petbids.write_sidecar(tree, 2, {"TracerName": "FDG"})
    (odd,) = [each for each in read_tree(tree).pet if each.name.odd]
    assert odd.values["TracerName"] == "FLT"
    assert odd.contradicted == {}


def test_a_run_is_there_once(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    for run in ("1", "01", "2"):
        put(tree, f"sub-02/pet/sub-02_run-{run}_pet")
    assert [each.key for each in found(tree, "file-name")] == ["run"]
    with pytest.raises(InputError, match=r"_run-1_pet\.nii\.gz: is run 1, as .*_run-01_pet\.nii\.gz is"):
        imported(tree, tmp_path / "out")
    (tree / "sub-02/pet/sub-02_run-01_pet.nii.gz").unlink()
    (tree / "sub-02/pet/sub-02_run-01_pet.json").unlink()
    assert found(tree, "file-name") == []
    put(tree, "sub-02/pet/sub-02_pet")
    with pytest.raises(InputError, match=r"several PET images.* such as \{run: ''\}"):
        imported(tree, tmp_path / "out")
    assert imported(tree, tmp_path / "two", runs=("002",)), "the number of a run, not its letters"


def test_a_participant_with_a_plus_sign(tree: Path, tmp_path: Path) -> None:
    folder = (tree / "sub-02").rename(tree / "sub-02+x")
    for path in [*folder.glob("*/sub-02_*")]:
        path.rename(path.with_name(path.name.replace("sub-02_", "sub-02+x_")))
    assert scan_of(imported(tree, tmp_path / "out", job=import_job("02+x")))["participant"] == "02+x"


# What was read ---------------------------------------------------------------------------------------

_OPENED: list[str] = []
_WATCHING: list[Path] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHING and str(arguments[0]).startswith(str(_WATCHING[0])):
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def watched(root: Path) -> Iterator[set[str]]:
    """The files below ``root`` that Python opens, by its own audit events."""
    opened: set[str] = set()
    _OPENED.clear()
    _WATCHING.append(root)
    try:
        yield opened
    finally:
        _WATCHING.clear()
        opened |= set(_OPENED)


def inherits(root: Path) -> None:
    for number in (1, 2, 3):
        values = petbids.sidecar(number)
        kept = {key: value for key, value in values.items() if key not in ("Units", "TracerName")}
        petbids.write_sidecar(root, number, kept)
    (root / "pet.json").write_text(json.dumps({"Units": "Bq/mL"}))
    (root / "sub-02" / "sub-02_pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    (root / "task-other_pet.json").write_text(json.dumps({"TracerName": "water"}))


def exchanges(root: Path) -> None:
    for own, other in ((2, 3), (3, 2)):
        added = {key: petbids.sidecar(other)[key] for key in ("TimeZero", "InjectedRadioactivity")}
        petbids.write_sidecar(root, own, {**petbids.sidecar(own), **added})


def lists_times(root: Path) -> None:
    """Beside exchanged side-cars, so that the table of another participant is read too."""
    exchanges(root)
    for number in (2, 3):
        table = root / f"sub-0{number}" / f"sub-0{number}_scans.tsv"
        table.write_text("filename\tacq_time\npet/other_pet.nii.gz\t2020-01-01T00:00:00\n")


def links_a_session(root: Path) -> None:
    away = root.parent / "elsewhere"
    shutil.move(root / "sub-02" / "pet", away / "pet")
    for path in [*(away / "pet").iterdir()]:
        path.rename(path.with_name(path.name.replace("sub-02_", "sub-02_ses-1_")))
    (root / "sub-02" / "ses-1").symlink_to(away, target_is_directory=True)


READ = {
    "no more than its own": (lambda root: None, {"participants.tsv"}),
    "inherited": (inherits, {"pet.json", "sub-02/sub-02_pet.json"}),
    "exchanged": (exchanges, {f"sub-0{n}/pet/sub-0{n}_task-rest_pet.json" for n in (1, 3)}),
    "times listed": (lists_times, {f"sub-0{n}/sub-0{n}_scans.tsv" for n in (2, 3)}),
    "behind a link": (links_a_session, {"sub-02/ses-1/pet/sub-02_ses-1_task-rest_pet.json"}),
}


@pytest.mark.parametrize("name", READ)
def test_whatever_was_read_is_declared_and_recorded(tree: Path, tmp_path: Path, name: str) -> None:
    change, expected = READ[name]
    change(tree)
    with watched(tree) as opened:
        results = imported(tree, tmp_path / "out")
    recorded = set(scan_of(results)["provenance"]["inputs"])
    declared = {str(path) for path in files_of_scan(tree, "sub-02")}
    assert {str(tree / file) for file in expected} <= opened
    assert opened <= recorded
    assert opened <= declared
    assert not any("task-other" in path for path in declared)
    if name not in ("exchanged", "times listed"):
        assert not any("sub-01" in path or "sub-03" in path for path in opened), "others read in vain"


def test_messages_name_the_file_that_told_the_value(tree: Path, tmp_path: Path) -> None:
    inherits(tree)
    (tree / "pet.json").write_text(json.dumps({"Units": "SUV"}))
    assert {each.file for each in found(tree, "units")} == {"pet.json"}
    with pytest.raises(InputError, match=r'own_sub-02: pet\.json: Units is "SUV", but should be'):
        imported(tree, tmp_path / "out")
    petbids.write_sidecar(tree, 2, {}).unlink()
    with pytest.raises(InputError, match=r"pet\.json: Units"):
        imported(tree, tmp_path / "out")
    (tree / "pet.json").write_text("{")
    with pytest.raises(InputError, match=r"own_sub-02: pet\.json: not readable as JSON"):
        imported(tree, tmp_path / "out")


def test_side_cars_of_one_folder_that_contradict_each_other(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    put(tree, "sub-02/pet/sub-02_task-rest_trc-FDG_pet", TracerName=None)
    (tree / "task-rest_pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    (tree / "trc-FDG_pet.json").write_text(json.dumps({"TracerName": "FDG"}))
    assert found(tree, "contradicting-sidecars") == [], "they say the same"
    (tree / "trc-FDG_pet.json").write_text(json.dumps({"TracerName": "water"}))
    (finding,) = found(tree, "contradicting-sidecars")
    assert "task-rest_pet.json" in finding.value
    assert finding.file == "trc-FDG_pet.json"
    with pytest.raises(InputError, match=r"TracerName is told by task-rest_pet\.json and by trc-FDG"):
        imported(tree, tmp_path / "out")
    (tree / "trc-FDG_pet.json").unlink()
    (tree / "task-rest_trc-FDG_pet.json").write_text(json.dumps({"TracerName": "water"}))
    assert scan_of(imported(tree, tmp_path / "out"))["tracer"] == "water", "the more specific"


@pytest.mark.parametrize("settled_by", ["task-rest_trc-FDG_pet", "sub-02/sub-02_pet"])
def test_a_third_side_car_settles_what_two_contradict(
    tree: Path, tmp_path: Path, settled_by: str
) -> None:
    """More specific than both, or nearer to the image."""
    without_pet(tree)
    put(tree, "sub-02/pet/sub-02_task-rest_trc-FDG_pet", TracerName=None)
    (tree / "task-rest_pet.json").write_text(json.dumps({"TracerName": "one", "Comment": "a"}))
    (tree / "trc-FDG_pet.json").write_text(json.dumps({"TracerName": "another", "Comment": "b"}))
    (tree / f"{settled_by}.json").write_text(json.dumps({"TracerName": "FDG"}))
    assert [each.key for each in found(tree, "contradicting-sidecars")] == ["Comment"]
    (tree / f"{settled_by}.json").write_text(json.dumps({"TracerName": "FDG", "Comment": "c"}))
    assert found(tree, "contradicting-sidecars") == []
    assert scan_of(imported(tree, tmp_path / "out"))["tracer"] == "FDG"


def test_a_side_car_that_goes_before_one_of_two_settles_nothing(tree: Path) -> None:
    without_pet(tree)
    put(tree, "sub-02/pet/sub-02_task-rest_trc-FDG_rec-ac_pet", TracerName=None)
    told = {"task-rest": "one", "trc-FDG": "another", "trc-FDG_rec-ac": "a third"}
    for name, tracer in told.items():
        (tree / f"{name}_pet.json").write_text(json.dumps({"TracerName": tracer}))
    (finding,) = found(tree, "contradicting-sidecars")
    assert finding.value.startswith("told by task-rest_pet.json and by trc-FDG_rec-ac_pet.json")
    (tree / "trc-FDG_rec-ac_pet.json").write_text(json.dumps({"TracerName": "one"}))
    assert found(tree, "contradicting-sidecars") == [], "what counts agrees"


def test_a_side_car_whose_link_leads_nowhere(tree: Path, tmp_path: Path) -> None:
    path = petbids.write_sidecar(tree, 2, {})
    path.unlink()
    path.symlink_to("../../.git/annex/objects/none")
    with pytest.raises(InputError, match=r"_pet\.json: is a link whose content was not fetched"):
        imported(tree, tmp_path / "out")


# Tables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_table_is_tabs_and_lines(tmp_path: Path, ending: str, mark: bytes) -> None:
    lines = ["participant_id\tgroup\tnote", 'sub-01\tB\t5" tall', 'sub-02\tI\t"open', "03\tBI\tn/a", ""]
    path = tmp_path / "participants.tsv"
    path.write_bytes(mark + ending.join(lines).encode())
    table = read_table(path)
    assert table.columns == ["participant_id", "group", "note"]
    assert [row["note"] for row in table.rows] == ['5" tall', '"open', "n/a"]
    assert table.listed == ["sub-01", "sub-02", "sub-03"]
    assert table.faults == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'participant_id\tgroup\nsub-01\t"I"\n', "quotes"),
        (b"participant_id\tgroup\nsub-01\n", "1 of 1 rows have not as many cells"),
        (b"participant_id\tgroup\nsub-01\tI\tleft\n", "1 of 1 rows have not as many cells"),
        (b"participant_id\tgroup\n\tI\n", "1 of 1 rows have no participant_id"),
        (b"participant_id\tgroup\nsub-01\tM\xfcnchen\n", "byte 29 is not UTF-8"),
        ("participant_id\tgroup\nsub-01\tI\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "participants.tsv").write_bytes(content)
    assert words in " ".join(read_table(tmp_path / "participants.tsv").faults)


def test_a_table_has_a_row_for_each_session(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    for session in ("1", "2"):
        put(tree, f"sub-02/ses-{session}/pet/sub-02_ses-{session}_pet", ModeOfAdministration=None)
    rows = "sub-01\tn/a\tI\nsub-02\tses-1\tB\nsub-02\t2\tBI\nsub-03\tn/a\tI\n"
    (tree / "participants.tsv").write_text(f"participant_id\tsession_id\tgroup\n{rows}")
    assert found(tree, "participants-table") == []
    for session, administration in (("1", "bolus"), ("2", "bolus_infusion")):
        requirements = {"d/s": ScanRequirement(administration=administration)}
        job = import_job(requirements=requirements)
        results = imported(tree, tmp_path / session, job=job, entities={"ses": session})
        assert scan_of(results)["administration"] == administration


def test_a_column_that_stands_twice_tells_what_both_say(tree: Path) -> None:
    rows = "sub-01\tI\tI\nsub-02\tI\tB\nsub-03\tI\tI\n"
    (tree / "participants.tsv").write_text(f"participant_id\tgroup\tgroup\n{rows}")
    rows = read_table(tree / "participants.tsv").rows
    assert [row.get("group") for row in rows] == ["I", None, "I"]
    assert [each.key for each in found(tree, "participants-table")] == ["group"]


def test_a_session_may_be_exchanged_alone(tree: Path, tmp_path: Path) -> None:
    """The audit finds what the import corrects, in whichever session it is."""
    for number in (1, 2, 3):
        shutil.rmtree(tree / f"sub-0{number}" / "pet")
        for session, noted in (("wk+0", number), ("wk+8", {1: 1, 2: 3, 3: 2}[number])):
            path = tree / f"sub-0{number}/ses-{session}/pet/sub-0{number}_ses-{session}_pet.nii.gz"
            petbids.write_image(path, petbids.frames(number), petbids.PET_AFFINE, slope=0.5)
            added = {key: petbids.sidecar(noted)[key] for key in ("TimeZero", "InjectedRadioactivity")}
            own = {**petbids.sidecar(number), **added}
            path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(own))
    findings = found(tree, "exchanged-sidecar")
    assert {(each.participant, "wk+8" in each.file) for each in findings} == {
        ("sub-02", True),
        ("sub-03", True),
    }
    assert not found(tree, "dose"), "it is the other's, not a wrong one"
    for session, corrected in (("wk+0", []), ("wk+8", ["exchanged-sidecar"])):
        scan = scan_of(imported(tree, tmp_path / session, entities={"ses": session}))
        assert [each["check"] for each in scan["corrections"]] == corrected
        assert scan["noted_dose_mbq"] == 232.0


def test_rows_that_contradict_each_other_tell_nothing(tree: Path, tmp_path: Path) -> None:
    rows = "sub-01\tI\tx\nsub-02\tI\ty\nsub-02\tB\ty\nsub-03\tI\tx\n"
    (tree / "participants.tsv").write_text(f"participant_id\tgroup\tsite\n{rows}")
    (finding,) = found(tree, "participants-table")
    assert (finding.participant, finding.key, finding.severity) == ("sub-02", "group", "warning")
    scan = scan_of(imported(tree, tmp_path / "out"))
    assert scan["administration_from"] == "ModeOfAdministration"
    assert [each["check"] for each in scan["corrections"]] == ["participants-table"]


def test_a_table_of_scans_that_cannot_be_read_is_a_fault_of_its_session(
    tree: Path, tmp_path: Path
) -> None:
    """The audit goes on with all others."""
    table = "sub-02/sub-02_scans.tsv"
    (tree / table).mkdir()
    (finding,) = found(tree, "unreadable-table")
    assert (finding.participant, finding.file, finding.severity) == ("sub-02", table, "error")
    assert {each.check for each in audit(read_tree(tree))} == {"unreadable-table"}
    with pytest.raises(InputError, match=rf"own_sub-02: {table}: cannot be read"):
        imported(tree, tmp_path / "out")
    assert imported(tree, tmp_path / "other", job=import_job("03"))


# Keys that stand twice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["sub-02/pet/sub-02_task-rest_pet.json", "pet.json"])
def test_a_key_of_a_side_car_that_stands_twice(tree: Path, tmp_path: Path, place: str) -> None:
    text = json.dumps(petbids.sidecar(2))
    (tree / place).write_text('{"Units": "kBq/mL", ' + text[1:])
    words = f"{place}: the key 'Units' stands twice, as 'kBq/mL' and as 'Bq/mL'; keep one"
    with pytest.raises(InputError, match=words):
        imported(tree, tmp_path / "out")
    assert {each.file for each in found(tree, "unreadable-sidecar")} == {place}


def test_a_side_car_of_t1_is_audited_too(tree: Path, tmp_path: Path) -> None:
    file = "sub-02/anat/sub-02_T1w.json"
    (tree / file).write_text('{"Modality": "MR", "Modality": "CT"}')
    assert [each.file for each in found(tree, "unreadable-sidecar")] == [file]
    with pytest.raises(InputError, match=f"{file}: the key 'Modality' stands twice"):
        imported(tree, tmp_path / "out")


def test_a_byte_order_mark_is_no_fault_of_a_side_car(tree: Path, tmp_path: Path) -> None:
    path = tree / "sub-02/pet/sub-02_task-rest_pet.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert scan_of(imported(tree, tmp_path / "out"))["complete"]


# T1 ----------------------------------------------------------------------------------------------------


def another_t1(root: Path, stem: str) -> None:
    path = root / f"{stem}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(petbids.t1_path(root, 2), path)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("sub-02_acq-mprage_T1w", {"acq": "mprage"}),
        ("sub-02_run-2_T1w", {"run": "2"}),
        ("sub-02_rec-defaced_T1w", {"rec": "defaced"}),
    ],
)
def test_of_several_t1_one_is_asked_for(tree: Path, tmp_path: Path, name: str, asked) -> None:
    another_t1(tree, f"sub-02/anat/{name}")
    (finding,) = found(tree, "several-t1")
    assert finding.participant == "sub-02"
    assert name in finding.value
    with pytest.raises(InputError, match=r"several T1 images, .*say which in invivo\.sources\.own\.t1"):
        imported(tree, tmp_path / "out")
    results = imported(tree, tmp_path / "out", t1=asked)
    assert scan_of(results)["t1"] == f"sub-02/anat/{name}.nii.gz"
    without = dict.fromkeys(asked, "")
    assert scan_of(imported(tree, tmp_path / "out", t1=without))["t1"] == "sub-02/anat/sub-02_T1w.nii.gz"
    with pytest.raises(InputError, match=r"with entities .*'none'.*there are .*Correct invivo\.sources"):
        imported(tree, tmp_path / "out", t1={"acq": "none"})


def test_the_t1_of_another_session_is_taken_where_it_is_the_only_one(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    put(tree, "sub-02/ses-pet/pet/sub-02_ses-pet_pet")
    another_t1(tree, "sub-02/ses-mr/anat/sub-02_ses-mr_T1w")
    petbids.t1_path(tree, 2).unlink()
    assert scan_of(imported(tree, tmp_path / "out"))["t1"].endswith("sub-02_ses-mr_T1w.nii.gz")
    shutil.copytree(tree / "sub-02/ses-mr", tree / "sub-02/ses-mr2")
    old = tree / "sub-02/ses-mr2/anat/sub-02_ses-mr_T1w.nii.gz"
    old.rename(old.with_name("sub-02_ses-mr2_T1w.nii.gz"))
    (finding,) = found(tree, "several-t1")
    assert finding.value == "sub-02_ses-mr_T1w, sub-02_ses-mr2_T1w"
    with pytest.raises(InputError, match=r"several T1 images, .*such as \{ses: 'mr'\}"):
        imported(tree, tmp_path / "out")
    results = imported(tree, tmp_path / "out", t1={"ses": "mr2"})
    assert scan_of(results)["t1"].endswith("sub-02_ses-mr2_T1w.nii.gz")


def test_t1_images_that_no_import_looks_at_are_no_choice(tree: Path, tmp_path: Path) -> None:
    """Of a session without PET, and a link that leads nowhere."""
    another_t1(tree, "sub-02/ses-mr/anat/sub-02_ses-mr_T1w")
    another_t1(tree, "sub-02/ses-mr/anat/sub-02_ses-mr_run-2_T1w")
    (tree / "sub-02/anat/sub-02_run-2_T1w.nii.gz").symlink_to("../../.git/annex/objects/none")
    assert found(tree, "several-t1") == []
    assert scan_of(imported(tree, tmp_path / "out"))["t1"] == "sub-02/anat/sub-02_T1w.nii.gz"


@pytest.mark.parametrize("kind", ["pet", "t1"])
def test_an_image_and_its_uncompressed_twin(tree: Path, tmp_path: Path, kind: str) -> None:
    path = {"pet": petbids.pet_path, "t1": petbids.t1_path}[kind](tree, 2)
    shutil.copy(path, path.with_suffix(""))
    (finding,) = found(tree, "two-images")
    assert finding.value == f"{path.with_suffix('').relative_to(tree)} lies beside it"
    with pytest.raises(InputError, match=rf"{path.name}: beside it lies {path.with_suffix('').name}"):
        imported(tree, tmp_path / "out")
    assert path.exists()
    assert path.with_suffix("").exists()


# One frame per file, and other formats -----------------------------------------------------------------


def one_frame(number: int) -> dict[str, Any]:
    """What the side-car of a run says that is frame ``number`` of the scan."""
    lists = ("FrameTimesStart", "FrameDuration", "DecayCorrectionFactor")
    minutes, seconds = divmod(2 + 16 * number, 60)
    return {
        "AcquisitionTime": f"11:{30 + minutes}:{seconds:02d}",
        **{key: petbids.sidecar(2)[key][number : number + 1] for key in lists},
    }


@pytest.mark.parametrize("dimensions", [3, 4])
def test_a_run_of_one_frame_is_a_frame(tree: Path, tmp_path: Path, dimensions: int) -> None:
    without_pet(tree)
    for run in range(12):
        frame = petbids.frames(2)[..., run] if dimensions == 3 else petbids.frames(2)[..., run : run + 1]
        put(tree, f"sub-02/pet/sub-02_run-{run + 1}_pet", frames=frame, **one_frame(run))
    assert [each for each in audit(read_tree(tree)) if each.participant == "sub-02"] == []
    results = imported(tree, tmp_path / "out")
    for name, first, count in (("standard", 2, 6), ("half", 2, 2), ("16s", 4, 1)):
        np.testing.assert_allclose(
            image_of(results, name), expected_mean(first, count), rtol=1e-5, atol=1e-3
        )
    assert scan_of(results)["windows"]["standard"]["frames"] == [2, 7]


def test_one_static_image_is_one_frame(tree: Path, tmp_path: Path) -> None:
    static = petbids.frames(2)[..., 0]
    keys = {"FrameTimesStart": 1800, "FrameDuration": 1800, "DecayCorrectionFactor": None}
    keys |= {"ScanStart": 1800, "AcquisitionTime": "12:00:02"}
    put(tree, "sub-02/pet/sub-02_task-rest_pet", frames=static, **keys)
    assert {each.check for each in audit(read_tree(tree)) if each.participant == "sub-02"} == {
        "scalar-per-frame"
    }
    windows = {
        "standard": WindowSettings(minutes=30, start_minutes=30),
        "all": WindowSettings(frames=1, start_minutes=30),
    }
    with pytest.raises(InputError, match=r"_pet\.nii\.gz: is one frame, of which .*low\.all"):
        imported(tree, tmp_path / "out", job=import_job(windows=windows))
    del windows["all"]
    results = imported(tree, tmp_path / "out", job=import_job(windows=windows))
    np.testing.assert_allclose(image_of(results, "standard"), static[::-1] * 0.5, rtol=1e-6)


@pytest.mark.parametrize("kept", [{}, {"FrameTimesStart": [0.0, 16.0], "FrameDuration": [16.0, 16.0]}])
def test_a_static_image_whose_time_nothing_tells_is_one_sentence(
    tree: Path, tmp_path: Path, kept
) -> None:
    keys = {"FrameTimesStart": None, "FrameDuration": None, "DecayCorrectionFactor": None, **kept}
    put(tree, "sub-02/pet/sub-02_task-rest_pet", frames=petbids.frames(2)[..., 0], **keys)
    with pytest.raises(
        InputError, match=r"_pet\.nii\.gz: dim is 3-D, .* or one frame in FrameTimesStart"
    ):
        imported(tree, tmp_path / "out")


@pytest.mark.parametrize(
    ("extension", "tool"),
    [
        (".nii.zst", "zstd -d"),
        (".NII.GZ", "rename it to sub-02_task-rest_pet.nii.gz"),
        (".img", "dcm2niix4pet"),
        (".v", "ecatpet2bids"),
    ],
)
@pytest.mark.parametrize("has_sidecar", [True, False])
def test_an_image_in_another_format_is_named_with_its_tool(
    tree: Path, tmp_path: Path, extension: str, tool: str, has_sidecar: bool
) -> None:
    path = petbids.pet_path(tree, 2)
    other = path.rename(path.with_name(path.name.replace(".nii.gz", extension)))
    if not has_sidecar:
        petbids.write_sidecar(tree, 2, {}).unlink()
    with pytest.raises(InputError, match=f"sub-02/pet/{other.name} is ") as caught:
        imported(tree, tmp_path / "out")
    assert tool in str(caught.value)
    (finding,) = found(tree, "image-format")
    assert (finding.severity, finding.file) == ("error", f"sub-02/pet/{other.name}")
    assert tool in finding.evidence
    assert not found(tree, "missing-image")


def test_one_run_in_another_format_is_not_left_out_in_silence(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    for run in range(12):
        put(
            tree,
            f"sub-02/pet/sub-02_run-{run + 1}_pet",
            frames=petbids.frames(2)[..., run],
            **one_frame(run),
        )
    path = tree / "sub-02/pet/sub-02_run-12_pet.nii.gz"
    path.rename(path.with_suffix(".zst"))
    with pytest.raises(InputError, match=r"_run-12_pet\.nii\.zst is a NIfTI image compressed by zstd"):
        imported(tree, tmp_path / "out")


def test_a_t1_in_another_format(tree: Path, tmp_path: Path) -> None:
    path = petbids.t1_path(tree, 2)
    path.rename(path.with_name("sub-02_T1w.mgz"))
    with pytest.raises(InputError, match=r"sub-02_T1w\.mgz is a FreeSurfer image.*nib-convert"):
        imported(tree, tmp_path / "out")


def test_files_under_names_of_their_own_are_listed(tree: Path, tmp_path: Path) -> None:
    without_pet(tree)
    (tree / "sub-02/pet").mkdir()
    (tree / "sub-02/pet/scan.v").write_bytes(b"MATRIX72v")
    with pytest.raises(InputError, match=r"there is none \(there lie sub-02/pet/scan\.v\)"):
        imported(tree, tmp_path / "out")
