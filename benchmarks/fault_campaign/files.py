"""Faults of one file: cut short, changed, or another one in its place."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py

from fault_campaign.bench import Bench, missing
from fault_campaign.judging import Said
from fault_campaign.plan import FILES, INTERRUPTED, Fault
from quietpet.outputs.digests import FOLDER as DIGESTS


def done_to_a_file(bench: Bench, fault: Fault) -> tuple[str, Said]:
    bench.renew(bench.interrupted(fault.what) if fault.what in INTERRUPTED else bench.finished)
    pattern, read_for = FILES[fault.what]
    files = sorted(path for path in bench.copy.glob(pattern) if path.is_file())
    read = [path for path in files if fault.half and "06" in (path.stem, path.parent.name)] or files
    path = read[int(fault.choice * len(read))]
    others = [each for each in files if each != path]
    if fault.half:
        missing(bench.copy, read_for)
    before = path.stat()
    told = DAMAGES[fault.kind](path, fault, others[0] if others else path, bench.copy)
    if not fault.newer:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"{path.relative_to(bench.copy)} {told}".strip(), bench.run()


def truncate(path: Path, fault: Fault, *_: Path) -> str:
    size = path.stat().st_size
    os.truncate(path, kept := int(fault.at * size))
    return f"{kept} of {size} bytes"


def flip(path: Path, fault: Fault, *_: Path) -> str:
    content = bytearray(path.read_bytes())
    place = int(fault.at * len(content))
    content[place] ^= 1 << fault.bit
    path.write_bytes(content)
    return f"bit {fault.bit} of byte {place}"


def change_value(path: Path, fault: Fault, *_: Path) -> str:
    """A digit of an attribute, or of a text, by a program that leaves a valid file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            numbered = [name for name, text in sorted(file.attrs.items()) if re.search(r"\d", str(text))]
            name = numbered[int(fault.at * len(numbered))]
            file.attrs[name] = _another_digit(str(file.attrs[name]), fault.at)
        return f"attribute {name}"
    path.write_text(_another_digit(path.read_text(), fault.at))
    return "a digit"


def _another_digit(text: str, at: float) -> str:
    places = [match.start() for match in re.finditer(r"\d", text)]
    place = places[int(at * len(places))]
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


def swap(path: Path, _: Fault, other: Path, __: Path) -> str:
    shutil.copyfile(other, path)
    return f"is {other.parent.name}/{other.name}"


def move(path: Path, _: Fault, other: Path, folder: Path) -> str:
    """The digest goes with it, as where whole folders are renamed."""
    shutil.copyfile(other, path)
    mine, others = (folder / DIGESTS / each.relative_to(folder / "results") for each in (path, other))
    shutil.copyfile(others, mine)
    return f"is {other.parent.name}/{other.name}, with its digest"


def swap_alone(path: Path, fault: Fault, other: Path, folder: Path) -> str:
    """In results of before there were digests: what files say of themselves must do."""
    shutil.rmtree(folder / DIGESTS)
    return swap(path, fault, other, folder)


DAMAGES: dict[str, Callable[[Path, Fault, Path, Path], str]] = {
    "truncated": truncate,
    "bit flipped": flip,
    "value changed": change_value,
    "swapped": swap,
    "moved": move,
    "swapped, no digests": swap_alone,
}
