"""The stage ``subjects`` on files in the real schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from quietpet.errors import InputError
from quietpet.evaluation.subjects_table import SUBJECTS_TABLE_COLUMNS
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS
from quietpet.files.named import Files
from quietpet.files.sections import read_section
from quietpet.files.text import read_json, write_csv
from quietpet.jobs.subjects import SubjectsJob
from quietpet.stages import subjects

JOB = SubjectsJob(methods=("lpet", "copier"), confidence=0.95, protocol="small")


def write_subjects(path: Path, method: str, **changed: object) -> Path:
    row = {
        "dataset": "phantom", "setting": "low", "method": method, "learning": "own", "replicate": "r0",
        "estimate": "single", "against": "standard", "measure": "t1_only_hot_rms_ratio", "count": 4,
        **dict.fromkeys(SUBJECT_COLUMNS[-3:], "-"), **changed,
    }  # fmt: skip
    subject_values = {"04": 1.0, "05": ""}
    write_csv(
        path, SUBJECT_COLUMNS, ({**row, "subject": s, "value": v} for s, v in subject_values.items())
    )
    return path


def outputs(folder: Path) -> dict[str, list[Path]]:
    names = {"table": "subjects.csv", "section": "section.json", "provenance": "subjects.json"}
    return {name: [folder / file] for name, file in names.items()}


def test_the_table_and_the_section_hold_all_methods(tmp_path: Path) -> None:
    files = [write_subjects(tmp_path / f"{method}.csv", method) for method in ("copier", "lpet")]
    made = outputs(tmp_path)
    subjects.run(JOB, Files({"subjects": files}), Files(made))
    header, *lines = made["table"][0].read_text().splitlines()
    assert tuple(header.split(",")) == SUBJECTS_TABLE_COLUMNS
    assert [line.split(",")[2] for line in lines] == ["lpet", "copier"]
    assert read_section(made["section"][0]).id == "subjects"
    assert read_json(made["provenance"][0])["settings"]["methods"] == ["lpet", "copier"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,value\nlpet,1\n", "columns"),
        (",".join(SUBJECT_COLUMNS) + "\n", "no subjects"),
        ("", "readable"),
    ],
)
def test_unreadable_files_are_named_before_anything_is_written(
    tmp_path, text: str, message: str
) -> None:
    stale = tmp_path / "stale.csv"
    stale.write_text(text)
    with pytest.raises(InputError, match=rf"stale\.csv: .*{message}"):
        subjects.run(JOB, Files({"subjects": [stale]}), Files(outputs(tmp_path)))
    assert {path.name for path in tmp_path.iterdir()} == {"stale.csv"}
