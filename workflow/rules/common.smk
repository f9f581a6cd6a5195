# The validated study, and the helpers that turn it into rule parameters.

import os
import shlex
from pathlib import Path

from quietpet.config.datasets import SPLITS
from quietpet.errors import InputError
from quietpet.learning import Training, training_data
from quietpet.methods.registry import code_of
from quietpet.projection.engines import require_usable
from quietpet.files.text import read_json
from quietpet.fingerprint.walk import fingerprint
from quietpet.study.domains import PHANTOM
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


def one_of(names):
    """Wildcard constraint: any of ``names``; without names, nothing."""
    return "|".join(names) or "(?!)"


def folder_of(names):
    """Wildcard constraint: a folder called one of ``names``, or no folder at all."""
    return f"(({one_of(names)})/)?"


def named(files):
    """Params function: all files of "input" or "output" as arguments, under the names of the rule."""
    return lambda wildcards, input, output: [
        f"{name}={path}"
        for name, paths in (input if files == "input" else output).items()
        for path in ([paths] if isinstance(paths, str) else paths)
    ]


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


def settings(stage):
    """Params function: the JSON settings of the job that these wildcards name."""
    return lambda wildcards: settings_for(
        STUDY, stage, **{name: Path(value).name for name, value in wildcards.items()}
    )


def code(stage):
    """Params function: fingerprint of the code and tables that a stage reaches; their edits re-run it."""
    return lambda wildcards: fingerprint(f"stages.{stage}")


def method_code(stage):
    """Params function: the same, with the code of the wildcard's method."""
    return lambda wildcards: fingerprint(
        f"stages.{stage}", *code_of(STUDY.methods[wildcards.method])
    )
