"""Which faults a campaign does: their kinds, what they are done to, when and where."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quietpet.outputs.digests import FOLDER as DIGESTS

TABLES = ("tables.*", "paired.csv", "with_without_t1.csv", "sections/*")
"""What the last job makes, below the folder of results."""

LEARNED = ("learning_rates/**/*.*", "models/**/*.*", "restored/**/*.*", "scores/**/*.*", *TABLES)
"""What a study lacks that has its data and nothing else."""

_SCORED = ("datasets/phantom/low/test.h5", "scores/phantom/low/lpet/*", *TABLES)
"""What is made of the images of the test subject, by the shortest way to the tables."""

_OF_NETWORK = ("models/**/*.*", "scores/phantom/low/unet/*", *TABLES)

FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "phantom": (
        "results/phantoms/phantom/*.h5",
        ("slices/phantom/06.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "slices": ("results/slices/phantom/*.h5", ("images/phantom/06/low.h5", *_SCORED)),
    "sinograms": ("results/sinograms/phantom/*/low.h5", ("images/phantom/06/low.h5", *_SCORED)),
    "images": ("results/images/phantom/*/low.h5", _SCORED),
    "data set": (
        "results/datasets/phantom/low/*.h5",
        ("learning_rates/**/*.*", "models/**/*.*", "scores/**/*.*", *TABLES),
    ),
    "learning rate": ("results/learning_rates/phantom/low/*.json", _OF_NETWORK),
    "weights": ("results/models/**/weights.safetensors", ("scores/phantom/low/unet/*", *TABLES)),
    "restored": ("results/restored/**/*.h5", ("scores/phantom/low/*/*", *TABLES)),
    "scores": ("results/scores/**/r0.csv", TABLES),
    "record": ("results/scores/**/*.json", TABLES),
    "tables": ("results/tables.csv", ()),
    "checkpoint": ("results/models/**/.weights.*.checkpoint-*.safetensors", ()),
    "trial": ("results/learning_rates/**/.*.trials-*/**/log.csv", ()),
    "Snakemake's record": (".snakemake/metadata/**/*", TABLES),
}
"""What is damaged, by its pattern, and what a half-finished study lacks so that a job reads it."""

STEPS = {
    "phantom": (
        "phantom/phantom-06",
        ("phantoms/phantom/06.h5", "slices/phantom/06.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "simulate": (
        "simulate/phantom-06-low",
        ("sinograms/phantom/06/low.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "pack": ("pack/phantom-low-test", _SCORED),
    "learning_rate": ("learning_rate/phantom-low-unet", ("learning_rates/**/*.*", *_OF_NETWORK)),
    "fit": ("fit/phantom-low-unet-r0", _OF_NETWORK),
    "restore": (
        "restore/phantom-low-unet-r0",
        ("restored/phantom/low/unet/*", "scores/phantom/low/unet/*", *TABLES),
    ),
    "tables": ("tables", TABLES),
}
"""The log of a job of each step, and the results that are missing so that it runs."""

INTERRUPTED = {
    "checkpoint": ("fit", FILES["checkpoint"][0]),
    "trial": ("learning_rate", f"{DIGESTS}/learning_rates/**/log.csv"),
}
"""What only an interrupted job leaves: its step, and the file whose presence is waited for."""

ANY = "any"
_LATE = ("fit", "restore", "tables", "learning_rate")
"""Steps after which little is to be made anew: they are disturbed more often than the others."""


_KINDS: dict[str, tuple[int, Sequence[str]]] = {
    "read-only": (6, ["results/scores", "results", "logs", "."]),
    "full disk": (6, ["tmpfs"]),
    "file limit": (2, ["RLIMIT_FSIZE"]),
    "lost mount": (4, ["results"]),
    "two runs": (4, ["locked"]),
    "two runs, no lock": (2, ["--nolock"]),
    "truncated": (36, [*FILES]),
    "bit flipped": (48, [*FILES]),
    "value changed": (
        18,
        ["slices", "sinograms", "images", "data set", "learning rate", "restored", "scores", "record"],
    ),
    "swapped": (8, ["slices", "images", "data set", "restored", "scores"]),
    "moved": (6, ["slices", "sinograms", "images", "restored"]),
    "swapped, no digests": (6, ["slices", "sinograms", "images", "data set", "restored", "scores"]),
    "killed": (24, [*STEPS, ANY, *4 * _LATE]),
    "terminated": (14, [*STEPS, ANY, *_LATE]),
    "job killed": (12, [*STEPS, *_LATE]),
    "hung": (4, ["fit", "restore", "simulate"]),
}
KINDS = tuple(_KINDS)
"""Every kind of fault; `_KINDS` has their shares, and what they are done to."""

OF_FILES = ("truncated", "bit flipped", "value changed", "swapped", "moved", "swapped, no digests")
"""Kinds that damage one file."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault to be done.

    ``half``: the study is half finished, so that what is damaged is read. ``newer``: the file looks
    written just now; else its time stays. ``at`` in [0, 1) is where in a file, or when; ``choice`` which
    of several files. ``followed``: the sentence it leads to is followed.
    """

    number: int
    kind: str
    what: str
    half: bool
    newer: bool
    at: float
    choice: float
    bit: int
    followed: bool


def planned(count: int, seed: int, only: str | None = None) -> list[Fault]:
    """``count`` faults, each kind by its share and at least once; or ``only`` one kind."""
    kinds = [only] * count if only else shared_out(count)[:count]
    rounds = sorted(_turns(kinds), key=lambda each: each[1])  # so that the first ones are of all kinds
    return [
        _drawn(number, kind, random.Random(f"{seed}/{number}"), turn)
        for number, (kind, turn) in enumerate(rounds)
    ]


def shared_out(count: int) -> list[str]:
    """Kinds of ``count`` faults, by the method of largest remainders, kind after kind."""
    total = sum(share for share, _ in _KINDS.values())
    exact = {kind: count * share / total for kind, (share, _) in _KINDS.items()}
    numbers = {kind: max(1, int(each)) for kind, each in exact.items()}
    for kind in sorted(exact, key=lambda kind: numbers[kind] - exact[kind]):
        numbers[kind] += sum(numbers.values()) < count
    return [kind for kind, number in numbers.items() for _ in range(number)]


def _turns(kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each kind with how many of it came before, so that all it is done to get their turn."""
    before: Counter[str] = Counter()
    for kind in kinds:
        yield kind, before[kind]
        before[kind] += 1


def _drawn(number: int, kind: str, rng: random.Random, turn: int) -> Fault:
    names = _KINDS[kind][1]
    what = names[-1 - turn % len(names)]  # late steps, which are soon made anew, first
    return Fault(
        number=number,
        kind=kind,
        what=what,
        half=kind not in OF_FILES or (bool(FILES[what][1]) and rng.random() < 0.8),
        newer=rng.random() < 0.5,
        at=rng.random(),
        choice=rng.random(),
        bit=rng.randrange(8),
        followed=rng.random() < 0.15,
    )
