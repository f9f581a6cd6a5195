# The validated study, and the helpers that turn it into rule parameters.

import glob
import math
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from quietpet.chain import THEN
from quietpet.config.datasets import SPLITS
from quietpet.errors import InputError
from quietpet.gpus import asked_device, networks_run_on, usable_gpus
from quietpet.slurm import require_gpus, require_states
from quietpet.study.trainings import Training, training_data
from quietpet.projection.engines import require_usable
from quietpet.files.text import read_json
from quietpet.outputs.digests import read_by_people, require_as_made
from quietpet.fingerprint.walk import fingerprint
from quietpet.config.domains import PHANTOM
from quietpet.steps import STEPS
from quietpet.study.dose_amounts import crossed, dose_amounts
from quietpet.study.folders import CACHE_VARIABLE, absolute_cache, with_paths_from
from quietpet.study.realisations import restored_together
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of, settings_for
from quietpet.study.select_learning import PLANNED_REPLICATE
from quietpet.study.storage import keeps_all

# Commands stand in place of their shell, which SIGTERM to all processes would end at once: Snakemake waits until a
# training has kept its state.
shell.prefix("set -euo pipefail; exec ")

# As seen from the working directory, so that a project that is moved with its checkout runs nothing again.
SOURCES = os.path.relpath(Path(workflow.basedir) / "workflow" / "sources.tsv")


def image_with_sirf():
    """The image in which steps that project run, from QUIETPET_SIRF_IMAGE; None where they run like all others.

    It is a file, or an address that Apptainer pulls. `envs/containers.md` says how to make one.
    """
    image = os.environ.get("QUIETPET_SIRF_IMAGE")
    if not image:
        return None
    if DeploymentMethod.APPTAINER not in workflow.deployment_settings.deployment_method:
        raise WorkflowError(
            f"QUIETPET_SIRF_IMAGE={image!r}, but only Snakemake's --sdm apptainer runs steps in images. Add it to the "
            "command, or unset the variable."
        )
    if "://" not in image and not Path(image).is_file():
        raise WorkflowError(
            f"QUIETPET_SIRF_IMAGE={image!r} is no file. Name an Apptainer image (envs/containers.md says how to make "
            "one), or an address such as docker://..."
        )
    return image if "://" in image else os.path.abspath(image)


SIRF_IMAGE = image_with_sirf()


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
        if not SIRF_IMAGE:
            require_usable(study.scanner.projector)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return study


STUDY = checked_study()


def require_unchanged_results():
    """Refuse tables and scores that were changed since they were made: people read them, and where all is up to date no
    job does. Each other file is looked at by the step that reads it."""
    if not workflow.is_main_process:
        return
    try:
        require_as_made(read_by_people())
    except InputError as error:
        raise WorkflowError(str(error)) from None


require_unchanged_results()


def require_writable_folders():
    """Refuse a working directory that cannot be written to, or a folder of a step in it, before Snakemake does it
    with a traceback."""
    if not workflow.is_main_process or workflow.dryrun:
        return
    of_steps = glob.glob("results/*/", include_hidden=True) + glob.glob("logs/*/")
    for folder in (".", ".snakemake", "results", "logs", *of_steps):
        if os.path.exists(folder) and not os.access(folder, os.W_OK):
            raise WorkflowError(
                f"{os.path.abspath(folder)}: cannot be written to. Make it writable, or name another working "
                "directory with --directory."
            )


require_writable_folders()


# What jobs of a cluster are told: another Snakemake reads this file there, and must not decide anew.
LENT_VARIABLE = "QUIETPET_GPUS_OF_A_NETWORK"
ON_CLUSTER = workflow.nodes is not None


def gpus_of_a_network():
    """GPUs that a job asks for which trains or applies a network: one, if there is one.

    The GPUs of this machine, or the N of `resources: [gpu=N]` of the command line or a profile, are shared: as many
    such jobs run at a time. A cluster has those that are asked for in this way. For more GPUs than one `set-resources`
    says it instead.
    """
    if not workflow.is_main_process:
        return int(os.environ.get(LENT_VARIABLE, 0))
    limits = workflow.global_resources
    try:
        if "gpu" in limits and asked_device() != "cpu":
            gpus = limits["gpu"].value
        elif ON_CLUSTER:
            gpus = 0
        elif gpus := usable_gpus():
            workflow.register_resource("gpu", gpus)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    for rule, wanted in workflow.resource_settings.overwrite_resources.items():
        if gpus and "gpu" in wanted and wanted["gpu"].value > gpus:
            raise WorkflowError(f"--set-resources {rule}:gpu={wanted['gpu'].value}, but there are {gpus} GPUs.")
    logger.info(networks_run_on(gpus, cluster=ON_CLUSTER))
    os.environ[LENT_VARIABLE] = str(min(1, gpus))
    return min(1, gpus)


NETWORK_GPUS = gpus_of_a_network()


envvars:
    LENT_VARIABLE,


def network_gpus(wildcards):
    """Resources function: GPUs of a job that computes with the wildcards' method."""
    method = STUDY.methods[wildcards.method]
    return NETWORK_GPUS if method.trained or method.reconstructs else 0


def image_of_method(wildcards):
    """Container function: where the wildcards' method runs, which may project."""
    return SIRF_IMAGE if STUDY.methods[wildcards.method].reconstructs else None


def network_threads(wildcards):
    """Threads function: one, and one more that prepares what a GPU computes."""
    return 1 + network_gpus(wildcards)


def require_cluster():
    """Refuse a Slurm cluster that would not say when jobs have ended, or that has no GPUs where some are asked for."""
    if not ON_CLUSTER or workflow.executor_plugin.name != "slurm":
        return
    asked = workflow.executor_settings
    try:
        require_states(asked.status_command, seconds=asked.init_seconds_before_status_checks)
        if NETWORK_GPUS:
            require_gpus()
    except InputError as error:
        raise WorkflowError(str(error)) from None


onstart:
    require_cluster()


# Of the mMR, whose scans have the most.
PLANES_OF_A_SCAN = 127


def megapixels():
    """Millions of pixels of the largest packed data set; of scans, whose planes are not known yet, at most."""
    side = max(STUDY.scanner.image_pixels, STUDY.datasets.pixels or 0)
    planes = {
        name: len(each.study.slices.indices) * each.study.slices.rotations
        for name, each in STUDY.simulated.items()
    }
    slices = [
        planes.get(name, PLANES_OF_A_SCAN) * len(getattr(each.splits_of(setting), split))
        for name, each in STUDY.data_sets.items()
        for setting in each.settings
        for split in SPLITS
    ]
    return max(slices) * side**2 / 1e6


MEGAPIXELS = megapixels()


def growing(fixed, per_megapixel=0):
    """Resources function: megabytes, or minutes, of a job: ``fixed``, and more of larger data sets.

    Each further attempt has as much again: one that was killed for its memory or its time comes further.
    """
    wanted = math.ceil(fixed + per_megapixel * MEGAPIXELS)
    return lambda wildcards, attempt: attempt * wanted


# Minutes.
LONGEST_TRAINING = 2880


def training_minutes(wildcards, attempt):
    """Resources function: minutes of a training, five times what the slowest small network takes on one core.

    Two days at most: a training that was stopped goes on from its last checkpoint when it is tried again.
    """
    if not STUDY.methods[wildcards.method].trained:
        return 60 * attempt
    training = job_of(STUDY, "fit", **names_of(wildcards)).training
    side = training.patch_pixels or STUDY.inference.pixels
    seconds = 1e-4 * training.iterations * training.batch_size * side**2
    return min(LONGEST_TRAINING, attempt * math.ceil(30 + seconds / 60))


def one_job(group):
    """Group of jobs that a cluster runs as one, because each is about as long as the start of a job there."""
    return group if ON_CLUSTER else None


# Whether several tasks of Slurm share each training: `set-resources` give `fit` mpi=srun, as Snakemake calls it.
TRAINS_IN_TASKS = "mpi" in workflow.resource_settings.overwrite_resources.get("fit", {})


def srun_of_training(wildcards, resources, threads):
    """Params function: what starts a training as several tasks; nothing where one process trains.

    It depends on resources, so that Snakemake does not train again when they change.
    """
    if not TRAINS_IN_TASKS or not STUDY.methods[wildcards.method].trained:
        return ""
    asked = dict(resources.items())
    if str(asked["mpi"]).split()[:1] != ["srun"]:
        raise WorkflowError(
            f"--set-resources fit:mpi={asked['mpi']}, but srun starts the tasks of a training; give mpi=srun."
        )
    layout = {
        "nodes": asked.get("nodes"),
        "ntasks": asked.get("tasks"),
        "ntasks-per-node": asked.get("tasks_per_node"),
        "cpus-per-task": threads,
        "kill-on-bad-exit": 1,
    }
    options = [f"--{name}={number}" for name, number in layout.items() if number]
    return " ".join([asked["mpi"], *options, ""])


# Iterations.
SHORT_TRAINING = 1000


def with_its_training():
    """Group of a training with what its weights restore, if it lasts minutes and wants no GPU and no tasks; else
    None."""
    short = STUDY.training.iterations <= SHORT_TRAINING
    return one_job("training") if short and not NETWORK_GPUS and not TRAINS_IN_TASKS else None


def all_stays():
    """Whether outputs stay that nothing waits for any more."""
    try:
        return keeps_all()
    except InputError as error:
        raise WorkflowError(str(error)) from None


ALL_STAYS = all_stays()


def intermediate(output):
    """An output that many slices make large, and that another run makes again."""
    return output if ALL_STAYS else temp(output)


def one_of(names):
    """Wildcard constraint: any of ``names``; without names, nothing."""
    return "|".join(names) or "(?!)"


def folder_of(names):
    """Wildcard constraint: a folder called one of ``names``, or no folder at all."""
    return f"(({one_of(names)})/)?"


def restoring_rule(dataset, settings):
    """Name of the rule that restores ``settings`` of a data set of scans; it has them if they are not all.

    No label has a hyphen, so that each name is there once.
    """
    some = () if settings == dataset.settings else settings
    return "-".join([f"restore_{dataset.name}", *some])


RESTORED_TOGETHER = {
    restoring_rule(dataset, each.settings): (dataset.name, each)
    for dataset in STUDY.scanned.values()
    for each in dataset.restored_together
}


REALISATIONS_TOGETHER = restored_together(STUDY)


def rule_as_another(rule, name):
    """What `--set-resources` and `--set-threads`, or a profile, say of ``rule`` they say of ``name``, too.

    So a profile need not know the data sets of a study. What they say of ``name`` itself comes first.
    """
    asked = workflow.resource_settings
    if rule in asked.overwrite_threads:
        asked.overwrite_threads.setdefault(name, asked.overwrite_threads[rule])
    if rule in asked.overwrite_resources:
        resources = asked.overwrite_resources[rule].copy()
        resources.update(asked.overwrite_resources.get(name, {}))
        asked.overwrite_resources[name] = resources


# Before the first rule: Snakemake then reads them.
for name in (*RESTORED_TOGETHER, *REALISATIONS_TOGETHER, "cohort_restore", "crossed_restore"):
    rule_as_another("restore", name)


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
BEFOREHAND = {"tree", "own", "manifest"}


class Link(NamedTuple):
    """One step of the chain that a job runs.

    Where the job does its steps for each of several settings or methods, ``tag`` tells these apart, and ``own`` are
    the names of the step's job that no wildcard has.
    """

    step: str
    tag: str = ""
    own: dict = {}

    @property
    def label(self):
        """What its params begin with."""
        return f"{self.step}_{self.tag}" if self.tag else self.step

    def aliases(self, name):
        """How a rule may call its files ``name``: 2min_test in a job of several settings; else score_test, as where
        two steps have the name, or test."""
        return [f"{self.tag}_{name}"] if self.tag else [f"{self.step}_{name}", name]

    def names(self, given):
        """Names of its job that no wildcard has."""
        return {**given, **self.own}


def links_of(steps, of):
    """The chain of ``steps`` for each ``of`` the settings, or of the tags with the names that they stand for."""
    if not isinstance(of, dict):
        of = {setting: {"setting": setting} if setting else {} for setting in of}
    return [Link(step, tag, own) for tag, own in of.items() for step in steps]


# Where several steps are one job, outputs of the earlier ones are flagged `update`: they stay where they are
# while it runs, and a step whose files are as it would make them is not repeated.
def job(*steps, of=("",), rerun=True, **names):
    """Params of a rule that runs ``steps``, for each ``of`` the settings or tags if they are given.

    They are settings, fingerprints and files, all as the table of steps says. ``names`` are those of the job that
    no wildcard has. Without ``rerun`` an edit of code runs nothing again.
    """
    links = links_of(steps, of)
    return {
        f"{link.label}_{what}": param
        for number, link in enumerate(links)
        for what, param in {
            "settings": settings(link.step, **link.names(names)),
            **({"code": code_of_step(link.step, **link.names(names))} if rerun else {}),
            "inputs": input_files(links, number),
            "outputs": output_files(links, number),
        }.items()
    }


def command(*steps, of=("",), told=False, start=""):
    """Shell command of a rule with the params :func:`job`; if ``told``, its log is on the terminal too.

    ``start`` is what comes before it."""
    limits = " --threads {threads} --gpus {resources.gpu}"
    words = [
        f"{link.step}{'' if number else limits} --settings {{params.{link.label}_settings:q}}"
        f"{f' --in {{params.{link.label}_inputs:q}}' if STEPS[link.step].inputs else ''}"
        f" --out {{params.{link.label}_outputs:q}}"
        for number, link in enumerate(links_of(steps, of))
    ]
    log = "2>&1 | tee {log} >&2" if told else "2> {log}"
    return f"{start}quietpet {f' {THEN} '.join(words)} {log}"


def settings(step, **names):
    """Params function: the JSON settings of the job that these wildcards, and ``names``, name."""
    return lambda wildcards: settings_for(
        STUDY, step, **names_of(wildcards), **names
    )


def input_files(links, number):
    """Params function: what one of the ``links`` of a rule reads, as arguments in the order of the table.

    It is what an earlier one of its tag makes, or an input of the rule.
    """
    this = links[number]
    before = [link for link in links[:number] if link.tag == this.tag]

    def arguments(wildcards, input, output):
        require_known(links, "inputs", input)
        found = {file.name: of_name(input, this, file.name) for file in STEPS[this.step].inputs}
        for link in before:
            for file in STEPS[link.step].outputs:
                if file.name in found:
                    found[file.name] = of_name(output, link, file.name)
        return as_arguments(found)

    return arguments


def output_files(links, number):
    """Params function: what one of the ``links`` of a rule writes, in the same way."""
    this = links[number]

    def arguments(wildcards, input, output):
        require_known(links, "outputs", output)
        return as_arguments(
            {file.name: of_name(output, this, file.name) for file in STEPS[this.step].outputs}
        )

    return arguments


def of_name(files, link, name):
    """Files of a rule that are those called ``name`` of ``link``."""
    given = dict(files.items())
    found = next((given[alias] for alias in link.aliases(name) if alias in given), [])
    return [found] if isinstance(found, str) else found


def as_arguments(files):
    return [f"{name}={path}" for name, paths in files.items() for path in paths]


def require_known(links, kind, given):
    """Refuse names of a rule's files that none of its ``links`` has."""
    known = BEFOREHAND | {
        alias
        for link in links
        for file in getattr(STEPS[link.step], kind)
        for alias in link.aliases(file.name)
    }
    if unknown := {name for name, _ in given.items()} - known:
        steps = dict.fromkeys(link.step for link in links)
        raise WorkflowError(f"{' and '.join(steps)}: no {kind} called {', '.join(unknown)}")


def code_of_step(step, **names):
    """Params function: fingerprint of the code and tables that a step reaches; their edits re-run it.

    Among them is the code that the job's settings name: its method, its projector.
    """

    def code(wildcards):
        job = job_of(STUDY, step, **names_of(wildcards), **names)
        return fingerprint(f"stages.{step}", *job.named_code)

    return code
