"""``quietpet plan-study``: what a study will cost, before it runs.

The jobs are those of Snakemake's dry run: grouping, stages of learning and whatever else rules decide
need no second account of them here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quietpet.errors import InputError
from quietpet.files.text import write_json
from quietpet.forecast.costs import Costs, read_costs
from quietpet.forecast.jobs import commands_in
from quietpet.forecast.pace import JobReader, pace_of
from quietpet.forecast.plan import Machine, Plan, as_json, as_lines, plan
from quietpet.forecast.traffic import traffic
from quietpet.gpus import DEVICE_VARIABLE
from quietpet.study.reading import load_study, read_yaml

SNAKEFILE = "Snakefile"
_CHECKOUT = Path(__file__).parents[3]

_PROFILE_VARIABLE = "SNAKEMAKE_PROFILE"
"""Names a profile, which may group the jobs of a cluster; those of one machine are planned."""


def plan_study(
    configfile: Path,
    targets: Sequence[str],
    *,
    machine: Machine,
    like: Path | None,
    snakefile: Path | None,
    json: Path | None,
    job_of: JobReader,
) -> None:
    """Print what the study of ``configfile`` takes; a table as JSON, if asked for, has all of it.

    Where a study ran in the folder ``like``, costs are those of the machine that it ran on.

    Raises:
        InputError: the configuration or the Snakefile cannot be used, Snakemake refuses them, or
            ``like`` holds no logs.
    """
    load_study(read_yaml(configfile), origin=str(configfile))
    costs = read_costs()
    pace = pace_of(like, costs, job_of) if like else None
    here = costs.scaled(pace.ratio) if pace else costs
    found = planned(configfile, targets, here, machine=machine, snakefile=snakefile, job_of=job_of)
    for line in as_lines(found, costs, pace):
        print(line)
    if json:
        write_json(json, as_json(found, pace))


def planned(
    configfile: Path,
    targets: Sequence[str],
    costs: Costs,
    *,
    machine: Machine,
    snakefile: Path | None = None,
    job_of: JobReader,
) -> Plan:
    """The plan of a study of which nothing is made yet."""
    rules = snakefile or found_snakefile()
    with tempfile.TemporaryDirectory(prefix="quietpet-plan-") as folder:
        lines = dry_run(configfile, targets, machine=machine, snakefile=rules, folder=Path(folder))
        jobs = [job_of(words) for words in commands_in(lines)]
        if not jobs:
            raise InputError(f"{rules}: plans no job of quietpet; name the Snakefile of the project.")
        fetched = traffic(jobs, costs, folders=(Path(folder), Path.cwd()))
    return plan(jobs, costs, machine, fetched)


def dry_run(
    configfile: Path, targets: Sequence[str], *, machine: Machine, snakefile: Path, folder: Path
) -> list[str]:
    """What Snakemake prints of a study that would run in the empty ``folder``.

    It is that of ``machine``, whatever device or profile the environment names for this one.
    """
    asked = [sys.executable, "-m", "snakemake", "--snakefile", snakefile.absolute()]
    asked += ["--configfile", configfile.absolute()]
    asked += ["--directory", folder, "--cores", machine.cores, "--dry-run", "--printshellcmds", *targets]
    gpus = ["--resources", f"gpu={machine.gpus}"] if machine.gpus else []
    own = {name: value for name, value in os.environ.items() if name != _PROFILE_VARIABLE}
    done = subprocess.run(
        [*map(str, asked), *gpus],
        env={**own, DEVICE_VARIABLE: "" if machine.gpus else "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # A dry run tells what is wrong on standard output.
        said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise InputError(f"{configfile}: Snakemake cannot plan it: {' '.join(said[-3:])}")
    return (done.stdout + done.stderr).splitlines()


def found_snakefile() -> Path:
    """The Snakefile of the working directory, or of the checkout that this package lies in."""
    for folder in (Path.cwd(), _CHECKOUT):
        if (folder / SNAKEFILE).is_file():
            return folder / SNAKEFILE
    raise InputError(
        f"{Path.cwd() / SNAKEFILE}: no such file; give the command in the folder of the project, or "
        "name its Snakefile with --snakefile."
    )
