"""One page of sections: headings in order, tables to sort, variants to switch, figures inside it.

The page asks no host for anything. Without scripts it is the same page, with all variants below each
other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from numbers import Real

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from quietpet.errors import InputError
from quietpet.files.sections import Cell, Column, Section, Table, switched
from quietpet.reporting.embedding import Embedded

_TEMPLATE, _STYLE, _SCRIPT = "report.html.jinja", "report.css", "report.js"
_OWN_IDS = {"content", "said"}
LONG_HEADING_LETTERS = 20
_MARKS = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Sections under one heading; a section without a part has a heading of that level itself."""

    id: str
    title: str
    sections: tuple[Section, ...]

    @property
    def is_one_section(self) -> bool:
        """Whether its only section is the part itself."""
        return not self.sections[0].part


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the page says: ``facts`` on the study by name, ``sections`` in reading order.

    ``figures`` are by the name of their file without its ending.
    """

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    figures: Mapping[str, Embedded]
    made: str


def render_page(page: Page) -> str:
    """The page as HTML.

    Raises:
        InputError: two sections have the same id, or a figure was not given.
    """
    _require_unique(page.sections)
    page = replace(page, sections=gathered(page.sections))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"prose": prose, "slug": _slug, "sort_value": sort_value}
    environment.globals |= {
        "switched": switched,
        "figure_of": lambda name: _figure(page.figures, name),
        "is_numeric": is_numeric,
        "heading_classes": heading_classes,
    }
    return environment.from_string(_packaged(_TEMPLATE)).render(
        page=page,
        parts=parts_of(page.sections),
        warnings=_warnings(page.sections),
        style=Markup(_packaged(_STYLE)),
        script=Markup(_packaged(_SCRIPT)),
    )  # fmt: skip


def gathered(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Sections of a part that is the title of one without a part stand below that one."""
    titles = {section.title for section in sections if not section.part}
    below: dict[str, list[Section]] = {title: [] for title in titles}
    for section in sections:
        if section.part in titles:
            below[section.part].append(section)
    return tuple(
        section
        if section.part
        else replace(section, sections=(*section.sections, *below[section.title]))
        for section in sections
        if section.part not in titles
    )


def parts_of(sections: Iterable[Section]) -> tuple[Part, ...]:
    """Sections by part, in the order in which each first appears."""
    ordered = list(sections)
    first: dict[str, int] = {}
    for place, section in enumerate(ordered):
        first.setdefault(section.part or section.id, place)
    ordered.sort(key=lambda section: first[section.part or section.id])
    return tuple(
        Part(
            id=f"part-{_slug(name)}", title=members[0].part or members[0].title, sections=tuple(members)
        )
        for name, group in groupby(ordered, key=lambda section: section.part or section.id)
        for members in [list(group)]
    )


def prose(text: str) -> Markup:
    """Text with its `code` and **strong** words as HTML; everything else in it is escaped."""
    return Markup(_MARKS.sub(_marked, str(escape(text))))


def _marked(found: re.Match[str]) -> str:
    code, strong = found.groups()
    return f"<code>{code}</code>" if code else f"<strong>{_MARKS.sub(_marked, strong)}</strong>"


def sort_value(value: Cell) -> str:
    """What a reader's script sorts a cell by."""
    return "" if value is None else str(float(value) if isinstance(value, Real) else value)


def is_numeric(table: Table, key: str) -> bool:
    """Whether a column holds numbers, or nothing, alone."""
    values = [row.get(key) for row in table.rows]
    numbers = [
        isinstance(value, Real) and not isinstance(value, bool) for value in values if value is not None
    ]
    return bool(numbers) and all(numbers)


def heading_classes(table: Table, column: Column) -> str:
    """CSS classes of a heading: ``number`` above numbers, ``long`` where it needs room to wrap in."""
    classes = {
        "number": is_numeric(table, column.key),
        "long": len(column.heading) > LONG_HEADING_LETTERS,
    }
    return " ".join(name for name, holds in classes.items() if holds)


def _figure(figures: Mapping[str, Embedded], name: str) -> Embedded:
    stem = name.rpartition(".")[0] or name
    if stem not in figures:
        raise InputError(
            f"{name}: a section shows this figure, and no file of that name was given; add figure=PATH."
        )
    return figures[stem]


def _require_unique(sections: Sequence[Section]) -> None:
    """Refuse an id that stands twice: of sections, of parts, and of what the page names itself."""
    parts = {f"part-{_slug(section.part)}" for section in sections if section.part}
    taken = dict.fromkeys(parts | _OWN_IDS, "the page itself")
    for section in (each for top in sections for each in top.walk()):
        for id_, owner in _ids_of(section):
            if id_ in taken:
                raise InputError(
                    f"{taken[id_]} and {owner} of the report have the id {id_!r}; give one of them "
                    f"another: the section {section.title!r} has the id {section.id!r}."
                )
            taken[id_] = owner


def _ids_of(section: Section) -> Iterator[tuple[str, str]]:
    """Each id that the page gives for a section, with what has it: as the template makes them."""
    yield section.id, f"the section {section.title!r}"
    for number, _ in enumerate(section.figures, start=1):
        yield f"{section.id}-figure-{number}", f"figure {number} of {section.title!r}"
    for number, (_, tables) in enumerate(switched(section.tables), start=1):
        group = f"{section.id}-table-{number}"
        if len(tables) == 1:
            yield group, f"table {number} of {section.title!r}"
        for place, _ in enumerate(tables if len(tables) > 1 else (), start=1):
            yield f"{group}-{place}", f"variant {place} of table {number} of {section.title!r}"


def _warnings(sections: Iterable[Section]) -> list[str]:
    """Those of the sections that are given, each once: what a reader must know first."""
    return list(dict.fromkeys(text for section in sections for text in section.warnings))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@cache
def _packaged(name: str) -> str:
    return (files("quietpet.reporting") / "templates" / name).read_text(encoding="utf-8")
