"""The command line: one verb per pipeline stage, the same arguments for each.

``quietpet <stage> --settings '<json>' --in name=path ... --out name=path ...`` is what the Snakemake
rules run, what every log begins with, and what one pastes to debug a job; ``then`` joins several.
Results depend on settings, inputs and code alone.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import logging
import os
import shlex
import signal
import stat
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from quietpet import __version__
from quietpet.chain import THEN, Link, code_now, require_usable, run_chain, split_at_then
from quietpet.config.scanner import PROJECTORS, StirProjector
from quietpet.errors import FULL, InputError, remedy, why
from quietpet.files.atomic import require_writable
from quietpet.forecast.jobs import Part, StudyJob
from quietpet.geometry.scanner import SCANNERS
from quietpet.gpus import DEVICE_VARIABLE, PROCESSES_VARIABLE
from quietpet.projection.engines import require_usable as require_usable_engine
from quietpet.steps import STEPS, NamedFile, Step
from quietpet.tasks import is_first, is_first_here
from quietpet.usage import usage

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0: done, 1: unusable input or a failed check, 2: wrong usage. Those of `diff` are those of diff(1).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parsed(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Of processes that share a training one tells of it, and one on each node what stops it.
    shared = "stage" in options
    if shared and not is_first():
        logging.disable(logging.INFO)
        warnings.simplefilter("ignore")
    # A scheduler's SIGTERM ends the command as an exception, so that half-written files are removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        status = options.command(options) or 0
        sys.stdout.flush()
        return status
    except InputError as error:
        return _failed("" if shared and not is_first_here() else str(error), options)
    except BrokenPipeError:  # who read the output has had enough, as `head` has
        _drop_output()
        return 128 + signal.SIGPIPE
    except (OSError, RuntimeError, MemoryError) as error:
        _log_traceback()
        return _failed(_in_one_sentence(error, options), options)
    except KeyboardInterrupt:
        print("quietpet: interrupted; the same command goes on where it was", file=sys.stderr)
        return 128 + signal.SIGINT


def _failed(sentence: str, options: argparse.Namespace) -> int:
    if sentence:
        print(f"quietpet: error: {sentence}", file=sys.stderr)
    return options.trouble if "trouble" in options else 1


def _in_one_sentence(error: Exception, options: argparse.Namespace) -> str:
    """What stopped the command: with the file, or with the outputs that were to be made."""
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike):
        return f"{os.fsdecode(error.filename)}: {why(error)}{remedy(error)}"
    job = _job_in_words(options) if "stage" in options else "this command"
    if isinstance(error, OSError):
        if error.errno in FULL and "stage" not in options:
            _drop_output()
            job = "standard output"
        return f"{job}: {why(error)}{remedy(error)}"
    reason = next(iter(str(error).strip().splitlines()), "") or "no memory is left"
    return f"{job} stopped: {reason.rstrip('.')} ({type(error).__name__})."


def _job_in_words(options: argparse.Namespace) -> str:
    """The step that runs, or the first that is to run, and its files."""
    if "running" not in options:
        return f"{options.stage} ({' '.join(options.outputs)})"
    link: Link = options.running
    return f"{link.step.name} ({link.outputs})"


def _log_traceback() -> None:
    """Where standard error is a file, as for jobs of the workflow, it is a log for programmers too."""
    try:
        is_log = stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or no file at all
        return
    if is_log:
        logger.exception("what led to the error below")


def _drop_output() -> None:
    """Let Python's last attempt to write standard output, at exit, succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command; of several steps those of the first, with the others in ``then``."""
    parser = _parser()
    if not arguments or arguments[0] not in STEPS:
        return parser.parse_args(arguments, argparse.Namespace(arguments=arguments))
    first, *others = split_at_then(arguments)
    options = parser.parse_args(first, argparse.Namespace(arguments=arguments, then=[]))
    for words in others:
        if not words or words[0] not in STEPS:
            parser.error(f"after {THEN!r} comes a step, with its --settings, --in and --out")
        options.then.append(later := parser.parse_args(words))
        if later.threads or later.gpus is not None:
            parser.error("--threads and --gpus are given with the first step, and hold for all")
    options.threads = options.threads or 1
    return options


def job_of_command(arguments: Sequence[str]) -> StudyJob:
    """The job that the arguments of a command of the workflow ask for; nothing is run.

    Raises:
        InputError: settings or files that a step does not take.
    """
    options = _parsed(arguments)
    parts = tuple(
        Part(step=link.step.name, job=link.job, inputs=link.inputs, outputs=link.outputs)
        for link in _links(options)
    )
    return StudyJob(parts=parts, threads=options.threads, gpus=options.gpus or 0)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="quietpet", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"quietpet {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="command")
    for step in STEPS.values():
        _add_step(verbs, step)
    verb = verbs.add_parser("validate", help="Check a configuration, print it in full and explain it.")
    verb.add_argument("configfile", type=Path)
    verb.set_defaults(command=_validate)
    verb = verbs.add_parser("check", help="Check that an engine computes what it should, in a minute.")
    _add_checks(verb.add_subparsers(required=True, metavar="what"))
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
    _add_diff(verbs)
    _add_prune(verbs)
    _add_plan(verbs)
    verb = verbs.add_parser("schema", help="Print the JSON schema of the configuration.")
    verb.set_defaults(command=_print_schema)
    return parser


def _add_diff(verbs: argparse._SubParsersAction) -> None:
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


def _add_prune(verbs: argparse._SubParsersAction) -> None:
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
    verb.set_defaults(command=_prune)


def _add_plan(verbs: argparse._SubParsersAction) -> None:
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
    verb.add_argument("--cores", type=_positive, default=1, help="CPU cores (default: 1)")
    verb.add_argument("--gpus", type=_count, default=0, help="GPUs, one for each network (default: 0)")
    verb.add_argument(
        "--gpu-tflops",
        type=_speed,
        default=10.0,
        metavar="X",
        help="TFLOP that a GPU does of a network in a second, in the mean (default: 10, assumed and not "
        "measured)",
    )
    verb.add_argument(
        "--snakefile",
        type=Path,
        help="of the workflow (default: that of this folder, or of the checkout)",
    )
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the plan as JSON")
    verb.set_defaults(command=_plan_study)


def _add_step(verbs: argparse._SubParsersAction, step: Step) -> None:
    verb = verbs.add_parser(
        step.name,
        help=step.summary,
        description=step.summary,
        epilog=_files_in_words("--in", step.inputs)
        + _files_in_words("--out", step.outputs)
        + f"after them, {THEN!r} and another step may follow, which may read what this one makes\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("--settings", required=True, help="JSON settings of this job")
    for option, name in (("--in", "inputs"), ("--out", "outputs")):
        verb.add_argument(
            option,
            dest=name,
            nargs="*",
            action="extend",
            default=[],
            metavar="NAME=PATH",
            help="see below",
        )
    verb.add_argument("--threads", type=_positive, help="CPU threads this job may use (default: 1)")
    verb.add_argument("--gpus", type=_count, help="GPUs this job may use (default: what there is)")
    verb.set_defaults(command=_run_steps, stage=step.name)


def _files_in_words(option: str, files: Sequence[NamedFile]) -> str:
    lines = [f"  {file.usage:<26} {file.content}\n" for file in files]
    return f"files of {option} (in brackets: may be left out):\n{''.join(lines)}" if files else ""


def _tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def _speed(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _positive(text: str) -> int:
    return _at_least(1, text)


def _count(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"{number} is less than {least}")
    return number


def _add_checks(checks: argparse._SubParsersAction) -> None:
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
    check.add_argument("--threads", type=_positive, default=1, help="CPU threads")
    check.set_defaults(command=_check_projector)
    check = checks.add_parser(
        "registration", help="SPM12 against the embedded engine on one scan: millimetres between them"
    )
    check.add_argument("--pet", type=Path, required=True, help="3-D NIfTI, the long image")
    check.add_argument("--t1", type=Path, required=True, help="3-D NIfTI")
    check.add_argument("--engine", choices=["spm12", "embedded"], help="only this one")
    check.add_argument("--figure", type=Path, metavar="PNG", help="edges of T1 over PET, per engine")
    check.add_argument("--threads", type=_positive, default=1, help="CPU threads")
    check.set_defaults(command=_check_registration)


def _run_steps(options: argparse.Namespace) -> None:
    began = time.monotonic()
    _limit_threads(options.threads)
    if options.gpus == 0:
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", DEVICE_VARIABLE: "cpu"}
    elif options.gpus:
        os.environ[PROCESSES_VARIABLE] = str(options.gpus)
    links = _links(options)
    require_usable(links)
    logger.info("quietpet %s", shlex.join(options.arguments))
    if options.gpus:  # before other imports, any of which may start CUDA
        importlib.import_module("quietpet.runtime.device").claim_gpus(options.gpus)
    for link in run_chain(links):
        options.running = link
    logger.info(usage(wall_s=time.monotonic() - began))


def _links(options: argparse.Namespace) -> list[Link]:
    return [
        Link.of(each.stage, settings=each.settings, inputs=each.inputs, outputs=each.outputs)
        for each in (options, *options.then)
    ]


def _limit_threads(threads: int) -> None:
    # Read by OpenMP and MKL when torch is first imported, which the stage modules do.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)


def _check_projector(options: argparse.Namespace) -> int:
    _limit_threads(options.threads)
    check = importlib.import_module("quietpet.commands.check_projector")
    passed = check.check_projector(
        options.scanner,
        rays=options.rays,
        name=options.projector,
        stir_projector=options.stir_projector,
    )
    return 0 if passed else 1


def _check_registration(options: argparse.Namespace) -> int:
    if options.figure:
        require_writable(options.figure)
    _limit_threads(options.threads)
    check = importlib.import_module("quietpet.commands.check_registration")
    passed = check.check_registration(
        pet=options.pet, t1=options.t1, engine=options.engine, figure=options.figure
    )
    return 0 if passed else 1


def _audit(options: argparse.Namespace) -> int:
    for report in filter(None, (options.html, options.json)):
        require_writable(report)
    audit = importlib.import_module("quietpet.commands.audit")
    passed = audit.audit_tree(
        options.root, html=options.html, json=options.json, read_images=options.read_images
    )
    return 0 if passed else 1


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


def _prune(options: argparse.Namespace) -> None:
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


def _plan_study(options: argparse.Namespace) -> None:
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
        snakefile=options.snakefile,
        json=options.json,
        job_of=job_of_command,
    )


def _print_schema(_: argparse.Namespace) -> None:
    print(json.dumps(importlib.import_module("quietpet.study.reading").json_schema(), indent=2))


def _validate(options: argparse.Namespace) -> None:
    reading = importlib.import_module("quietpet.study.reading")
    study = reading.load_study(reading.read_yaml(options.configfile), origin=str(options.configfile))
    require_usable_engine(study.scanner.projector)
    print(study.model_dump_json(indent=2))
    print(study.describe(), file=sys.stderr)
    for note in importlib.import_module("quietpet.study.physics").physics_notes(study):
        print(f"Note: {note}.", file=sys.stderr)
    for doubt in importlib.import_module("quietpet.study.doubts").doubts(study):
        print(f"quietpet: warning: {options.configfile}: {doubt}.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
