"""What an audit reports: one finding per contradiction, with its evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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

    ``check`` names the rule that found it. ``file`` is the one in which the value stands, ``image``
    (a path without extensions, or nothing) the image it is about. ``expected`` is what ``key`` should
    hold, as far as ``evidence`` tells; ``correction`` is what the import reads instead, or "none".
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
    image: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Whose file a value stands in.

    ``file`` exists. ``told`` has the file of each key that stands in another one: side-cars inherit.
    """

    participant: str
    file: str
    image: str = ""
    told: Mapping[str, str] = field(default_factory=dict)

    def file_of(self, key: str) -> str:
        """The file that told the first known of the names in ``key``."""
        for name in re.split(r"[\s,]+", key):
            # The drafts of PET-BIDS had "...Unit" where the names end in "Units" now.
            for written in (name, name.removesuffix("s")):
                if written in self.told:
                    return self.told[written]
        return self.file

    def finding(self, check: str, severity: Severity, key: str, **words: str) -> Finding:
        return Finding(
            check=check,
            severity=severity,
            participant=self.participant,
            file=self.file_of(key),
            image=self.image,
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
    alike: dict[Finding, list[Finding]] = {}
    for finding in findings:
        alike.setdefault(replace(finding, file="", image=""), []).append(finding)
    joined = []
    for finding, group in alike.items():
        files = list(dict.fromkeys(each.file for each in group))
        counted = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        joined.append(replace(finding, file=counted, image=group[0].image))
    return sorted(joined, key=lambda finding: SEVERITIES.index(finding.severity))
