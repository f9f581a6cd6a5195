"""The command line: one verb per pipeline stage, the same arguments for each.

``quietpet <stage> --settings '<json>' --in name=path ... --out name=path ...`` is what the Snakemake
rules run, what every log begins with, and what one pastes to debug a job; ``then`` joins several.
Results depend on settings, inputs and code alone.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import os
import shlex
import signal
import stat
import sys
import time
import warnings
from collections.abc import Sequence

from quietpet import __version__
from quietpet.chain import THEN, Link, code_now, require_usable, run_chain, split_at_then
from quietpet.commands.arguments import count, limit_threads, positive
from quietpet.commands.audit_verb import add_audit
from quietpet.commands.check_verb import add_check
from quietpet.commands.configuration_verbs import add_schema, add_validate
from quietpet.commands.diff_verb import add_diff
from quietpet.commands.plan_study_verb import add_plan_study
from quietpet.commands.prune_verb import add_prune
from quietpet.errors import FULL, InputError, remedy, why
from quietpet.forecast.jobs import Part, StudyJob
from quietpet.gpus import DEVICE_VARIABLE, PROCESSES_VARIABLE
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
    add_validate(verbs)
    add_check(verbs)
    add_audit(verbs)
    add_diff(verbs)
    add_prune(verbs, code_now=code_now)
    add_plan_study(verbs, job_of=job_of_command)
    add_schema(verbs)
    return parser


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
    verb.add_argument("--threads", type=positive, help="CPU threads this job may use (default: 1)")
    verb.add_argument("--gpus", type=count, help="GPUs this job may use (default: what there is)")
    verb.set_defaults(command=_run_steps, stage=step.name)


def _files_in_words(option: str, files: Sequence[NamedFile]) -> str:
    lines = [f"  {file.usage:<26} {file.content}\n" for file in files]
    return f"files of {option} (in brackets: may be left out):\n{''.join(lines)}" if files else ""


def _run_steps(options: argparse.Namespace) -> None:
    began = time.monotonic()
    limit_threads(options.threads)
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


if __name__ == "__main__":
    sys.exit(main())
