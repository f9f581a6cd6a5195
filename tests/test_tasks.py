"""What `srun` tells a task of its step, as Slurm 22.05 words it."""

from __future__ import annotations

import pytest

from quietpet.errors import InputError
from quietpet.tasks import Tasks, is_first, is_first_here, step_tasks


@pytest.fixture
def told(monkeypatch):
    """Sets variables, among which are no others of Slurm or Fabric."""

    def set_to(**variables: str) -> None:
        for name in ("LOCAL_RANK", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_PTY_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_to


@pytest.mark.parametrize(
    ("count", "layout", "tasks"),
    [
        ("2", "2", Tasks(nodes=1, per_node=2)),
        ("6", "2(x3)", Tasks(nodes=3, per_node=2)),
        ("3", "1(x3)", Tasks(nodes=3, per_node=1)),
        ("1", "1", None),
    ],
)
def test_tasks_are_laid_out_as_slurm_says(told, count, layout, tasks):
    told(SLURM_STEP_NUM_TASKS=count, SLURM_STEP_TASKS_PER_NODE=layout)
    assert step_tasks() == tasks
    assert tasks is None or tasks.count == int(count)


@pytest.mark.parametrize("layout", ["2,1", "2(x3),1"])
def test_nodes_have_as_many_tasks_each(told, layout):
    told(SLURM_STEP_NUM_TASKS="3", SLURM_STEP_TASKS_PER_NODE=layout)
    with pytest.raises(InputError, match=r"give it --ntasks-per-node"):
        step_tasks()


def test_a_batch_script_is_no_step(told):
    """It has the number of its tasks, of which it is none."""
    told(SLURM_JOB_ID="7", SLURM_NTASKS="2", SLURM_TASKS_PER_NODE="2", SLURM_PROCID="0")
    assert step_tasks() is None
    assert is_first()


def test_the_shell_of_a_person_has_no_other_tasks(told, monkeypatch):
    told(SLURM_STEP_NUM_TASKS="2", SLURM_STEP_TASKS_PER_NODE="2", SLURM_PTY_PORT="1234")
    monkeypatch.setattr("quietpet.tasks._TERMINAL", "/dev/null")
    assert step_tasks() is None
    monkeypatch.setattr("quietpet.tasks._TERMINAL", "/there/is/none")
    assert step_tasks() == Tasks(nodes=1, per_node=2)


@pytest.mark.parametrize(
    ("variables", "first", "here"),
    [
        ({}, True, True),
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, True, True),
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "LOCAL_RANK": "1"}, False, False),
        ({"SLURM_PROCID": "2", "SLURM_LOCALID": "0"}, False, True),
        ({"SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, False, False),
    ],
)
def test_one_process_is_the_first_and_one_on_each_node(told, variables, first, here):
    told(**variables)
    assert (is_first(), is_first_here()) == (first, here)
