"""Text, JSON and CSV files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quietpet.errors import InputError, reading
from quietpet.files.atomic import atomic_path


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(target) as partial:
        partial.write_text(text)


def read_text(path: Path) -> str:
    """Read a text file, or say why it cannot be read."""
    with reading(path, "not readable as text"):
        return path.read_text(encoding="utf-8-sig")


def write_json(target: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by eye."""
    write_text(target, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, UTF-8 with or without a byte order mark, or say why it cannot be read.

    A key that stands twice in one object is an error: readers differ in which of the two they take.
    """
    with reading(path, "not readable as JSON", RecursionError):
        try:
            return parse_json(path.read_text(encoding="utf-8-sig"))
        except RepeatedKeyError as error:
            raise InputError(f"{path}: {error}.") from None


class RepeatedKeyError(ValueError):
    """One key stands twice in one JSON object; the message names it and both values."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        RepeatedKeyError: a key stands twice in one object.
        json.JSONDecodeError: it is no JSON.
    """
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(
                f"the key {key!r} stands twice, as {found[key]!r:.60} and as {value!r:.60}; keep one"
            )
        found[key] = value
    return found


def csv_cell(value: object) -> str:
    """Text of one cell of a table: numbers to six significant digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def markdown_row(cells: Iterable[object]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def write_csv(target: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV atomically; a row with an unknown or missing column is an error."""
    with atomic_path(target) as partial, partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="raise", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            if missing := set(columns) - set(row):
                raise KeyError(f"{target}: a row lacks the columns {sorted(missing)}")
            writer.writerow(row)
