"""Sections of the report as text to search."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.evaluation.claims import claims_section
from quietpet.evaluation.readable import tables_section
from quietpet.evaluation.tables import TablePlan, TableRow
from quietpet.files.sections import render_markdown


def tables_page(rows: Sequence[TableRow], *, plan: TablePlan) -> str:
    """Everything that the report shows of ``rows``."""
    sections = (tables_section(rows, plan=plan), claims_section(rows, plan=plan))
    return "\n\n".join(map(render_markdown, sections))
