"""Workbooks of Excel: sheets with one line of headings, numbers as numbers."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import Cell as SheetCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from quietpet.files.atomic import atomic_path

Value = str | float | int | None

_LONGEST_NAME = 31
"""Characters that a sheet's name may have."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Date of all that a workbook is packed of, so that the same tables are the same bytes."""

_MODIFIED = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


@dataclass(frozen=True, kw_only=True)
class SheetColumn:
    """A column's heading, and the decimal places that are shown of its numbers; None: all."""

    heading: str
    digits: int | None = None


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """``rows`` of values in the order of ``columns``; ``bold`` are (row, column) of cells in bold.

    The first ``named_by`` columns stay in sight.
    """

    name: str
    columns: tuple[SheetColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()
    named_by: int = 1


def write_workbook(target: Path, sheets: Sequence[Sheet]) -> None:
    """Write the sheets, in order, atomically; the same sheets give the same bytes."""
    workbook = Workbook()
    workbook.remove(workbook.active)
    for sheet in sheets:
        _fill(workbook.create_sheet(sheet.name[:_LONGEST_NAME]), sheet)
    packed = BytesIO()
    workbook.save(packed)
    with atomic_path(target) as partial:
        _repack(packed, partial)


def _fill(page: Worksheet, sheet: Sheet) -> None:
    for column, about in enumerate(sheet.columns, start=1):
        heading = page.cell(row=1, column=column)
        _put(heading, about.heading)
        heading.font = Font(bold=True)
        heading.alignment = Alignment(wrap_text=True, vertical="top")
        page.column_dimensions[get_column_letter(column)].width = _width(sheet, column - 1)
    for number, row in enumerate(sheet.rows):
        for column, (about, value) in enumerate(zip(sheet.columns, row, strict=True)):
            cell = page.cell(row=number + 2, column=column + 1)
            _put(cell, value)
            if about.digits is not None and isinstance(value, float):
                cell.number_format = "0" if about.digits == 0 else f"0.{'0' * about.digits}"
            if (number, column) in sheet.bold:
                cell.font = Font(bold=True)
    page.freeze_panes = page.cell(row=2, column=sheet.named_by + 1)


def _put(cell: SheetCell, value: Value) -> None:
    """Text as text, whatever it begins with; infinity, which no cell can hold, in a word."""
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"


def _width(sheet: Sheet, column: int) -> float:
    """Wide enough for the names; numbers and headings, which are wrapped, need less."""
    texts = [row[column] for row in sheet.rows if isinstance(row[column], str)]
    return min(60, max(12, *(len(str(text)) + 2 for text in texts))) if texts else 12


def _repack(packed: BytesIO, target: Path) -> None:
    """Without the time of day."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(target, "w") as result:
        for name in source.namelist():
            about = zipfile.ZipInfo(name, date_time=_EARLIEST)
            about.compress_type = zipfile.ZIP_DEFLATED
            content = source.read(name)
            if name == "docProps/core.xml":
                content = _MODIFIED.sub(rb"\g<1>1980-01-01T00:00:00Z", content)
            result.writestr(about, content)
