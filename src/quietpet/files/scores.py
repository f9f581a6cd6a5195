"""Score files: one value of one metric per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from quietpet.errors import InputError, reading, replacing

_TYPES = {
    "slice_mm": float, "angle_deg": float, "has_t1": bool, "value": float, "spread_to_error": float,
}  # fmt: skip

_EMPTY = {"value": [""], "spread_to_error": [""]}


def read_scores(paths: Iterable[Path], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of all files, which have these ``columns``.

    Raises:
        InputError: a file cannot be read, has other columns or no rows.
    """
    return pd.concat([_read_score_file(path, columns) for path in paths], ignore_index=True)


def _read_score_file(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    # Names such as subject "04" stay text; "-" and "" are values except where a number is empty.
    types = {column: _TYPES.get(column, str) for column in columns}
    with reading(path, "not a readable score file"):
        scores = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=_EMPTY)
    if tuple(scores.columns) != tuple(columns):
        raise InputError(f"{path}: its columns are not those of a score file: {list(scores.columns)}.")
    if scores.empty:
        raise InputError(f"{path}: holds no scores. {replacing(path)}")
    return scores
