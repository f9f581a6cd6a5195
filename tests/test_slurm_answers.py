"""What a cluster answers before the first job; its programs are stood in for by scripts with its words.

`tests/workflow/test_slurm.py` asks a real one.
"""

from __future__ import annotations

import pytest

from quietpet.errors import InputError
from quietpet.slurm import require_gpus, require_states

REFUSAL = "Slurm accounting storage is disabled"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Puts scripts of these names, and nothing else, on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def of(**scripts: str) -> None:
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return of


def remembers(seconds: int) -> str:
    return f"echo 'Configuration data as of today'\necho 'MinJobAge               = {seconds} sec'"


def refuses(words: str = REFUSAL) -> str:
    return f"echo '{words}' >&2\nexit 1"


@pytest.mark.parametrize("accounts", ["exit 0", refuses(), None])
def test_squeue_answers_with_and_without_accounting(cluster, accounts):
    cluster(scontrol=remembers(300), **({"sacct": accounts} if accounts else {}))
    require_states("squeue", seconds=20)


def test_sacct_answers_where_there_is_accounting(cluster):
    cluster(sacct="exit 0")
    require_states("sacct", seconds=40)


def test_a_sacct_that_refuses_is_named_with_what_to_set(cluster):
    cluster(sacct=refuses(), scontrol=remembers(300))
    with pytest.raises(InputError, match=rf"\({REFUSAL}\); set slurm-status-command: squeue"):
        require_states("sacct", seconds=20)


def test_without_sacct_squeue_is_asked_as_the_plugin_does(cluster):
    cluster(scontrol=remembers(300))
    require_states("sacct", seconds=20)
    with pytest.raises(InputError, match=r"forgets a job 300 s .* sacct does not tell either"):
        require_states("sacct", seconds=200)


@pytest.mark.parametrize(
    ("remembered", "seconds", "wanted"), [(60, 10, 190), (199, 20, 200), (300, 101, 303)]
)
def test_jobs_that_are_forgotten_soon_need_accounting(cluster, remembered, seconds, wanted):
    cluster(scontrol=remembers(remembered), sacct=refuses())
    with pytest.raises(InputError, match=f"forgets a job {remembered} s .* MinJobAge={wanted}"):
        require_states("squeue", seconds=seconds)
    cluster(sacct="exit 0")
    with pytest.raises(InputError, match="set slurm-status-command: sacct"):
        require_states("squeue", seconds=seconds)


def test_a_controller_that_does_not_answer_is_told_in_its_words(cluster):
    cluster(scontrol=refuses("Unable to contact slurm controller"))
    with pytest.raises(
        InputError, match="scontrol show config fails: Unable to contact slurm controller"
    ):
        require_states("squeue", seconds=20)


def test_a_machine_without_slurm_is_told_so(cluster):
    cluster()
    with pytest.raises(InputError, match="scontrol is not on the PATH; start Snakemake where"):
        require_states("squeue", seconds=20)


def test_gpus_are_asked_of_a_cluster_that_has_some(cluster):
    cluster(sinfo="echo 'gpu:a100:4(S:0-1)'")
    require_gpus()
    cluster(sinfo="echo '(null)'")
    with pytest.raises(InputError, match=r"no GPUs .* --workflow-profile slurm-cpu"):
        require_gpus()
