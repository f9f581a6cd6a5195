"""What was measured of one run of a method with one metric: a value for each slice and training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quietpet.evaluation.layouts import Run
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import SliceValues

_NAMED = [*Run._fields, "metric", "variant", "estimate", *LINEAGE]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One metric of one run, and the columns of a table that say which.

    ``spread`` as in :func:`quietpet.evaluation.spread.spread_to_error`, mean over trainings, None of one
    sample.
    """

    names: dict[str, str]
    found: SliceValues
    spread: float | None

    @property
    def run(self) -> Run:
        return Run(*(self.names[name] for name in Run._fields))

    @property
    def metric(self) -> tuple[str, str]:
        """Variant and name of the metric."""
        return self.names["variant"], self.names["metric"]

    @property
    def better(self) -> int:
        """Whether more (1) or less (-1) of the metric is better, or neither (0)."""
        return metric_of(self.names["metric"], self.names["variant"]).better

    @property
    def estimate(self) -> str:
        return self.names["estimate"]


def cells_of(scores: pd.DataFrame) -> Iterator[Cell]:
    """Every metric of every run, of the slices of which it is defined."""
    for names, rows in scores.dropna(subset=["value"]).groupby(_NAMED):
        yield Cell(
            names={name: str(value) for name, value in zip(_NAMED, names, strict=True)},
            found=SliceValues.from_scores(rows),
            spread=_spread(rows),
        )


def _spread(rows: pd.DataFrame) -> float | None:
    spreads = rows["spread_to_error"].to_numpy(dtype=float)
    if np.isnan(spreads).all():
        return None
    _, first = np.unique(rows["replicate"].to_numpy(dtype=str), return_index=True)
    return float(np.nanmean(spreads[first]))


def runs_of(scores: pd.DataFrame) -> Iterator[Run]:
    """Every run that was scored, once."""
    columns: Any = scores[[*Run._fields]].drop_duplicates()
    yield from (Run(*row) for row in columns.itertuples(index=False))
