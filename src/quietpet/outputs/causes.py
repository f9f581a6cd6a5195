"""Why two files differ: what their records of how they were made say differently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from quietpet.files.contents import flat
from quietpet.outputs.differences import shown, without_folders
from quietpet.outputs.places import in_results

Record = Mapping[str, Any]

_FOLDER_KEYS = {"cache_dir", "cache_is_named", "root", "manifest", "transform"}
"""Settings that name files of the user: what those hold counts, and not where they lie."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One thing in which two records differ: of what ``kind``, called how, and both values.

    The kinds are settings, code, version, device, hardware and input. A cause that is ``certain`` makes
    records differ by itself; an input of the study's own, whose bytes hold times, may be another one and
    hold the same.
    """

    kind: str
    key: str
    one: Any
    other: Any
    certain: bool = True

    def __str__(self) -> str:
        if self.kind == "settings":
            return f"its settings differ in {self.key}: {shown(self.one)} against {shown(self.other)}"
        if self.kind == "code":
            return f"its code differs in {self.key}"
        if self.kind == "input":
            return f"its input {self.key} {self._input}"
        return f"{self.key} is {shown(self.one)} against {shown(self.other)}"

    @property
    def _input(self) -> str:
        if not (self.one and self.other):
            return f"was there for the {'first' if self.one else 'second'} alone"
        return "differs" if self.certain else "has another checksum, of its content or of its times"


def causes(one: Record, other: Record, *, compared: Callable[[str], bool]) -> list[Cause]:
    """In what two records differ, times and folders apart.

    ``compared`` says of a path in the folder of results whether that file itself is compared, so that
    its digest says nothing more.
    """
    return [
        *_of_settings(one, other),
        *_of_code(one, other),
        *_of_versions(one, other),
        *_of_inputs(one, other, compared),
    ]


def inner_inputs(record: Record) -> list[str]:
    """The inputs of a record that lie in a folder of results, by their paths there."""
    return [path for each in record.get("inputs") or {} if (path := in_results(each)) is not None]


def _of_settings(one: Record, other: Record) -> Iterator[Cause]:
    if one.get("stage") != other.get("stage"):
        yield Cause(kind="settings", key="the step", one=one.get("stage"), other=other.get("stage"))
    a, b = (flat(each.get("settings") or {}) for each in (one, other))
    for key in dict.fromkeys((*a, *b)):
        if key.rpartition(".")[2] in _FOLDER_KEYS:
            continue
        left, right = (without_folders(each.get(key, "nothing")) for each in (a, b))
        if left != right or type(left) is not type(right):
            yield Cause(kind="settings", key=key, one=left, other=right)


def _of_code(one: Record, other: Record) -> Iterator[Cause]:
    if one.get("code") == other.get("code"):
        return
    a, b = (each.get("modules") or {} for each in (one, other))
    changed = [name for name in dict.fromkeys((*a, *b)) if a.get(name) != b.get(name)] if a and b else []
    named = ", ".join(changed) or "a module that the records do not name"
    yield Cause(kind="code", key=named, one=one.get("code"), other=other.get("code"))


def _of_versions(one: Record, other: Record) -> Iterator[Cause]:
    a, b = (
        {**(each.get("versions") or {}), "Python": each.get("python", "unknown")}
        for each in (one, other)
    )
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            left, right = (each.get(name) or "not there" for each in (a, b))
            yield Cause(kind="version", key=name, one=left, other=right)
    for kind, word in (("device", "the device"), ("processor", "the processor")):
        if one.get(kind) != other.get(kind) and None not in (one.get(kind), other.get(kind)):
            certain = kind == "device"
            yield Cause(kind=kind, key=word, one=one[kind], other=other[kind], certain=certain)


def _of_inputs(one: Record, other: Record, compared: Callable[[str], bool]) -> Iterator[Cause]:
    a, b = (_by_place(each.get("inputs") or {}) for each in (one, other))
    for name in dict.fromkeys((*a, *b)):
        (inner, path), left, right = name, a.get(name), b.get(name)
        if left == right:
            continue
        if inner and compared(path) and left and right:
            continue
        yield Cause(
            kind="input",
            key=path,
            one=left,
            other=right,
            certain=not inner or not (left and right),
        )


def _by_place(inputs: Mapping[str, str]) -> dict[tuple[bool, str], str]:
    """Digests by place in the folder of results; by name of what lies outside, wherever that is."""
    found: dict[tuple[bool, str], str] = {}
    for path, digest in inputs.items():
        inside = in_results(path)
        name = (True, inside) if inside else (False, PurePosixPath(path).name)
        found[name] = f"{found[name]} {digest}" if name in found else digest
    return found
