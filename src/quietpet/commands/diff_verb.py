"""``quietpet diff`` on the command line."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from quietpet.commands.arguments import number
from quietpet.files.atomic import require_writable


def add_diff(verbs: argparse._SubParsersAction) -> None:
    """Add its arguments."""
    verb = verbs.add_parser(
        "diff",
        help="Compare two folders of results by content: what differs first, and why.",
        description="Compare two folders of results, or two files, by what they hold: values of HDF5, "
        "tensors, images, tables, texts. Times, speeds and places of folders do not count. Says at "
        "which step of the workflow they differ first, and what their records of how they were made "
        "say differently.",
        epilog="Exit status: 0 the same, 1 different, 2 trouble, as diff(1).",
    )
    verb.add_argument("one", type=Path, help="folder of results, or a file")
    verb.add_argument("other", type=Path, help="the other")
    verb.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.0,
        metavar="X",
        help="numbers may differ by X times the larger of the two (default: 0, the same bytes)",
    )
    verb.add_argument(
        "--values",
        action="store_true",
        help="what files hold alone: other settings, code or versions do not count where it is the same",
    )
    verb.add_argument("--json", type=Path, metavar="FILE", help="write all that differs as JSON")
    verb.set_defaults(command=_diff, trouble=2)


def _tolerance(text: str) -> float:
    tolerance = number(text)
    if not 0 <= tolerance < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return tolerance


def _diff(options: argparse.Namespace) -> int:
    if options.json:
        require_writable(options.json)
    module = importlib.import_module("quietpet.commands.diff")
    return module.diff(
        options.one,
        options.other,
        tolerance=options.tolerance,
        values_alone=options.values,
        json=options.json,
    )
