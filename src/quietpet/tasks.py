"""The tasks that Slurm's `srun` starts of one command, and which of several processes is the first."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from quietpet.errors import InputError

_NUMBERS = ("LOCAL_RANK", "SLURM_PROCID")
"""Variables that number the processes of one training, by Fabric and by Slurm; the first by 0."""

_NUMBERS_HERE = ("LOCAL_RANK", "SLURM_LOCALID")
"""The same, of the processes of one node."""

_TERMINAL = "/dev/tty"
"""That of this process, where it has one."""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """How `srun` laid out the tasks of a step, as many on each node."""

    nodes: int
    per_node: int

    @property
    def count(self) -> int:
        return self.nodes * self.per_node


def is_first() -> bool:
    """Whether this is the first of the processes that share a training, or the only one."""
    return all(os.environ.get(name, "0") == "0" for name in _NUMBERS)


def is_first_here() -> bool:
    """Whether no other of them on this node comes before this one."""
    return all(os.environ.get(name, "0") == "0" for name in _NUMBERS_HERE)


def step_tasks() -> Tasks | None:
    """The tasks that `srun` started of this command; None of one alone, and outside a step of Slurm.

    A batch script is no step. Nor counts the shell of `srun --pty`: its other tasks have ended.

    Raises:
        InputError: nodes have different numbers of tasks, which no training can share.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) < 2 or _is_shell_of_srun():
        return None
    layout = os.environ["SLURM_STEP_TASKS_PER_NODE"]
    # "2" of one node, "2(x3)" of three, "2(x3),1" where a fourth has another number of them.
    alike = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", layout)
    if alike is None:
        raise InputError(
            f"srun started different numbers of tasks per node ({layout}); "
            "give it --ntasks-per-node, so that all have as many."
        )
    return Tasks(nodes=int(alike[2] or 1), per_node=int(alike[1]))


def _is_shell_of_srun() -> bool:
    """Whether a person types in this step; steps that are started from there have no terminal."""
    if "SLURM_PTY_PORT" not in os.environ:
        return False
    try:
        os.close(os.open(_TERMINAL, os.O_RDONLY))
    except OSError:
        return False
    return True
