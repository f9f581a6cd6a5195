"""How a fault has ended, and the table of a campaign."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fault_campaign.plan import Fault


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command ended with, and what it printed."""

    status: int
    text: str
    mute: bool = False
    """Whether a command before this one stopped without a sentence."""
    hangs: bool = False
    """Whether it, or a command before it, did not end by itself."""

    @property
    def sentence(self) -> str:
        """The one that says what stopped it, or the rule that failed without one; else nothing."""
        patterns = (
            r"^quietpet: error: (.+)$",
            r"^(?:WorkflowError|LockException|Missing\w+Exception).*:\n(?!At least one job)((?:.+\n?)+)",
            r"^Error: (.+)$",
            r"^((?:OS|Permission|FileNotFound|FileExists)\w*Error.*)$",
            r"^(Error in rule \w+)",
        )
        found = (re.search(pattern, self.text, re.MULTILINE) for pattern in patterns)
        first = next((match[1] for match in found if match), "")
        return " ".join(first.split())

    @property
    def file(self) -> str:
        """What its sentence begins with."""
        return self.sentence.partition(": ")[0]

    @property
    def clear(self) -> bool:
        return bool(self.sentence) and not self.sentence.startswith("Error in rule")

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one fault ended: as one of `COLUMNS`."""

    fault: Fault
    outcome: str
    where: str = ""
    said: str = ""
    seconds: float = 0.0


def judged(said: Said, found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """How a command ended."""
    if said.hangs:
        return "hangs"
    if said.traceback:
        return "traceback"
    if said.status == 0 and _are_wrong(found, expected):
        return "wrong tables"
    if said.mute or (said.status and not said.clear):
        return "silent"
    return "refused" if said.status else "resumed"


def _are_wrong(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Whether a table is missing, or anything is another one.

    Scores may be missing beside tables: these then are still those of before, and Snakemake makes
    nothing anew that no target waits for.
    """
    tables = (name for name in expected if not name.startswith("scores/"))
    return any(name not in found for name in tables) or not found.items() <= expected.items()


GOOD = ("resumed", "refused", "refused, then resumed", "skipped")
COLUMNS = (
    "resumed",
    "refused",
    "refused, then resumed",
    "wrong tables",
    "silent",
    "hangs",
    "traceback",
    "skipped",
)


def as_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row per kind."""
    yield f"| fault | n | {' | '.join(COLUMNS)} |"
    yield f"|---|---|{'---|' * len(COLUMNS)}"
    for kind in dict.fromkeys(each.fault.kind for each in outcomes):
        yield _row(kind, [each for each in outcomes if each.fault.kind == kind])
    yield _row("all", outcomes)


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    found = Counter(each.outcome for each in outcomes)
    return f"| {name} | {len(outcomes)} | {' | '.join(str(found[each]) for each in COLUMNS)} |"


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    rows = [
        {**asdict(each.fault), "outcome": each.outcome, "where": each.where, "said": each.said,
         "seconds": each.seconds}
        for each in outcomes
    ]  # fmt: skip
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_outcomes(path: Path, plan: Sequence[Fault]) -> list[Outcome]:
    """Those of the ``plan`` that an interrupted campaign has written."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        rows = {int(row["number"]): row for row in csv.DictReader(stream)}
    return [
        Outcome(
            fault=fault,
            outcome=row["outcome"],
            where=row["where"],
            said=row["said"],
            seconds=float(row["seconds"]),
        )
        for fault in plan
        if (row := rows.get(fault.number)) and (row["kind"], row["what"]) == (fault.kind, fault.what)
    ]
