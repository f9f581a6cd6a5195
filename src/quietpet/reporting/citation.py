"""How to cite: the file CITATION.cff (format 1.2) as a section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quietpet.files.sections import Section


def citation_section(cited: Mapping[str, Any]) -> Section:
    """The software, and what it asks to be cited with it.

    Raises:
        KeyError: a title is missing.
    """
    return Section(
        id="citation",
        title="How to cite",
        part="How it was made",
        summary=f"{cited.get('message', 'Please cite the software.')} {_reference(cited)}",
        notes=tuple(_reference(each) for each in cited.get("references", ())),
    )


def _reference(entry: Mapping[str, Any]) -> str:
    authors = ", ".join(map(_author, entry.get("authors", ())))
    pages = "-".join(str(entry[name]) for name in ("start", "end") if name in entry)
    volume = str(entry.get("volume", "")) + (f"({entry['issue']})" if "issue" in entry else "")
    where = " ".join(
        filter(None, (str(entry.get("journal", "")), volume + (f":{pages}" if pages else "")))
    )
    parts = [
        f"{authors}: {entry['title']}" if authors else str(entry["title"]),
        where,
        f"version {entry['version']}" if "version" in entry else "",
        str(entry.get("year", "")),
        f"doi:{entry['doi']}" if "doi" in entry else "",
        str(entry.get("notes", "")).rstrip("."),
    ]
    return ". ".join(part for part in parts if part) + "."


def _author(author: Mapping[str, Any]) -> str:
    return str(
        author.get("name") or f"{author.get('family-names', '')} {author.get('given-names', '')}"
    ).strip()
