"""A comparison of two folders in sentences, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from quietpet.outputs.comparison import Comparison, FileComparison
from quietpet.outputs.differences import Difference

_MOST_FILES = 5
"""Files of a step that are told in full."""
_MOST_PARTS = 4
_MOST_CAUSES = 8

_UNEXPLAINED = (
    "settings, code, versions and inputs are recorded alike: other hardware, another number of threads, "
    "damage or an edit by hand"
)


def as_lines(comparison: Comparison) -> Iterator[str]:
    """The first difference with its reasons, then every step at which files differ."""
    one, other = comparison.sides
    if not comparison.files:
        yield f"{comparison.equal} files hold the same in {one.name} and {other.name}."
        return
    first = comparison.first
    yield (
        f"{len(comparison.files)} of {len(comparison.files) + comparison.equal} files differ between "
        f"{one.name} (first) and {other.name} (second). The first step that differs is "
        f"`{first[0].step}`:"
    )
    yield from _told(first)
    rest = [file for file in comparison.files if file not in first]
    for step, members in groupby(rest, key=lambda file: file.step):
        files = list(members)
        begun = [file for file in files if file.begins]
        followers = [file for file in files if not file.begins]
        if begun:
            yield f"Step `{step}` differs, too:"
            yield from _told(begun)
        if followers:
            named = followers[0]
            yield (
                f"Step `{step}`: {_files(len(followers))} that follow{'s' * (len(followers) == 1)} from "
                f"inputs that differ, such as {named.path} from {named.follows[0]}."
            )


def sentence(file: FileComparison) -> str:
    """What differs in one file."""
    if file.kind == "origin":
        return f"{file.path} holds the same, made differently"
    parts = [str(part) for part in file.differences]
    more = f" and {len(parts) - _MOST_PARTS} other parts" if len(parts) > _MOST_PARTS else ""
    listed = ", ".join(parts[:_MOST_PARTS]) + more
    if file.kind == "content":
        return f"{file.path} differs in {listed}"
    return f"{file.path} {listed}" if file.kind in ("missing", "unread") else listed.rstrip(".")


def reason(file: FileComparison) -> str:
    """Why it differs, as far as the records say."""
    known = [str(cause) for cause in file.causes]
    known += [f"its input {path} differs" for path in file.follows]
    if known:
        more = f"; and {len(known) - _MOST_CAUSES} more" if len(known) > _MOST_CAUSES else ""
        return "; ".join(known[:_MOST_CAUSES]) + more
    if file.kind in ("missing", "damaged", "unread"):
        return ""
    return _UNEXPLAINED if file.has_record else "no record says how it was made"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "sides": [side.name for side in comparison.sides],
        "status": comparison.status,
        "equal": comparison.equal,
        "first_step": comparison.first[0].step if comparison.files else None,
        "files": [_file_json(file) for file in comparison.files],
    }


def _file_json(file: FileComparison) -> dict[str, Any]:
    return {
        "path": file.path,
        "step": file.step,
        "kind": file.kind,
        "begins_here": file.begins,
        "differences": [
            asdict(part) if isinstance(part, Difference) else {"how": part} for part in file.differences
        ],
        "causes": [asdict(cause) for cause in file.causes],
        "follows": list(file.follows),
        "told": sentence(file),
        "reason": reason(file),
    }


def _told(files: Sequence[FileComparison]) -> Iterator[str]:
    """Some files in full; a reason that the file before has, too, is not repeated."""
    before = ""
    for file in files[:_MOST_FILES]:
        because = reason(file)
        if because and because != before:
            yield f"  {sentence(file)}; {because}."
        else:
            yield f"  {sentence(file)}{', for the same reason' if because else ''}."
        before = because
    if len(files) > _MOST_FILES:
        yield f"  {_files(len(files) - _MOST_FILES)} more of this step."


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
