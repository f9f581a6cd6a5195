"""An audit's findings for reading: lines on a terminal, one HTML page without scripts or links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from quietpet.invivo.findings import SEVERITIES, Finding

_COLUMNS = ("participant", "file", "key", "value", "expected", "evidence", "correction")

_WIDTH = 90
"""Characters of a key or a value on the terminal; the pages have them whole."""

_STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em auto; max-width: 110em; padding: 0 1em }
table { border-collapse: collapse; margin: 0 0 2em } caption { text-align: left; padding: .3em 0 }
td, th { border: 1px solid #bbb; padding: .2em .5em; text-align: left; vertical-align: top;
         overflow-wrap: anywhere }
th { background: #eee } .error { color: #a00 } .warning { color: #850 } .note { color: #555 }
"""


def as_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """One line per check and severity: how often, where first, what."""
    for (severity, check), group in _grouped(findings):
        participants = list(dict.fromkeys(finding.participant for finding in group))
        first = group[0]
        where = ", ".join(participants[:6]) + (
            f" and {len(participants) - 6} more" if len(participants) > 6 else ""
        )
        yield f"{severity:<8}{check} ({len(group)}): {where}"
        yield f"        {_short(first.key)}: {_short(first.value)}, expected {_short(first.expected)}"
        yield f"        {first.evidence}"


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def as_html(
    findings: Sequence[Finding], *, facts: Mapping[str, object], title: str = "PET-BIDS audit"
) -> str:
    """The whole report as one page; everything from the data set is escaped."""
    counts = Counter(finding.severity for finding in findings)
    summary = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in {**facts, **{f"{s}s": counts[s] for s in SEVERITIES}}.items()
    )
    tables = "".join(_table(check, severity, group) for (severity, check), group in _grouped(findings))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><table>{summary}</table>"
        f"{tables or '<p>Nothing contradicts itself.</p>'}</body></html>\n"
    )


def _table(check: str, severity: str, group: Sequence[Finding]) -> str:
    header = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(getattr(each, name))}</td>" for name in _COLUMNS) + "</tr>"
        for each in group
    )
    return (
        f'<table><caption><b class="{severity}">{severity}: {escape(check)}</b> ({len(group)})</caption>'
        f"<tr>{header}</tr>{rows}</table>"
    )


def _grouped(findings: Sequence[Finding]) -> Iterator[tuple[tuple[str, str], list[Finding]]]:
    def key(finding: Finding) -> tuple[int, str]:
        return SEVERITIES.index(finding.severity), finding.check

    for (severity, check), group in groupby(sorted(findings, key=key), key):
        yield (SEVERITIES[severity], check), list(group)
