"""What a Slurm cluster can tell of its jobs, asked before the first one starts.

Without an answer Snakemake's plugin waits for ever, and says nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from quietpet.errors import InputError

_LONGEST_PAUSE_S = 180
"""Seconds that the plugin (2.8) waits at most between two looks."""

_PAUSES = 3
"""It does not trust squeue where jobs are forgotten within so many of its shortest pauses."""


def require_states(command: str, *, seconds: int) -> None:
    """Refuse a way to ask for the states of jobs that gets no answer on this cluster.

    ``command`` is `sacct` or `squeue`, ``seconds`` the shortest pause between two looks.

    Raises:
        InputError: says what to set in the profile.
    """
    installed = shutil.which("sacct") is not None
    refusal = _refusal("sacct", "--noheader", "--allocations") if installed else "is not installed"
    if command == "sacct" and installed:  # without it, the plugin takes squeue
        if refusal:
            raise InputError(
                f"sacct does not tell when a job has ended ({refusal}); set slurm-status-command: "
                "squeue in the profile, or give --slurm-status-command squeue."
            )
        return
    age, wanted = _remembered_s(), max(_PAUSES * seconds, _LONGEST_PAUSE_S + seconds)
    if age >= wanted:
        return
    if not refusal:
        raise InputError(
            f"squeue forgets a job {age} s after its end, and is asked too seldom for that; set "
            "slurm-status-command: sacct in the profile, or give --slurm-status-command sacct."
        )
    raise InputError(
        f"squeue forgets a job {age} s after its end, and is asked too seldom for that, and sacct does "
        f"not tell either ({refusal}); ask for MinJobAge={wanted} in slurm.conf, or for accounting."
    )


def require_gpus() -> None:
    """Refuse to ask a cluster for GPUs that has none: sbatch would refuse each job by itself.

    Raises:
        InputError: says what to do without.
    """
    if "gpu" not in _told("sinfo", "--noheader", "--format=%G"):
        raise InputError(
            "this cluster has no GPUs (sinfo names none), but resources: gpu=N lends some to networks; "
            "use --workflow-profile slurm-cpu, or set QUIETPET_DEVICE=cpu."
        )


def _remembered_s() -> int:
    """Seconds for which the controller knows a job after its end."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", _told("scontrol", "show", "config"), re.MULTILINE)
    return int(found[1]) if found else 0


def _told(*command: str) -> str:
    """What a program of Slurm prints.

    Raises:
        InputError: it is not there, or its controller does not answer.
    """
    if shutil.which(command[0]) is None:
        raise InputError(f"{command[0]} is not on the PATH; start Snakemake where Slurm takes jobs.")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{' '.join(command)} fails: {_last_line(done.stderr)}")
    return done.stdout


def _refusal(*command: str) -> str:
    """Why a program fails, in its own words; empty if it does not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return _last_line(done.stderr) if done.returncode else ""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
