"""What an audit reports: one finding per contradiction, with its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: who uses the value, or the file, gets wrong results or none. warning: two values contradict
each other, and the data do not say which is right. note: one meaning, written against BIDS."""

NO_CORRECTION = "none"
DATA_SET = "-"
"""Participant of a finding that concerns the whole data set."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One inconsistency, and what the import does about it.

    ``check`` names the rule that found it. ``expected`` is what ``key`` should hold, as far as
    ``evidence`` tells; ``correction`` is what the import reads instead, or "none".
    """

    check: str
    severity: Severity
    participant: str
    file: str
    key: str
    value: str
    expected: str
    evidence: str
    correction: str = NO_CORRECTION


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Whose file a value stands in."""

    participant: str
    file: str

    def finding(self, check: str, severity: Severity, key: str, **words: str) -> Finding:
        return Finding(
            check=check,
            severity=severity,
            participant=self.participant,
            file=self.file,
            key=key,
            **words,
        )


def shown(value: Any, *, limit: int = 60) -> str:
    """A value as JSON, the middle of long lists left out."""
    if isinstance(value, list | tuple) and len(value) > 6:
        first, last = json.dumps(list(value[:3]))[1:-1], json.dumps(value[-1])
        return f"[{first}, ..., {last}] ({len(value)} values)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of one participant that differ in the file alone, as one that counts the files.

    The order is by severity, then as found.
    """
    files: dict[Finding, list[str]] = {}
    for finding in findings:
        files.setdefault(replace(finding, file=""), []).append(finding.file)
    joined = [
        replace(finding, file=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more")
        for finding, names in files.items()
    ]
    return sorted(joined, key=lambda finding: SEVERITIES.index(finding.severity))
