"""The stage ``cohorts``: files of regional activity to tables, a page and a figure."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from quietpet.errors import InputError
from quietpet.evaluation.cohort_rows import BIAS_COLUMNS, EFFECT_COLUMNS
from quietpet.evaluation.regions import REGION_COLUMNS
from quietpet.files.named import Files
from quietpet.files.sections import read_section
from quietpet.files.text import read_json
from quietpet.jobs.evaluation import CohortsJob
from quietpet.stages import cohorts
from tests.builders.cohorts import blurred, identity, measured

METHODS = {"lpet": identity, "blur": blurred}
OUTPUTS = {
    "bias": "c.csv",
    "effects": "e.csv",
    "section": "c.json",
    "svg": "c.svg",
    "figure": "c.png",
    "provenance": "p.json",
}
JOB = CohortsJob(
    healthy="healthy",
    diseased=("alzheimer",),
    reference="sensorimotor",
    confidence=0.95,
    protocol="tiny",
    methods=tuple(METHODS),
)


def write_regions(folder: Path, regions: pd.DataFrame) -> list[Path]:
    """One file for each data set and method, as ``score`` writes them."""
    paths = []
    for (dataset, method), rows in regions.groupby(["dataset", "method"]):
        paths.append(folder / f"{dataset}-{method}.csv")
        rows.to_csv(paths[-1], index=False)
    return paths


def run(folder: Path, paths: list[Path]) -> dict[str, Path]:
    outputs = {name: folder / "results" / file for name, file in OUTPUTS.items()}
    cohorts.run(JOB, Files({"regions": paths}), Files({name: [path] for name, path in outputs.items()}))
    return outputs


def rows_of(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        return tuple(reader.fieldnames), list(reader)


def test_files_become_tables_page_and_figure(tmp_path: Path) -> None:
    paths = write_regions(tmp_path, measured(METHODS, n=4))
    outputs = run(tmp_path, paths)
    columns, bias = rows_of(outputs["bias"])
    assert columns == BIAS_COLUMNS
    assert {(row["cohort"], row["against"]) for row in bias} == {
        (cohort, against) for cohort in ("healthy", "alzheimer") for against in ("standard", "truth")
    }
    columns, effects = rows_of(outputs["effects"])
    assert columns == EFFECT_COLUMNS
    (lost,) = [row for row in effects if (row["method"], row["region"]) == ("blur", "precuneus")]
    assert (lost["cohens_d"], lost["share_percent"], lost["verdict"]) == ("0", "0", "smaller")
    assert (lost["protocol"], lost["data_source"], lost["reference"]) == (
        "tiny",
        "template",
        "sensorimotor",
    )
    (section,) = read_section(outputs["section"]).sections
    assert section.title == "alzheimer against healthy"
    assert any(warning.startswith("`blur` shrinks") for warning in section.warnings)
    assert outputs["figure"].read_bytes().startswith(b"\x89PNG")
    origin = read_json(outputs["provenance"])
    assert (origin["stage"], list(origin["inputs"])) == ("cohorts", [str(path) for path in paths])


def test_the_order_of_files_changes_no_byte(tmp_path: Path) -> None:
    paths = write_regions(tmp_path, measured(METHODS, n=3))
    found = []
    for order in (paths, paths[::-1]):
        outputs = run(tmp_path, order)
        found.append(
            [outputs[name].read_bytes() for name in ("bias", "effects", "section", "figure", "svg")]
        )
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,restored\nlpet,1\n", "its columns are not those of regional activity"),
        (",".join(REGION_COLUMNS) + "\n", "holds no regions"),
        ("", "not a readable file of regional activity"),
        (
            ",".join(REGION_COLUMNS) + "\n" + ",".join(["x"] * len(REGION_COLUMNS)) + "\n",
            "not a readable",
        ),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "stale.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"stale\.csv: .*{message}"):
        run(tmp_path, [path])
    assert not (tmp_path / "results").exists()
