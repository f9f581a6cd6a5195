"""``quietpet validate`` and ``quietpet schema`` on the command line."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from quietpet.projection.engines import require_usable


def add_validate(verbs: argparse._SubParsersAction) -> None:
    """Add its arguments."""
    verb = verbs.add_parser("validate", help="Check a configuration, print it in full and explain it.")
    verb.add_argument("configfile", type=Path)
    verb.set_defaults(command=_validate)


def _validate(options: argparse.Namespace) -> None:
    reading = importlib.import_module("quietpet.study.reading")
    study = reading.load_study(reading.read_yaml(options.configfile), origin=str(options.configfile))
    require_usable(study.scanner.projector)
    print(study.model_dump_json(indent=2))
    print(study.describe(), file=sys.stderr)
    for note in importlib.import_module("quietpet.study.physics").physics_notes(study):
        print(f"Note: {note}.", file=sys.stderr)
    for doubt in importlib.import_module("quietpet.study.doubts").doubts(study):
        print(f"quietpet: warning: {options.configfile}: {doubt}.", file=sys.stderr)


def add_schema(verbs: argparse._SubParsersAction) -> None:
    """Add the verb, which takes no arguments."""
    verb = verbs.add_parser("schema", help="Print the JSON schema of the configuration.")
    verb.set_defaults(command=_print_schema)


def _print_schema(_: argparse.Namespace) -> None:
    print(json.dumps(importlib.import_module("quietpet.study.reading").json_schema(), indent=2))
