"""The file of a chosen learning rate: what was tried, and how well it restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quietpet.errors import InputError, reading
from quietpet.files.text import read_json


@dataclass(frozen=True, kw_only=True)
class RateTrial:
    """One short training, at ``factor`` times the common learning rate.

    ``nmse`` is the least of its restored validation slices; None where the training diverged.
    """

    factor: float
    learning_rate: float
    nmse: float | None


@dataclass(frozen=True, kw_only=True)
class RateTrials:
    """All trials of one method, each of so many ``iterations``."""

    method: str
    iterations: int
    trials: tuple[RateTrial, ...]

    @property
    def chosen(self) -> RateTrial:
        """The first of the least NMSE; ValueError where every trial diverged."""
        restored = [trial for trial in self.trials if trial.nmse is not None]
        return min(restored, key=lambda trial: trial.nmse or 0.0)

    @property
    def at_an_end(self) -> str:
        """Whether the chosen rate is the "largest" or "smallest" of those tried; else empty."""
        rates = sorted(trial.learning_rate for trial in self.trials)
        return {rates[0]: "smallest", rates[-1]: "largest"}.get(self.chosen.learning_rate, "")

    def describe(self) -> str:
        """What was chosen from what, for the table column ``protocol``."""
        rates = ", ".join(f"{trial.learning_rate:g}" for trial in self.trials)
        end = f", the {self.at_an_end} tried" if self.at_an_end else ""
        return (
            f"learning rate {self.chosen.learning_rate:g}{end}, chosen from {rates} by the NMSE of "
            f"restored validation slices after {self.iterations} iterations"
        )

    def record(self) -> dict[str, Any]:
        """What the file holds, beside its provenance."""
        return {**asdict(self), "chosen": asdict(self.chosen)}


def read_rate_trials(path: Path, *, method: str | None = None) -> RateTrials:
    """The trials of a file of the step ``learning_rate``.

    Raises:
        InputError: it is no such file, or of another method than ``method``.
    """
    record = read_json(path)
    with reading(path, "not a file of `learning_rate`", KeyError, TypeError):
        found = _trials(record)
        _ = found.chosen
    if method is not None and found.method != method:
        raise InputError(
            f"{path}: is of the method {found.method!r}, not {method!r}; give its own file."
        )
    return found


def _trials(record: Mapping[str, Any]) -> RateTrials:
    return RateTrials(
        method=record["method"],
        iterations=record["iterations"],
        trials=tuple(RateTrial(**trial) for trial in record["trials"]),
    )
