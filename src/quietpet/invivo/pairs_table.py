"""The name of the table of a folder of pairs. Kept free of slow imports: Snakemake asks for it."""

from __future__ import annotations

from pathlib import Path

from quietpet.files.presence import absence

TABLE = "pairs.tsv"
_OTHERS = ("pairs.csv", "pairs.txt", "pairs.xlsx", "pairs.tsv.txt", "Pairs.tsv")
"""What the table is called where it was saved by another program, or in another way."""


def missing_table(root: Path) -> str | None:
    """One sentence on why there is no table in the folder; None where there is."""
    reason = absence(root / TABLE)
    if reason is None:
        return None
    said = f"{root / TABLE}: {reason}; a folder of pairs has this table (docs/pairs.md)"
    if other := next((name for name in _OTHERS if absence(root / name) is None), None):
        return f"{said}. {other} is there: save it as {TABLE}, with tabs between its cells."
    return f"{said}."
