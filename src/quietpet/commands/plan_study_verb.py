"""``quietpet plan-study`` on the command line."""

from __future__ import annotations

import argparse
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from quietpet.commands.arguments import count, number, positive
from quietpet.files.atomic import require_writable

if TYPE_CHECKING:
    from quietpet.forecast.pace import JobReader


def add_plan_study(verbs: argparse._SubParsersAction, *, job_of: JobReader) -> None:
    """Add its arguments; ``job_of`` is that of :func:`quietpet.commands.plan_study.plan_study`."""
    verb = verbs.add_parser(
        "plan-study",
        help="Say what a study will cost before it runs: jobs, core hours, memory, disk, network.",
        description="Say what a study of any size will cost before it runs, from measured costs of its "
        "steps: jobs, core hours and GPU hours, memory of a job, disk, network traffic, and the time it "
        "takes on so many cores. The jobs are those of Snakemake's dry run of a study of which nothing "
        "is made yet.",
    )
    verb.add_argument("configfile", type=Path)
    verb.add_argument(
        "targets",
        nargs="*",
        metavar="target",
        help="files to be made (default: all that rule all asks for)",
    )
    verb.add_argument("--cores", type=positive, default=1, help="CPU cores (default: 1)")
    verb.add_argument("--gpus", type=count, default=0, help="GPUs, one for each network (default: 0)")
    verb.add_argument(
        "--gpu-tflops",
        type=_speed,
        default=10.0,
        metavar="X",
        help="TFLOP that a GPU does of a network in a second, in the mean (default: 10, assumed and not "
        "measured)",
    )
    verb.add_argument(
        "--like",
        type=Path,
        metavar="FOLDER",
        help="working directory of a study that ran on this machine, such as a tiny one: costs are "
        "scaled by what its jobs took (default: those of the machine that they were measured on)",
    )
    verb.add_argument(
        "--snakefile",
        type=Path,
        help="of the workflow (default: that of this folder, or of the checkout)",
    )
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the plan as JSON")
    verb.set_defaults(command=functools.partial(_plan_study, job_of=job_of))


def _speed(text: str) -> float:
    speed = number(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return speed


def _plan_study(options: argparse.Namespace, *, job_of: JobReader) -> None:
    if options.json:
        require_writable(options.json)
    module = importlib.import_module("quietpet.commands.plan_study")
    machine = importlib.import_module("quietpet.forecast.plan").Machine(
        cores=options.cores, gpus=options.gpus, gpu_tflop_per_s=options.gpu_tflops
    )
    module.plan_study(
        options.configfile,
        options.targets,
        machine=machine,
        like=options.like,
        snakefile=options.snakefile,
        json=options.json,
        job_of=job_of,
    )
