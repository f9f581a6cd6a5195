# The validated study, and the helpers that turn it into rule parameters.

import os
import shlex
from pathlib import Path

from snakemake.logging import logger

from quietpet.chain import THEN
from quietpet.config.datasets import SPLITS
from quietpet.errors import InputError
from quietpet.gpus import asked_device, networks_run_on, usable_gpus
from quietpet.study.trainings import Training, training_data
from quietpet.projection.engines import require_usable
from quietpet.files.text import read_json
from quietpet.fingerprint.walk import fingerprint
from quietpet.config.domains import PHANTOM
from quietpet.steps import STEPS
from quietpet.study.folders import CACHE_VARIABLE, absolute_cache, with_paths_from
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of, settings_for
from quietpet.study.select_learning import PLANNED_REPLICATE

# As seen from the working directory, so that a project that is moved with its checkout runs nothing again.
SOURCES = os.path.relpath(Path(workflow.basedir) / "workflow" / "sources.tsv")


def checked_study():
    """The study of the configuration; a mistake ends Snakemake with one sentence per wrong key.

    Snakemake has parsed the files already, and of a key that stands twice it has kept one in silence.
    Folders are relative to the file, or to the last of several.
    """
    try:
        for path in workflow.configfiles:
            read_yaml(Path(path))
        study = load_study(config, origin=" + ".join(map(str, workflow.configfiles)))
        study = with_paths_from(Path(workflow.configfiles[-1]), study)
        require_usable(study.scanner.projector)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return study


STUDY = checked_study()


def gpus_of_a_network():
    """GPUs that a job asks for which trains or applies a network: one, if there is one.

    The GPUs of this machine, or the N of `--resources gpu=N`, are shared: as many such jobs run at a time.
    On a cluster, and for more GPUs than one, `set-resources` says it instead.
    """
    if workflow.nodes is not None or not workflow.is_main_process:
        return 0
    limits = workflow.global_resources
    try:
        if "gpu" in limits and asked_device() != "cpu":
            gpus = limits["gpu"].value
        elif gpus := usable_gpus():
            workflow.register_resource("gpu", gpus)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    for rule, wanted in workflow.resource_settings.overwrite_resources.items():
        if gpus and "gpu" in wanted and wanted["gpu"].value > gpus:
            raise WorkflowError(f"--set-resources {rule}:gpu={wanted['gpu'].value}, but there are {gpus} GPUs.")
    logger.info(networks_run_on(gpus))
    return min(1, gpus)


NETWORK_GPUS = gpus_of_a_network()


def network_gpus(wildcards):
    """Resources function: GPUs of a job that computes with the wildcards' method."""
    method = STUDY.methods[wildcards.method]
    return NETWORK_GPUS if method.trained or method.reconstructs else 0


def network_threads(wildcards):
    """Threads function: one, and one more that prepares what a GPU computes."""
    return 1 + network_gpus(wildcards)


def one_of(names):
    """Wildcard constraint: any of ``names``; without names, nothing."""
    return "|".join(names) or "(?!)"


def folder_of(names):
    """Wildcard constraint: a folder called one of ``names``, or no folder at all."""
    return f"(({one_of(names)})/)?"


DATASETS = STUDY.data_sets
STAGES = one_of(STUDY.learning.stages if STUDY.learning else [])


wildcard_constraints:
    subject=r"[A-Za-z0-9+]+",
    dose=one_of(
        {
            level
            for each in STUDY.simulated.values()
            for level in each.study.doses.levels
        }
    ),
    dataset=one_of(DATASETS),
    setting=one_of({name for each in DATASETS.values() for name in each.settings}),
    cohort=one_of(STUDY.standin.cohorts if STUDY.standin else []),
    participant=r"[A-Za-z0-9+]+",
    split="|".join(SPLITS),
    method="|".join(STUDY.methods),
    # Stages that led to weights, and the regime that these restore under; empty for a plain training.
    stages=folder_of([f"({STAGES})(-({STAGES}))*"]),
    regime=folder_of(STUDY.learning.regimes if STUDY.learning else []),
    replicate=r"r\d+",


# Priority of what makes phantoms' data: the longest trainings learn from them, and others go on from there.
BEFORE_SCANS = 1


def names_of(wildcards):
    """The names that wildcards hold, without the slash of those that are folders."""
    return {name: Path(value).name for name, value in wildcards.items()}


# Inputs of rules that are no files of their step: what must be there, or be unchanged, before it.
BEFOREHAND = {"tree", "own", "manifest", "sampling"}


# Where several steps are one job, outputs of the earlier ones are flagged `update`: they stay where they are
# while it runs, and a step whose files are as it would make them is not repeated.
def job(*steps, rerun=True, **names):
    """Params of a rule that runs ``steps``: settings, fingerprints and files, all as the table of steps says.

    ``names`` are those of the job that no wildcard has. Without ``rerun`` an edit of code runs nothing again.
    """
    return {
        f"{step}_{what}": param
        for number, step in enumerate(steps)
        for what, param in {
            "settings": settings(step, **names),
            **({"code": code_of_step(step, **names)} if rerun else {}),
            "inputs": input_files(steps, number),
            "outputs": output_files(steps, number),
        }.items()
    }


def command(*steps, told=False):
    """Shell command of a rule with the params :func:`job`; if ``told``, its log is on the terminal too."""
    limits = " --threads {threads} --gpus {resources.gpu}"
    words = [
        f"{step}{'' if number else limits} --settings {{params.{step}_settings:q}}"
        f"{f' --in {{params.{step}_inputs:q}}' if STEPS[step].inputs else ''}"
        f" --out {{params.{step}_outputs:q}}"
        for number, step in enumerate(steps)
    ]
    log = "2>&1 | tee {log} >&2" if told else "2> {log}"
    return f"quietpet {f' {THEN} '.join(words)} {log}"


def settings(step, **names):
    """Params function: the JSON settings of the job that these wildcards, and ``names``, name."""
    return lambda wildcards: settings_for(
        STUDY, step, **names_of(wildcards), **names
    )


def input_files(steps, number):
    """Params function: what one of the ``steps`` of a rule reads, as arguments in the order of the table.

    It is what an earlier one makes, or an input of the rule.
    """

    def arguments(wildcards, input, output):
        require_known(steps, "inputs", input)
        found = {file.name: of_name(input, steps[number], file.name) for file in STEPS[steps[number]].inputs}
        for step in steps[:number]:
            for file in STEPS[step].outputs:
                if file.name in found:
                    found[file.name] = of_name(output, step, file.name)
        return as_arguments(found)

    return arguments


def output_files(steps, number):
    """Params function: what one of the ``steps`` of a rule writes, in the same way."""

    def arguments(wildcards, input, output):
        require_known(steps, "outputs", output)
        return as_arguments(
            {
                file.name: of_name(output, steps[number], file.name)
                for file in STEPS[steps[number]].outputs
            }
        )

    return arguments


def of_name(files, step, name):
    """Files that a rule calls ``<step>_<name>``, as where two of its steps have the name, or ``name``."""
    given = dict(files.items())
    found = given.get(f"{step}_{name}", given.get(name, []))
    return [found] if isinstance(found, str) else found


def as_arguments(files):
    return [f"{name}={path}" for name, paths in files.items() for path in paths]


def require_known(steps, kind, given):
    """Refuse names of a rule's files that none of its ``steps`` has."""
    names = [(step, file.name) for step in steps for file in getattr(STEPS[step], kind)]
    known = BEFOREHAND | {name for _, name in names} | {f"{step}_{name}" for step, name in names}
    if unknown := {name for name, _ in given.items()} - known:
        raise WorkflowError(f"{' and '.join(steps)}: no {kind} called {', '.join(unknown)}")


def code_of_step(step, **names):
    """Params function: fingerprint of the code and tables that a step reaches; their edits re-run it.

    Among them is the code that the job's settings name: its method, its projector.
    """

    def code(wildcards):
        job = job_of(STUDY, step, **names_of(wildcards), **names)
        return fingerprint(f"stages.{step}", *job.named_code)

    return code
