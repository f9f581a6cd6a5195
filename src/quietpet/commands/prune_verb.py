"""``quietpet prune`` on the command line."""

from __future__ import annotations

import argparse
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quietpet.files.atomic import require_writable

if TYPE_CHECKING:
    from quietpet.outputs.causes import Record


def add_prune(verbs: argparse._SubParsersAction, *, code_now: Callable[[Record], str | None]) -> None:
    """Add its arguments; ``code_now`` is that of :func:`quietpet.commands.prune.prune`."""
    verb = verbs.add_parser(
        "prune",
        help="List results that nothing needs any more, and what they cost to make again.",
        description="List arrays of finished steps (phantoms, sinograms, images, packed and restored "
        "slices) that nothing needs any more, because tables and report are there and all that was made "
        "of them is up to date. Weights, tables, scores, figures, logs, trees of BIDS and files of "
        "yours always stay.",
    )
    verb.add_argument(
        "root",
        nargs="?",
        type=Path,
        default=Path("results"),
        help="folder of results, or of a study (default: results)",
    )
    verb.add_argument(
        "--steps", nargs="+", default=[], metavar="STEP", help="files of these steps alone"
    )
    verb.add_argument("--files", action="store_true", help="name each file")
    verb.add_argument("--delete", action="store_true", help="delete what is listed; else nothing is")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write every file as JSON")
    verb.set_defaults(command=functools.partial(_prune, code_now=code_now))


def _prune(options: argparse.Namespace, *, code_now: Callable[[Record], str | None]) -> None:
    if options.json:
        require_writable(options.json)
    importlib.import_module("quietpet.commands.prune").prune(
        options.root,
        steps=options.steps,
        delete=options.delete,
        each_file=options.files,
        json=options.json,
        code_now=code_now,
    )
