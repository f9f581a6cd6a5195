"""The pace of a machine: what the jobs of a finished study took beside what the table of costs says."""

from __future__ import annotations

import json
import shlex

import pytest

from quietpet.cli import job_of_command, main
from quietpet.errors import InputError
from quietpet.forecast.contents import Contents
from quietpet.forecast.costs import read_costs
from quietpet.forecast.pace import pace_of
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import settings_for


@pytest.fixture(scope="module")
def costs():
    return read_costs()


@pytest.fixture
def tiny(repository):
    return repository / "workflow/configs/tiny.yaml"


@pytest.fixture
def logged(tiny, costs, tmp_path):
    """Writes logs of phantoms that took ``ratio`` times what is planned; gives what that is for one."""
    study = load_study(read_yaml(tiny), origin="x")

    def write(*ratios: float, gpus: int = 0) -> float:
        (tmp_path / "logs/phantom").mkdir(parents=True)
        for subject, ratio in zip(("04", "05", "06"), ratios, strict=False):
            settings = settings_for(study, "phantom", subject=subject)
            words = ["phantom", "--threads", "1", "--gpus", str(gpus), "--settings", settings]
            words += ["--out", f"phantom=results/phantoms/phantom/{subject}.h5"]
            job = job_of_command(words)
            planned = costs.job(job, Contents([job])).core_s
            (tmp_path / f"logs/phantom/phantom-{subject}.log").write_text(
                f"2026-01-01 00:00:00,000 INFO quietpet {shlex.join(words)}\n"
                f"2026-01-01 00:00:09,000 INFO took 9.00 s, {ratio * planned:.2f} core s and at most "
                "99 MiB in a process\n"
            )
        return planned

    return write


def test_it_is_that_of_all_jobs_together(logged, costs, tmp_path):
    planned = logged(0.4, 0.6, 0.8)
    found = pace_of(tmp_path, costs, job_of_command)
    assert found.jobs == 3
    assert found.ratio == pytest.approx(0.6, rel=0.01)
    assert found.planned_core_s == pytest.approx(3 * planned)


def test_unfinished_jobs_and_those_of_gpus_tell_nothing(logged, costs, tmp_path):
    logged(0.5, gpus=1)
    (tmp_path / "logs/tables.log").write_text(
        "2026-01-01 00:00:00,000 INFO quietpet tables --settings {}"
    )
    with pytest.raises(InputError, match=r"no finished job without a GPU has left its log in .*logs"):
        pace_of(tmp_path, costs, job_of_command)


def test_costs_of_another_machine_are_in_proportion(costs):
    half = costs.scaled(0.5)
    assert half.workflow_core_s_per_job == 0.5 * costs.workflow_core_s_per_job
    for key, row in costs.rows.items():
        assert half.rows[key].start_core_s == 0.5 * row.start_core_s
        assert half.rows[key].core_s_per_unit == 0.5 * row.core_s_per_unit
        assert (half.rows[key].mib, half.rows[key].bytes) == (row.mib, row.bytes)


@pytest.mark.workflow
def test_a_plan_is_scaled_by_it(tiny, logged, tmp_path, capsys):
    logged(0.5, 0.5, 0.5)
    found = []
    for options in ((), ("--like", tmp_path)):
        report = tmp_path / "plan.json"
        words = ("plan-study", tiny, "results/tables.csv", "--json", report, *options)
        assert main(list(map(str, words))) == 0
        found.append(json.loads(report.read_text()))
    plain, like = found
    assert like["core_s"] == pytest.approx(like["pace"]["ratio"] * plain["core_s"])
    assert like["pace"]["ratio"] == pytest.approx(0.5, rel=0.01)
    assert like["bytes"] == plain["bytes"]
    assert f"All were multiplied by 0.50: 3 jobs of {tmp_path} took" in capsys.readouterr().out
