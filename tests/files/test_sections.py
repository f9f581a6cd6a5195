"""Sections of the report: what is written is read back, and what a reader could not use is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.files.sections import (
    Column,
    Section,
    ShownFigure,
    Table,
    anchor,
    counted,
    read_section,
    render_markdown,
    switched,
    write_section,
)

METHOD = Column(key="method", label="Method")
PSNR = Column(
    key="mean", label="PSNR", unit="dB", digits=2, spread="std", low="low", high="high", mark="doubt"
)
ONE_COLUMN = {"caption": "a", "columns": [{"key": "x", "label": "x"}], "rows": []}


def table(*rows, variant="", caption="Fidelity"):
    return Table(caption=caption, columns=(METHOD, PSNR), rows=rows, variant=variant)


def section(**changes):
    values = {
        "id": "table-1",
        "title": "Table 1",
        "summary": "`unet` is better than the low dose by 2 dB.",
        "part": "Tables",
        "warnings": ("simulated",),
        "notes": ("One.", "Two."),
        "tables": (table({"method": "unet", "mean": 31.0, "std": 1.25}),),
        "figures": (ShownFigure(file="table1.svg", alt="PSNR of one method.", caption="PSNR."),),
    }
    return Section(**{**values, **changes})


def test_a_section_is_read_back_as_it_was_written(tmp_path):
    written = section(tables=(table({"method": "unet", "mean": 31, "low": None, "doubt": True}),))
    write_section(tmp_path / "a.json", written)
    found = read_section(tmp_path / "a.json")
    assert found == written
    assert [type(value) for value in found.tables[0].rows[0].values()] == [str, int, type(None), bool]


def test_numbers_of_numpy_are_numbers(tmp_path):
    rows = ({"method": np.str_("a"), "mean": np.float32(0.5), "std": np.int64(3)},)
    write_section(tmp_path / "a.json", section(tables=(table(*rows),)))
    assert read_section(tmp_path / "a.json").tables[0].rows == ({"method": "a", "mean": 0.5, "std": 3},)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, ""),
        ({"mean": None, "std": 2.0}, ""),
        ({"mean": 30.0}, "30.00"),
        ({"mean": 30.0, "std": 1.0}, "30.00 ± 1.00"),
        ({"mean": 30.0, "low": 29.0, "high": 31.0}, "30.00 [29.00, 31.00]"),
        ({"mean": 30.0, "low": 29.0}, "30.00"),
        ({"mean": 9.0, "std": 1, "low": 8, "high": 9.5, "doubt": "†"}, "9.00 ± 1 [8, 9.50] †"),
        ({"mean": -0.0001}, "0.00"),
        ({"mean": 7}, "7"),
        ({"mean": "-"}, "-"),
        ({"mean": True}, "yes"),
    ],
)  # fmt: skip
def test_text_of_a_cell(row, text):
    assert PSNR.text(row) == text


def test_a_signed_number_has_its_plus():
    gain = Column(key="x", label="x", digits=1, signed=True, low="low", high="high")
    assert gain.text({"x": 2.0, "low": -1.0, "high": 5.0}) == "+2.0 [-1.0, +5.0]"
    assert gain.text({"x": -0.01}) == "+0.0"


def test_digits_are_six_significant_unless_given():
    assert Column(key="x", label="x").text({"x": 1234.56789}) == "1234.57"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_number_that_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match=r"mean is -?(nan|inf) in the table 'Fidelity'"):
        table({"method": "unet", "mean": value})


def test_a_value_that_no_column_shows_is_refused():
    with pytest.raises(ValueError, match="no column of the table 'Fidelity' shows ssim"):
        table({"method": "unet", "mean": 1.0, "ssim": 0.5})


@pytest.mark.parametrize("name", ["", "Table 1", "1st", "a--b", "a b", "é"])
def test_an_id_that_is_no_anchor_is_refused(name):
    with pytest.raises(ValueError, match="id is"):
        section(id=name)


def test_a_figure_says_what_it_shows():
    with pytest.raises(ValueError, match=r"'a\.png' has no alt text"):
        section(figures=(ShownFigure(file="a.png", alt=" ", caption="A"),))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": None}, "title"),
        ({"colour": "red"}, "colour"),
        ({"id": "Table 1"}, "section"),
        ({"tables": [{**ONE_COLUMN, "columns": [{"key": "x"}]}]}, r"tables\.0\.columns\.0\.label"),
        ({"tables": [{**ONE_COLUMN, "columns": []}]}, r"tables\.0"),
        ({"tables": [{**ONE_COLUMN, "rows": [{"x": [1]}]}]}, r"tables\.0\.rows\.0\.x"),
        ({"tables": [{**ONE_COLUMN, "rows": [{"x": float("nan")}]}]}, r"tables\.0"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_section_is_named_with_its_field(tmp_path, change, place):
    path = tmp_path / "a.json"
    write_section(path, section())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=rf"a\.json: not a section of the report \({place}"):
        read_section(path)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_json_of_another_kind_is_no_section(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="not a section of the report"):
        read_section(tmp_path / "a.json")


def test_variants_of_one_caption_are_switched_between():
    tables = [
        table(caption="A", variant="paper"),
        table(caption="A", variant="quantitative"),
        table(caption="A", variant="paper"),
        table(caption="B"),
        table(caption="B"),
    ]
    groups = [(caption, [each.variant for each in members]) for caption, members in switched(tables)]
    assert groups == [
        ("A", ["paper", "quantitative"]),
        ("A", ["paper"]),
        ("B", [""]),
        ("B", [""]),
    ]


def test_markdown_of_a_section():
    rows = ({"method": "a|b", "mean": 31.0, "std": 1.25, "low": 30.0, "high": 32.0},)
    text = render_markdown(section(tables=(table(*rows, variant="paper"),)), level=3)
    assert text == "\n".join(
        [
            "### Table 1",
            "",
            "`unet` is better than the low dose by 2 dB.",
            "",
            "> **WARNING - simulated**",
            "",
            "- One.",
            "- Two.",
            "",
            "#### Fidelity",
            "",
            "Variant `paper`",
            "",
            "| Method | PSNR [dB] |",
            "| --- | --- |",
            "| a\\|b | 31.00 ± 1.25 [30.00, 32.00] |",
            "",
            "![PSNR of one method.](figures/table1.svg)",
            "",
            "PSNR.",
        ]
    )


def test_sections_below_a_section_are_read_back_and_rendered_one_level_lower(tmp_path):
    leaf = section(id="leaf", title="Leaf", tables=(), figures=())
    written = section(sections=(section(id="branch", title="Branch", sections=(leaf,)),))
    write_section(tmp_path / "a.json", written)
    assert read_section(tmp_path / "a.json") == written
    assert [each.id for each in written.walk()] == ["table-1", "branch", "leaf"]
    text = render_markdown(written)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## Table 1", "### Fidelity", "### Branch", "#### Fidelity", "#### Leaf",
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "text"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs")])
def test_one_thing_is_told_as_one(number, text):
    assert counted(number, "job") == text


def test_every_name_of_a_study_has_an_anchor_of_its_own():
    names = ("low", "low_", "Low", "a-b", "a__b", "a_b", "a.b", "4min", "b", "_", "ä")
    anchors = [anchor(name) for name in names]
    assert len(set(anchors)) == len(names)
    assert anchors[0] == "low"
    for each in anchors:
        section(id=f"a-{each}_{each}")
