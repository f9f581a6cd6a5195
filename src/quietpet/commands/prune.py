"""``quietpet prune``: which results can go because nothing needs them any more, and what they cost?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from quietpet.errors import InputError, OutputError, remedy, why
from quietpet.files.contents import is_record
from quietpet.files.text import read_json, write_json
from quietpet.outputs.causes import Record
from quietpet.outputs.places import RESULTS, listed, places_of, rank
from quietpet.outputs.pruning import MADE_AGAIN, Pruning, Removable, pruning

LEDGER = ".pruned.json"
"""Records of the files that were deleted, in the folder of results."""

_MIB = 2**20
_LOCKS = ".snakemake/locks"


def prune(
    root: Path,
    *,
    steps: Sequence[str],
    delete: bool,
    each_file: bool,
    json: Path | None,
    code_now: Callable[[Record], str | None],
) -> None:
    """Print what can go from a folder of results, and delete it if that is asked for.

    ``steps`` restricts it to the files of these. A table as JSON, if asked for, has every file.

    Raises:
        InputError: no folder of results, or one that Snakemake is working in; a step whose files stay.
    """
    for step in steps:
        if step not in MADE_AGAIN:
            raise InputError(f"--steps {step}: its files stay. Those of {', '.join(MADE_AGAIN)} may go.")
    root = _results(root)
    _require_results(root)
    gone = _ledger(root)
    found = pruning(root, code_now=code_now, gone=gone)
    if steps:
        found = replace(found, removable=tuple(each for each in found.removable if each.step in steps))
    for line in as_lines(found, each_file=each_file):
        print(line)
    if json:
        write_json(json, as_json(found))
    if delete and found.removable:
        _require_free(root)
        _delete(root, found.removable, gone)
        print(f"Deleted {_files(len(found.removable))}; their records are in {root / LEDGER}.")
    elif found.removable:
        print("Nothing was deleted; --delete does it.")


def as_lines(found: Pruning, *, each_file: bool) -> Iterator[str]:
    """What can go, by step, with what it costs to make again; then what stays, and why."""
    total = sum(each.bytes for each in found.removable)
    yield f"{_files(len(found.removable))} of {_size(total)} can go."
    for step, members in groupby(found.removable, key=lambda each: each.step):
        files = list(members)
        size, seconds = (sum(getattr(each, name) for each in files) for name in ("bytes", "seconds"))
        cost = f"made again in {seconds:.0f} s of `{step}`"
        yield f"  `{step}`: {_files(len(files))}, {_size(size)}; {cost}"
        if each_file:
            yield from (f"    {each.path} ({_size(each.bytes)})" for each in files)
    if found.removable:
        before = ", ".join(f"`{step}`" for step in _steps(found.removable))
        yield f"A method or a dose that is added later may make them again: {before}."
    reasons = Counter((each.step, each.reason) for each in found.kept) if each_file else _by_step(found)
    for (step, reason), count in sorted(reasons.items(), key=lambda item: rank(item[0][0])):
        yield f"  `{step}`: {_files(count)} stay{'s' * (count == 1)}: {reason}"


def as_json(found: Pruning) -> dict[str, Any]:
    """Every file, for programs."""
    return {
        "can_go": [
            {"path": each.path, "step": each.step, "bytes": each.bytes, "seconds": each.seconds}
            for each in found.removable
        ],
        "stay": [
            {"path": each.path, "step": each.step, "bytes": each.bytes, "reason": each.reason}
            for each in found.kept
        ],
    }


def _by_step(found: Pruning) -> dict[tuple[str, str], int]:
    """How many files of each step stay, with the reason of the first."""
    first: dict[str, str] = {}
    for each in found.kept:
        first.setdefault(each.step, each.reason)
    counts = Counter(each.step for each in found.kept)
    return {(step, first[step]): count for step, count in counts.items()}


def _steps(removable: Sequence[Removable]) -> list[str]:
    return list(dict.fromkeys(each.step for each in removable))


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _size(count: int) -> str:
    return f"{count / _MIB:.1f} MiB"


def _results(root: Path) -> Path:
    """The folder of results ``root``, or that in it."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name a folder of results, or that of a study.")
    return root / RESULTS if (root / RESULTS).is_dir() else root


def _require_results(root: Path) -> None:
    """Before anything is read: a folder of something else, or a part of one, has nothing to prune."""
    try:
        files = listed(root)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be listed ({why(error)}).") from None
    if not any(places_of(path) for path in files):
        raise InputError(
            f"{root}: no file in it lies where a step of the workflow writes; name a whole folder of "
            "results, or that of a study."
        )


def _ledger(root: Path) -> dict[str, Record]:
    path = root / LEDGER
    held = read_json(path) if path.exists() else {}
    if not isinstance(held, dict) or not all(is_record(each) for each in held.values()):
        raise InputError(
            f"{path}: holds no records of deleted files by their paths. Put back the one that `quietpet "
            "prune` wrote, or move it away: what was made of deleted files then stays."
        )
    return held


def _require_free(root: Path) -> None:
    """Nothing is deleted under a Snakemake that reads it, by whatever name."""
    for folder in _studies(root):
        locks = folder / _LOCKS
        if locks.is_dir() and any(locks.iterdir()):
            raise InputError(
                f"{locks}: Snakemake is working in this folder; wait until it ends. After one that was "
                "killed, run `snakemake --unlock` there."
            )


def _studies(root: Path) -> Iterator[Path]:
    """Folders that Snakemake may call its own: that of ``root``, and that of each link to it.

    The shell alone knows the links by which one came to the working directory; it keeps them in PWD.
    """
    named = [root.absolute()]
    came_by = Path(os.environ.get("PWD", "."))
    if came_by.is_absolute() and came_by.resolve() == Path.cwd():
        named.append(Path(os.path.normpath(came_by / root)))
    seen: set[Path] = set()
    while named:
        path = named.pop()
        if path in seen:
            continue
        seen.add(path)
        yield path.parent
        named += [
            Path(os.path.normpath(each.parent.resolve() / each.readlink() / path.relative_to(each)))
            for each in (path, *path.parents)
            if each.is_symlink()
        ]
        named.append(path.resolve())


def _delete(root: Path, removable: Sequence[Removable], gone: dict[str, Record]) -> None:
    """First their records are kept, then the files go: what is interrupted is done again."""
    write_json(root / LEDGER, {**gone, **{each.path: each.record for each in removable}})
    for each in removable:
        try:
            each.file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{each.file}: cannot be deleted ({why(error)}){remedy(error)}") from error
