"""``quietpet audit`` on the command line."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from quietpet.files.atomic import require_writable


def add_audit(verbs: argparse._SubParsersAction) -> None:
    """Add its arguments."""
    verb = verbs.add_parser(
        "audit",
        help="Report what in a BIDS data set with PET, or in a folder of pairs, contradicts itself.",
        description="Report what in a BIDS data set with PET, or in a folder of pairs (one that has "
        "pairs.tsv), contradicts itself, with the evidence.",
        epilog="Exit status: 0 nothing is an error (there may be warnings and notes), 1 something is, "
        "or the folder is neither, 2 wrong usage.",
    )
    verb.add_argument("root", type=Path, help="folder of the data set; images may be missing")
    verb.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    verb.add_argument(
        "--read-images",
        action="store_true",
        help="read images to their end: checksums, NaN (slow); those of pairs are in any case",
    )
    verb.set_defaults(command=_audit)


def _audit(options: argparse.Namespace) -> int:
    for report in filter(None, (options.html, options.json)):
        require_writable(report)
    audit = importlib.import_module("quietpet.commands.audit")
    passed = audit.audit_tree(
        options.root, html=options.html, json=options.json, read_images=options.read_images
    )
    return 0 if passed else 1
