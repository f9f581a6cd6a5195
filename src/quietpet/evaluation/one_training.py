"""What is said of methods that restored the realisations with one training each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from quietpet.errors import InputError
from quietpet.evaluation.rows import OfRun

ONE_TRAINING = (
    "Each method that learns restored the realisations with its first training alone. What another "
    "training would change is in no interval or standard error here: what is told of a network is told "
    "of that one training, in these slices of these subjects."
)


class Run(OfRun, Protocol):
    """A row of what one training of a method made of one data set."""

    @property
    def replicate(self) -> str: ...


def require_one_training(rows: Iterable[Run]) -> None:
    """Raise InputError where a method has several trainings, which no table or figure tells apart."""
    found: dict[tuple[str, str, str, str], str] = {}
    for row in rows:
        run = (row.dataset, row.setting, row.method, row.learning)
        first = found.setdefault(run, row.replicate)
        if first != row.replicate:
            raise InputError(
                f"{row.dataset}/{row.setting}: {row.method} (learning {row.learning}) comes with the "
                f"trainings {first} and {row.replicate}; realisations are told of one training of each "
                "method. Give the files of one."
            )


def in_slices(n_slices: int, n_subjects: int) -> str:
    """Of what training and how many slices a summary tells, as the beginning of a sentence."""
    slices = "this one slice" if n_slices == 1 else f"these {n_slices} slices"
    subjects = "one subject" if n_subjects == 1 else f"{n_subjects} subjects"
    return f"With the first training of each method, in {slices} of {subjects}"


def run_name(row: Run, rows: Sequence[Run]) -> str:
    """The method, and how it learned where ``rows`` have it in several ways."""
    learned = {each.learning for each in rows if each.method == row.method}
    return f"`{row.method}`" if len(learned) == 1 else f"`{row.method}` ({row.learning})"
