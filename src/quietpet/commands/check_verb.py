"""``quietpet check`` on the command line: one check of each engine."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import get_args

from quietpet.commands.arguments import limit_threads, positive
from quietpet.config.scanner import PROJECTORS, StirProjector
from quietpet.files.atomic import require_writable
from quietpet.geometry.scanner import SCANNERS


def add_check(verbs: argparse._SubParsersAction) -> None:
    """Add its arguments, by what is checked."""
    verb = verbs.add_parser("check", help="Check that an engine computes what it should, in a minute.")
    checks = verb.add_subparsers(required=True, metavar="what")
    _add_projector(checks)
    _add_registration(checks)


def _add_projector(checks: argparse._SubParsersAction) -> None:
    check = checks.add_parser("projector", help="SIRF against the embedded one, or this one alone")
    check.add_argument("--scanner", choices=SCANNERS, default="siemens_mmr")
    check.add_argument("--projector", choices=PROJECTORS, help="this engine alone, with closed forms")
    check.add_argument("--rays", type=int, choices=range(1, 65), default=1, metavar="N", help="per bin")
    check.add_argument(
        "--stir-projector",
        choices=get_args(StirProjector),
        default="ray_tracing",
        help="SIRF's projector; parallelproj is compared with closed forms",
    )
    check.add_argument("--threads", type=positive, default=1, help="CPU threads")
    check.set_defaults(command=_check_projector)


def _check_projector(options: argparse.Namespace) -> int:
    limit_threads(options.threads)
    check = importlib.import_module("quietpet.commands.check_projector")
    passed = check.check_projector(
        options.scanner,
        rays=options.rays,
        name=options.projector,
        stir_projector=options.stir_projector,
    )
    return 0 if passed else 1


def _add_registration(checks: argparse._SubParsersAction) -> None:
    check = checks.add_parser(
        "registration", help="SPM12 against the embedded engine on one scan: millimetres between them"
    )
    check.add_argument("--pet", type=Path, required=True, help="3-D NIfTI, the long image")
    check.add_argument("--t1", type=Path, required=True, help="3-D NIfTI")
    check.add_argument("--engine", choices=["spm12", "embedded"], help="only this one")
    check.add_argument("--figure", type=Path, metavar="PNG", help="edges of T1 over PET, per engine")
    check.add_argument("--threads", type=positive, default=1, help="CPU threads")
    check.set_defaults(command=_check_registration)


def _check_registration(options: argparse.Namespace) -> int:
    if options.figure:
        require_writable(options.figure)
    limit_threads(options.threads)
    check = importlib.import_module("quietpet.commands.check_registration")
    passed = check.check_registration(
        pet=options.pet, t1=options.t1, engine=options.engine, figure=options.figure
    )
    return 0 if passed else 1
