"""The table of pairs: read as written however it is written, and its units by their closed forms."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pair_folder as folder
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietpet.cli import main
from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.invivo.audit_pairs import audit_pairs, header_findings
from quietpet.invivo.bids import read_table
from quietpet.invivo.findings import DATA_SET
from quietpet.invivo.pair_columns import COLUMNS
from quietpet.invivo.pair_units import conversion_findings, to_bq_per_ml, unit_of
from quietpet.invivo.pair_values import agreement
from quietpet.invivo.pairs import PairImage, Pairs, pairs_of
from quietpet.invivo.pairs_folder import files_of_pairs, read_pairs
from quietpet.invivo.scans import Image

HALF_LIVES_S = {"F18": 6586.2, "^18^Fluorine": 6586.2, "C11": 1221.8, "Ga68": 4062.6}
EMPTY = st.sampled_from(["n/a", "N/A", "", "  "])
NUMBERS = {
    "weight_kg": st.floats(0.5, 500),
    "injected_mbq": st.floats(1, 5000),
    "delay_minutes": st.floats(0, 10000),
}


def cell(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """One row's known values by column; those left out are not known."""
    known = {
        "participant": draw(st.text("abcXYZ019+", min_size=1, max_size=6)),
        "dose": draw(st.from_regex(r"[a-z0-9][a-z0-9_]{0,5}", fullmatch=True)),
        "unit": draw(st.sampled_from(["Bq/ml", "kBq/mL", "SUV", "SUVbw"])),
    }
    further = {
        **NUMBERS,
        "radionuclide": st.sampled_from(list(HALF_LIVES_S)),
        "decay_corrected_to": st.sampled_from(["start", "injection"]),
        "same_position": st.booleans(),
        "administration": st.sampled_from(["bolus", "infusion", "bolus_infusion"]),
    }
    return known | {name: draw(values) for name, values in further.items() if draw(st.booleans())}


@given(
    st.lists(rows(), min_size=1, max_size=5, unique_by=lambda row: (row["participant"], row["dose"])),
    st.permutations(list(COLUMNS)),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
    st.data(),
)
def test_a_table_is_read_as_it_was_written(
    written: list[dict[str, Any]], columns: list[str], end: str, mark: str, data: st.DataObject
) -> None:
    """In any order of columns, with any end of lines, n/a or nothing for what is not known."""
    expected = [
        PairImage(**row, pet=f"images/{number}.nii", t1=f"t1/{row['participant']}.nii.gz")
        for number, row in enumerate(written)
    ]
    lines = [columns]
    for row, image in zip(written, expected, strict=True):
        known = {**row, "pet": image.pet, "t1": image.t1}
        known["participant"] = data.draw(st.sampled_from(["", "sub-"])) + row["participant"]
        lines.append([cell(known[name]) if name in known else data.draw(EMPTY) for name in columns])
    text = mark + end.join("\t".join(line) for line in lines) + end
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "pairs.tsv").write_bytes(text.encode())
        pairs = read_pairs(Path(place))
    assert list(pairs.images) == expected
    assert pairs.findings == []


@given(st.one_of(st.binary(max_size=200), st.text("\t\n,abc01/n-\"'.", max_size=300).map(str.encode)))
def test_no_bytes_are_more_than_a_finding(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "pairs.tsv").write_bytes(b"participant\tdose\tunit\tpet\tweight_kg\n" + content)
        pairs = read_pairs(Path(place))
    for finding in pairs.findings:
        assert all((finding.file, finding.key, finding.value, finding.expected, finding.evidence))
    broken = {finding.participant for finding in pairs.findings if finding.severity == "error"}
    assert DATA_SET in broken or all(
        image.unit and image.pet for image in pairs.images if image.participant not in broken
    )


@given(**NUMBERS, nuclide=st.sampled_from(["F18", "C11", "Ga68"]), at_s=st.floats(0, 20000))
def test_suv_and_activity_are_each_other_s_inverse(
    weight_kg: float, injected_mbq: float, delay_minutes: float, nuclide: str, at_s: float
) -> None:
    """SUV = C(t) W / (A0 2^(-t/T)), whatever the time t; the factor is written in logarithms here."""
    half_life_s = HALF_LIVES_S[nuclide]
    delay_minutes = min(delay_minutes, 10 * half_life_s / 60)
    row = PairImage(
        participant="01",
        dose="x20",
        unit="SUV",
        pet="a.nii",
        weight_kg=weight_kg,
        injected_mbq=injected_mbq,
        delay_minutes=delay_minutes,
        radionuclide=nuclide,
    )
    log_factor = np.log(injected_mbq * 1e6) - np.log(weight_kg * 1e3)
    own = log_factor - np.log(2) * 60 * delay_minutes / half_life_s
    assert np.log(to_bq_per_ml(row, at_s=None)) == pytest.approx(own, abs=1e-9)
    # Brought to another time it is what an SUV means then.
    then = log_factor - np.log(2) * at_s / half_life_s
    assert np.log(to_bq_per_ml(row, at_s=at_s)) == pytest.approx(then, abs=1e-9)


def test_water_of_the_mean_activity_has_an_suv_of_one() -> None:
    """70 kg that hold 350 MBq evenly: 5 kBq/mL."""
    row = PairImage(
        participant="01", dose="x20", unit="SUVbw", pet="a.nii", weight_kg=70, injected_mbq=350,
        decay_corrected_to="injection",
    )  # fmt: skip
    assert to_bq_per_ml(row, at_s=0.0) == pytest.approx(5000.0)


def findings(*rows: dict[str, Any], **columns: Any) -> list[str]:
    """Severity, column and participant of what the table alone is doubted for."""
    with tempfile.TemporaryDirectory() as place:
        table = folder.write_table(Path(place), [{**row, **columns} for row in rows])
        pairs = pairs_of(read_table(table))
        found = [*pairs.findings]
        for participant in pairs.participants:
            for row in pairs.of(participant):
                found += conversion_findings(row, pairs.of(participant))
    return [f"{each.severity} {each.key}: {each.value}" for each in found]


BOTH = folder.rows_of("01")
CELLS = {
    ("weight_kg", "70,5"): "error weight_kg (x20): '70,5'",
    ("weight_kg", "70000"): "error weight_kg (x20): '70000'",
    ("weight_kg", "-70"): "error weight_kg (x20): '-70'",
    ("weight_kg", "nan"): "error weight_kg (x20): 'nan'",
    ("weight_kg", "70 kg"): "error weight_kg (x20): '70 kg'",
    ("injected_mbq", "2e8"): "error injected_mbq (x20): '2e8'",
    ("injected_mbq", "0"): "error injected_mbq (x20): '0'",
    ("delay_minutes", "-5"): "error delay_minutes (x20): '-5'",
    ("dose", "X20"): "error dose (X20): 'X20'",
    ("dose", "x 20"): "error dose (x 20): 'x 20'",
    ("participant", "002_S_0295"): "error participant (x20): '002_S_0295'",
    ("same_position", "maybe"): "error same_position (x20): 'maybe'",
    ("decay_corrected_to", "none"): "error decay_corrected_to (x20): 'none'",
    ("frame_starts_s", "0;60"): "error frame_starts_s (x20): '0;60'",
    ("frame_starts_s", "0,60"): "error frame_starts_s, frame_durations_s (x20): one of the two alone",
    ("simulated_data", "yes"): "error simulated_data (x20): 'yes'",
    ("pet", "01/{a}.nii"): "error pet (x20): '01/{a}.nii'",
    ("t1", "}.nii"): "error t1 (x20): '}.nii'",
    ("unit", "n/a"): "error unit (row 2): empty",
    ("pet", ""): "error pet (row 2): empty",
    ("radionuclide", "Xy99"): "error radionuclide (x20): 'Xy99'",
    ("weigth_kg", "70"): "warning weigth_kg: no column that is known",
    ("sex", "F"): "note sex: no column that is known",
}


@pytest.mark.parametrize(("column", "text"), CELLS)
def test_a_cell_that_cannot_be_is_one_finding(column: str, text: str) -> None:
    found = findings(BOTH[0], BOTH[1] | {column: text})
    assert [each for each in found if not each.endswith(": standard")] == [CELLS[column, text]]


def test_rows_that_contradict_each_other_are_found() -> None:
    assert findings(*BOTH) == []
    assert findings(*BOTH, BOTH[1] | {"pet": "01/other.nii"}) == [
        "error participant, dose: 01, x20 in 2 rows"
    ]
    # A file of two people would be in two splits; both are told.
    standard, low = folder.rows_of("02")
    assert (
        findings(*BOTH, standard | {"pet": "01/./sd.nii.gz"}, low)
        == ["error files: 01/sd.nii.gz is standard of 01 and standard of 02"] * 2
    )
    assert findings(BOTH[0], BOTH[1] | {"pet": BOTH[0]["pet"]}) == [
        "error files: 01/sd.nii.gz is standard of 01 and x20 of 01"
    ]
    assert findings(BOTH[0], BOTH[1] | {"t1": "02/t1.nii"}) == ["error t1 (x20): 02/t1.nii"]
    nuclides = [row | {"radionuclide": name} for row, name in zip(BOTH, ("F18", "C11"), strict=True)]
    assert findings(*nuclides) == ["error radionuclide (x20): 'C11'"]
    # The time of one row is told, and not that of the other; then, what decays between the two.
    told = BOTH[0] | {"delay_minutes": 50}
    assert findings(told, BOTH[1]) == ["error delay_minutes (x20): n/a"]
    assert findings(BOTH[0], BOTH[1] | {"delay_minutes": 50}) == ["error delay_minutes (standard): n/a"]
    assert findings(told, BOTH[1] | {"delay_minutes": 50}) == []
    assert findings(told, BOTH[1] | {"delay_minutes": 51}) == ["error radionuclide (x20): n/a"]
    late = {"delay_minutes": 3600, "radionuclide": "F18"}  # seconds for minutes
    assert findings(*BOTH, **late) == [
        f"error delay_minutes ({dose}): 3600 min" for dose in ("standard", "x20")
    ]
    times = {"frame_starts_s": "60,120", "frame_durations_s": "60,60", "radionuclide": "F18"}
    assert findings(BOTH[0] | times, BOTH[1] | times) == []
    assert findings(*BOTH, **times | {"radionuclide": "n/a"})[0] == "error radionuclide (standard): n/a"
    assert findings(*BOTH, **times, delay_minutes=30)[0] == "error delay_minutes (standard): 30 min"
    for broken, value in (
        ({"frame_durations_s": "60"}, "2 and 1 numbers"),
        ({"frame_durations_s": "30,60"}, "30 s between frames 0 and 1"),
        ({"frame_durations_s": "60,0"}, "durations from 0 s on"),
        ({"frame_starts_s": "-60,0"}, "a start at -60 s"),
        ({"frame_starts_s": "600060,600120"}, "a start at 600060 s"),
    ):
        found = findings(BOTH[0], BOTH[1] | times | broken)
        assert found == [f"error frame_starts_s, frame_durations_s (x20): {value}"]


def test_rows_of_one_scan_have_one_person_and_one_injection(tmp_path: Path) -> None:
    def told(**low: Any) -> list[str]:
        rows = folder.rows_of("01", weight_kg=70)
        folder.write_table(tmp_path, [rows[0], rows[1] | low])
        pairs = read_pairs(tmp_path)
        of_one = pairs.of("01")
        images = {path: Image(participant="01", stem=path, sidecar={}, file=path)
                  for row in of_one for path in (row.pet, row.t1) if path}  # fmt: skip
        found = [*pairs.findings, *header_findings(of_one, images)]
        return [
            f"{each.severity} {each.key}: {each.value}, {each.expected}"
            for each in found
            if each.check != "unreadable-image"
        ]

    assert told() == told(weight_kg=70.5, injected_mbq=201) == []
    assert told(weight_kg=154) == ["warning weight_kg (x20): 154, 70, as of standard"]
    assert told(injected_mbq=10) == ["error injected_mbq (x20): 10, 200, as of standard"]
    assert told(injected_mbq=10, same_position="no") == []
    assert told(simulated_data="standin-template") == [
        "error simulated_data: n/a and standin-template, the same in all rows of a participant"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", "without participant, dose, unit, pet"),
        ("participant,dose,unit,pet\n01,standard,Bq/ml,a.nii\n", "without participant, dose, unit, pet"),
        ("participant\tdose\tunit\n01\tx20\tSUV\n", "without pet"),
        ("participant\tdose\tunit\tpet\n", "none"),
        ("participant\tdose\tunit\tpet\tdose\n01\tx\tSUV\ta\ty\n", "2 columns of this name"),
        ("participant\tdose\tunit\tpet\n01\tx20\tSUV\n", "1 of 1 rows have not as many cells"),
        ('participant\tdose\tunit\tpet\n01\tx20\tSUV\t"a.nii"\n', "cells in quotes"),
    ],
)
def test_a_table_that_is_none_stops_every_participant(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "pairs.tsv").write_text(text)
    found = read_pairs(tmp_path)
    (error,) = [each for each in found.findings if each.severity == "error"]
    assert (error.participant, found.images) == (DATA_SET, [])
    assert error.value.startswith(value)
    with pytest.raises(InputError, match=r"^own_sub-01: pairs.tsv: "):
        folder.imported(tmp_path, tmp_path / "out")


def test_units_are_words_however_they_are_written() -> None:
    def read(unit: str) -> str | None:
        return unit_of(PairImage(participant="01", dose="x20", unit=unit, pet="a.nii"))

    assert {read(unit) for unit in ("Bq/ml", "BQML", "bq/mL", "Bq/mL")} == {"Bq/mL"}
    assert {read(unit) for unit in ("kBq/ml", "KBQ/ML", "kBq/mL")} == {"kBq/mL"}
    assert {read(unit) for unit in ("SUV", "suv", "SUVbw", "SUV_BW", "g/ml", "GML")} == {"SUV"}
    assert {read(unit) for unit in ("MBq/mL", "SUVlbm", "Bq", "ml/g", "g")} == {None}


@given(st.tuples(*[st.floats(-30, 30)] * 3), st.floats(0.1, 10), st.sampled_from([4.0, 5.0, 7.0]))
def test_centres_and_ratios_of_a_shifted_and_scaled_head(
    shift_mm: tuple[float, float, float], factor: float, voxel_mm: float
) -> None:
    """Of a head on voxels of another size, within a field of view that holds it wherever it lies."""
    shape = tuple(round(side / voxel_mm) for side in (260, 280, 240))
    low = folder.pet(voxel_mm=voxel_mm, shape=shape)
    matrix = low.affine_ras_mm.copy()
    matrix[:3, 3] += shift_mm
    standard = folder.pet(shape=(44, 46, 40))
    found = agreement(standard, Volume(values=factor * low.values, affine_ras_mm=matrix))
    assert found.ratio == pytest.approx(factor, rel=0.03)
    assert found.apart_mm == pytest.approx(np.linalg.norm(shift_mm), abs=1.0)
    assert found.shown == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.txt", "Pairs.tsv"])
def test_a_table_of_another_name_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("participant,dose,unit,pet\n")
    with pytest.raises(
        InputError,
        match=rf"pairs.tsv: no such file; .* {name} is there: save it as pairs.tsv, with tabs",
    ):
        read_pairs(tmp_path)


def test_a_name_that_no_file_can_have_is_a_finding(tmp_path: Path) -> None:
    """The operating system refuses to look for it, in place of saying that it is not there."""
    folder.write_images(tmp_path, "01")
    rows = folder.rows_of("01")
    long, inner = f"{'a' * 300}.nii", "01/sd.nii.gz/ld.nii"
    for path in (long, inner, "01"):
        folder.write_table(tmp_path, [rows[0], rows[1] | {"pet": path}])
        pairs = read_pairs(tmp_path)
        (error,) = [each for each in audit_pairs(tmp_path, pairs) if each.severity == "error"]
        assert error.file == path
        assert files_of_pairs(tmp_path, pairs.images) == [
            tmp_path / "01/sd.nii.gz", tmp_path / "01/t1.nii.gz",
        ]  # fmt: skip
    with pytest.raises(InputError, match=r"a/pairs.tsv: cannot be looked for \(File name too long\)"):
        read_pairs(tmp_path / ("a" * 300))


@pytest.mark.parametrize("spelling", ["absolute", "up and down", "link", "linked folder"])
def test_one_file_is_found_however_its_path_is_written(tmp_path: Path, spelling: str) -> None:
    root = tmp_path / "own"
    folder.write_images(root, "01")
    (root / "link.nii.gz").symlink_to(root / "01/sd.nii.gz")
    (root / "02").symlink_to(root / "01", target_is_directory=True)
    path = {
        "absolute": str(root / "01/sd.nii.gz"),
        "up and down": "01/../../own/01/sd.nii.gz",
        "link": "link.nii.gz",
        "linked folder": "02/sd.nii.gz",
    }[spelling]
    standard, low = folder.rows_of("03")
    folder.write_table(root, [*folder.rows_of("01"), standard | {"pet": path}, low])
    said = {each.participant: each.value for each in read_pairs(root).findings}
    written = f"01/sd.nii.gz or {path}"
    if spelling == "up and down":
        written = "01/sd.nii.gz or ../own/01/sd.nii.gz"
    assert said == dict.fromkeys(("01", "03"), f"{written} is standard of 01 and standard of 03")


def test_one_t1_may_be_written_twice(tmp_path: Path) -> None:
    rows = folder.rows_of("01")
    folder.write_table(tmp_path, [rows[0], rows[1] | {"t1": str(tmp_path / "01/t1.nii.gz")}])
    assert read_pairs(tmp_path).findings == []


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs") / "own"
    for participant in ("01", "02"):
        folder.write_images(root, participant)
    folder.write_table(root, [*folder.rows_of("01"), *folder.rows_of("02")])
    return root


def test_the_audit_finds_nothing_in_a_sound_folder(clean: Path, tmp_path: Path) -> None:
    assert audit_pairs(clean, read_pairs(clean)) == []
    assert main(["audit", str(clean), "--html", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "<title>Audit of pairs</title>" in page
    assert "Nothing contradicts itself" in page


def test_the_audit_of_pairs_warns_of_what_the_import_takes(clean: Path, tmp_path: Path) -> None:
    """A few voxels below 0, another activity, no T1, a standard dose alone: each one warning."""
    root = tmp_path / "own"
    for participant in ("01", "02", "03"):
        folder.write_images(root, participant)
    three = [folder.rows_of(participant) for participant in ("01", "02", "03")]
    folder.write_table(root, [*three[0], {**three[1][0], "t1": "n/a"}, three[1][1], three[2][0]])
    folder.altered(root / "01/ld.nii.gz", lambda seen: 0.7 * np.where(seen > 0, seen, -1))
    assert main(["audit", str(root), "--json", str(tmp_path / "a.json")]) == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["counts"] == {"error": 0, "warning": 4, "note": 0}
    found = {(each["participant"], each["check"], each["key"]) for each in report["findings"]}
    assert found == {
        ("01", "pair-values", "values (x20)"),
        ("02", "missing-t1", "t1"),
        ("03", "pair-doses", "dose"),
    }


def test_a_folder_without_the_table_is_read_as_bids(tmp_path: Path, capsys: Any) -> None:
    assert main(["audit", str(tmp_path)]) == 1
    assert "holds no folders sub-*; give the root of a BIDS data set" in capsys.readouterr().err


def test_pairs_of_one_participant_are_its_own() -> None:
    images = [
        PairImage(participant=who, dose=dose, unit="SUV", pet=f"{who}{dose}.nii")
        for who in ("01", "02")
        for dose in ("x20", "standard", "x100")
    ]
    pairs = Pairs(images=images, findings=[])
    assert [row.dose for row in pairs.of("02")] == ["standard", "x20", "x100"]
    assert [row.pet for row in pairs.only("01", ("standard", "x100")).images] == [
        "01standard.nii", "01x100.nii",
    ]  # fmt: skip
