"""The page of the report: structure, what is escaped, what is refused."""

from __future__ import annotations

import pytest
from report_pages import Found, page, rendered, require_accessible, section, table

from quietpet.errors import InputError
from quietpet.files.sections import Column, ShownFigure, Table
from quietpet.reporting.page import (
    gathered,
    heading_classes,
    is_numeric,
    parts_of,
    prose,
    render_page,
    sort_value,
)


def test_the_page_can_be_read_without_eyes_mouse_or_network():
    found = require_accessible(rendered())
    assert found.texts["h1"] == ["A study"]
    assert [text.strip() for text in found.texts["h2"]] == ["Tables", "Data", "How it was made"]
    assert [text.strip() for text in found.texts["h3"]] == ["Table-1", "Scans", "Registration", "Times"]


def test_an_empty_report_is_a_page():
    require_accessible(rendered(figures={}, facts={}, sections=()))


def test_cells_have_what_they_are_sorted_by():
    found = Found.of(rendered(section("a", tables=(table(),))))
    cells = [each["data-sort"] for each in found.all("td")]
    assert cells == ["30.0", "better", "9.5", "", "", "a `word` in **bold**"]
    rows = [each["data-sort"] for each in found.all("th") if each["scope"] == "row"]
    assert rows == ["unet", "<b>lpet</b> & more", "mfdiff"]
    numbers = [each.get("class") for each in found.all("th") if each["scope"] == "col"]
    assert numbers == [None, "number", None]


def test_text_of_a_study_is_escaped_everywhere():
    bad = '<img src=x onerror="alert(1)">'
    text = render_page(
        page(
            section(
                "a", title=bad, summary=bad, part=bad, notes=(bad,), warnings=(bad,),
                tables=(table(bad, rows=({"method": bad, "word": bad},)), table(bad, variant=bad)),
                figures=(ShownFigure(file="bars.png", alt=bad, caption=bad),),
            ),
            title=bad, facts={bad: bad}, made=bad,
        )
    )  # fmt: skip
    found = Found.of(text)
    assert len(found.all("img")) == 1
    assert not any("onerror" in attributes for _, attributes in found.elements)


def test_prose_marks_code_and_strong_words_and_nothing_else():
    assert prose("a `b<c` **d `e`** *f*") == (
        "a <code>b&lt;c</code> <strong>d <code>e</code></strong> *f*"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (2, "2.0"), (True, "1.0"), (1e-9, "1e-09"), ("10 a", "10 a")]
)
def test_sort_values(value, text):
    assert sort_value(value) == text


def test_a_column_of_numbers_and_gaps_is_numeric():
    assert is_numeric(table(), "psnr")
    assert not is_numeric(table(), "word")
    assert not is_numeric(table(rows=({"method": "a", "psnr": None},)), "psnr")
    assert not is_numeric(table(rows=({"method": "a", "psnr": "-"}, {"psnr": 1.0})), "psnr")


def test_sections_of_a_part_stand_together_where_its_first_one_does():
    parts = parts_of(
        [section("a", part="X"), section("b"), section("c", part="X"), section("d", part="Y")]
    )
    assert [(part.title, [each.id for each in part.sections]) for part in parts] == [
        ("X", ["a", "c"]), ("B", ["b"]), ("Y", ["d"]),
    ]  # fmt: skip
    assert [part.is_one_section for part in parts] == [False, True, False]


def test_a_part_that_is_the_title_of_a_section_is_below_it():
    sections = gathered(
        [
            section("a", part="Tables"),
            section("tables"),
            section("b", part="X"),
            section("c", part="Tables"),
        ]
    )
    assert [each.id for each in sections] == ["tables", "b"]
    assert [each.id for each in sections[0].sections] == ["a", "c"]
    require_accessible(rendered(*sections))


def test_warnings_of_the_outermost_sections_stand_first_and_once():
    text = rendered()
    assert text.count("Nobody was scanned.") == 1
    assert text.index("Nobody was scanned.") < text.index("Below.")
    assert text.index("<main") < text.index("Nobody was scanned.") < text.index("<h2")


def test_a_warning_that_stands_at_the_top_does_not_stand_below_again():
    again = section("paired", part="Tables", warnings=("Nobody was scanned.", "Of pairs alone."))
    text = rendered(section("tables", warnings=("Nobody was scanned.",)), again)
    assert text.count("Nobody was scanned.") == 1
    assert text.count("Of pairs alone.") == 1


def test_variants_are_switched_and_all_are_there_without_scripts():
    found = Found.of(rendered())
    (group,) = (each for each in found.all("div") if each.get("class") == "variants")
    assert group["data-label"] == "Fidelity"
    variants = [each for each in found.all("div") if each.get("class") == "variant"]
    assert [each["data-variant"] for each in variants] == ["quantitative", "paper"]
    assert not any("hidden" in each for each in variants)


def test_two_sections_of_one_id_are_refused():
    with pytest.raises(
        InputError, match=r"section 'B' and the section 'Other' of the report have the id 'b'"
    ):
        rendered(section("a", sections=(section("b"),)), section("b", title="Other"))


def test_an_id_that_the_page_needs_itself_is_refused():
    with pytest.raises(
        InputError, match="the page itself and the section 'Content' of the report have the id 'content'"
    ):
        rendered(section("content"))


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("t-table-1-1", "variant 1 of table 1 of 'T'"),
        ("t-table-1-2", "variant 2 of table 1 of 'T'"),
        ("t-table-2", "table 2 of 'T'"),
        ("t-figure-1", "figure 1 of 'T'"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_an_id_that_the_page_gives_to_a_table_or_figure_is_refused(name, owner, first):
    figure = ShownFigure(file="bars.png", alt="x", caption="x")
    tables = (table(variant="a"), table(variant="b"), table("Other"))
    sections = [section("t", tables=tables, figures=(figure,)), section(name, title="Same")]
    with pytest.raises(InputError, match=f"have the id '{name}'") as raised:
        rendered(*(sections[::-1] if first else sections))
    assert owner in str(raised.value)
    assert "'Same'" in str(raised.value)


def test_the_ids_that_are_checked_are_those_of_the_page():
    figure = ShownFigure(file="bars.png", alt="x", caption="x")
    tables = (table(variant="a"), table(variant="b"), table("Other"))
    found = Found.of(rendered(section("t", tables=tables, figures=(figure,))))
    ids = {each["id"] for _, each in found.elements if str(each.get("id", "")).startswith("t")}
    assert ids == {"t", "t-figure-1", "t-table-1-1", "t-table-1-2", "t-table-2"}


def test_a_heading_above_narrow_cells_has_room_when_it_is_long():
    wide = Column(key="a", label="Own uncertainty against squared error of the mean")
    shown = Table(caption="x", columns=(Column(key="m", label="Method"), wide), rows=({"a": 1.0},))
    assert heading_classes(shown, wide) == "number long"
    assert heading_classes(shown, shown.columns[0]) == ""


def test_a_figure_that_was_not_given_is_named():
    shown = section("a", figures=(ShownFigure(file="none.svg", alt="x", caption="x"),))
    with pytest.raises(InputError, match=r"none\.svg: a section shows this figure"):
        rendered(shown)


def test_the_same_page_gives_the_same_text():
    assert rendered() == rendered()
