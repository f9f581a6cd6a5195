"""The page of pairs: its example is a table that is read, and its sentences are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from quietpet.config.invivo import InvivoSettings
from quietpet.invivo.pair_columns import COLUMNS
from quietpet.invivo.pair_units import conversion_findings
from quietpet.invivo.pairs_folder import read_pairs


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs/pairs.md").read_text()


def cells(page: str, first: str) -> list[list[str]]:
    """The table whose first column is called ``first``, with its head and without its rule."""
    lines = page.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def test_the_example_is_read_as_it_stands(page: str, tmp_path: Path) -> None:
    lines = ["\t".join(row) for row in cells(page, "participant")]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
    pairs = read_pairs(tmp_path)
    assert [image.participant for image in pairs.images] == ["002S0295"] * 2 + ["003S0907"] * 2
    doubts = [
        each for row in pairs.images for each in conversion_findings(row, pairs.of(row.participant))
    ]
    assert [*pairs.findings, *doubts] == []


def test_every_column_is_described_and_no_other(page: str) -> None:
    described = [name for row in cells(page, "column")[1:] for name in re.findall(r"`(\w+)`", row[0])]
    assert set(described) == set(COLUMNS)
    assert len(described) == len(COLUMNS)


def test_the_configuration_is_one(page: str) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    settings = InvivoSettings.model_validate(yaml.safe_load(text)["invivo"])
    assert settings.low_of("adni") == ("x20",)
