"""The plan of a study: sums that close, costs that grow as they should, jobs that are Snakemake's."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from quietpet.cli import job_of_command, main
from quietpet.commands import plan_study
from quietpet.commands.plan_study import dry_run, found_snakefile, planned
from quietpet.errors import InputError
from quietpet.forecast.contents import Contents
from quietpet.forecast.costs import MEASURED, TABLE, read_costs
from quietpet.forecast.jobs import commands_in
from quietpet.forecast.plan import Machine, as_lines, plan
from quietpet.forecast.traffic import Traffic, traffic
from quietpet.forecast.work import projection_size, works
from quietpet.invivo.openneuro import TABLE as TABLE_OF_OPENNEURO
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import settings_for

MACHINE = Machine(cores=2)
NOTHING = Traffic(brainweb=0, openneuro=0)
COUNTS = {"counts": 1e8, "psf_fwhm_mm": 4.0, "iterations": 10, "subsets": 14}
STUDY = {
    "protocol": "made_up",
    "study_seed": 1,
    "phantoms": {"source": "template"},
    "splits": {"train": ["a"], "validation": ["b"], "test": ["c"]},
    "doses": {"standard": {**COUNTS, "counts": 1e10}, "low": {"low": COUNTS}},
    "methods": {"lpet": {}, "gaussian": {}},
}


def jobs_of(indices, *, raw=STUDY):
    """One subject's slices, scans and images, packed: jobs as the commands of the workflow give them."""
    study = load_study({**raw, "slices": {"indices": list(indices), "rotations": 1}}, origin="x")

    def step(name, read, made, **names):
        files = [
            part for key, each in (("--in", read), ("--out", made)) if each for part in (key, *each)
        ]
        return [name, "--settings", settings_for(study, name, **names), *files]

    commands = [
        [
            *step("phantom", [], ["phantom=head"], subject="a"),
            "then",
            *step("slices", ["phantom=head"], ["slices=slices"], subject="a"),
        ]
    ]
    for dose in ("standard", "low"):
        names = {"subject": "a", "dose": dose}
        commands.append(
            [
                *step("simulate", ["slices=slices"], [f"sinograms=scan-{dose}"], **names),
                "then",
                *step("reconstruct", [f"sinograms=scan-{dose}"], [f"images=image-{dose}"], **names),
            ]
        )
    images = ["slices=slices", "standard=image-standard", "low=image-low"]
    commands.append(
        step("pack", images, ["dataset=train"], dataset="phantom", setting="low", split="train")
    )
    return [job_of_command(words) for words in commands]


@pytest.fixture(scope="module")
def costs():
    return read_costs()


def test_each_file_holds_the_slices_that_were_cut():
    jobs = jobs_of([1, 2, 3])
    contents = Contents(jobs)
    held = [contents.of_part(part).slices for job in jobs for part in job.parts]
    assert held == [0, 3, 3, 3, 3, 3, 3]
    assert contents.of_file(jobs[-1].made[0]).pixels == 192


def test_twice_the_slices_take_twice_what_slices_take(costs):
    """What is left at no slices does not grow: costs are a straight line."""
    core_s, sizes = [], []
    for count in (10, 20, 40):
        found = plan(jobs_of(range(count)), costs, MACHINE, NOTHING)
        core_s.append(found.core_s)
        sizes.append(found.bytes)
    for found in (core_s, sizes):
        assert found[2] - found[1] == pytest.approx(2 * (found[1] - found[0]))
        assert found[1] > found[0]


def test_an_iteration_passes_once_over_all_views(costs):
    jobs = jobs_of([5])
    contents = Contents(jobs)
    passes = [
        work.count
        for job in jobs
        for part in job.parts
        if part.step == "reconstruct"
        for work in works(part, contents)
    ]
    assert passes == [10.0, 10.0]


def test_more_rays_and_pixels_cost_in_proportion():
    study = load_study({**STUDY, "scanner": {"rays": 4, "image_pixels": 192}}, origin="x")
    assert projection_size(study.scanner) == pytest.approx(4 * 192 / 128)
    finer = study.scanner.model_copy(update={"data": "finer"})
    assert projection_size(finer, data=True) == pytest.approx(10 * 2 * 192 / 128)


def test_the_whole_is_the_sum_of_its_steps(costs):
    found = plan(jobs_of([5, 6]), costs, MACHINE, NOTHING)
    assert found.jobs == 4 == sum(step.jobs for step in found.steps)
    assert found.core_s == pytest.approx(
        found.workflow_core_s + sum(step.core_s for step in found.steps)
    )
    assert found.bytes == pytest.approx(sum(step.bytes for step in found.steps))
    assert found.needed_bytes < found.most_needed_bytes <= found.bytes


def test_a_process_starts_once_for_all_its_steps(costs):
    job = jobs_of([5])[1]
    contents = Contents(jobs_of([5]))
    together = costs.job(job, contents).core_s
    apart = sum(costs.job(replace(job, parts=(part,)), contents).core_s for part in job.parts)
    starts = [costs.of(part.step).start_core_s for part in job.parts]
    assert apart - together == pytest.approx(sum(starts) - max(starts))


def test_a_gpu_takes_the_arithmetic_of_networks_alone(costs):
    cost = costs.job(replace(jobs_of([5])[1], gpus=1), Contents(jobs_of([5])))
    assert cost.flop == 0
    assert cost.core_s == pytest.approx(costs.job(jobs_of([5])[1], Contents(jobs_of([5]))).core_s)


def test_a_step_that_was_never_measured_is_told(costs):
    lacking = replace(costs, rows={key: row for key, row in costs.rows.items() if key[0] != "pack"})
    assert plan(jobs_of([5]), lacking, MACHINE, NOTHING).unknown == ("pack",)


def test_a_log_and_a_dry_run_tell_the_same_command():
    words = "pack --settings '{\"a\": 1}' --in x=y --out dataset=z"
    log = f"2026-01-01 10:00:00,000 INFO quietpet {words}\n"
    planned_line = f"        quietpet {words} 2> logs/pack.log"
    told = f"quietpet {words} 2>&1 | tee logs/pack.log >&2"
    found = list(commands_in([log, "INFO computing on cpu", planned_line, told]))
    assert found == [["pack", "--settings", '{"a": 1}', "--in", "x=y", "--out", "dataset=z"]] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,of\n", "does not begin with"),
        (f"{MEASURED}{{}}\n", "no table of costs"),
        (f"{MEASURED}[\n", "no table"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path, text, message):
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"costs.csv: .*{message}"):
        read_costs(path)


def test_every_cost_is_one_that_can_be():
    rows = read_costs(TABLE).rows.values()
    assert all(row.jobs >= 1 and row.start_core_s >= 0 and row.core_s_per_unit >= 0 for row in rows)
    assert all(row.mib > 0 and row.mib_per_slice >= 0 and row.bytes_per_slice >= 0 for row in rows)


def test_without_a_snakefile_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("quietpet.commands.plan_study._CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    assert main(["plan-study", "study.yaml"]) == 1
    assert "name its Snakefile with --snakefile" in capsys.readouterr().err


def test_a_configuration_that_is_none_is_told_before_snakemake_starts(tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**STUDY, "slises": {}}))
    assert main(["plan-study", str(tmp_path / "study.yaml")]) == 1
    message = capsys.readouterr().err
    assert "study.yaml" in message
    assert "slises" in message
    assert "Traceback" not in message


def test_volumes_that_are_there_are_not_fetched_again(tmp_path, costs):
    study = load_study({**STUDY, "phantoms": {"source": "brainweb"}}, origin="x")
    subjects = ["04", "05", "06"]
    job = study.model_copy(
        update={
            "splits": study.splits.model_copy(
                update={"train": ("04",), "validation": ("05",), "test": ("06",)}
            )
        }
    )
    words = [
        "fetch",
        "--settings",
        settings_for(job, "fetch"),
        "--in",
        "sources=s",
        "--out",
        "decision=d",
    ]
    jobs = [job_of_command(words)]
    cache = tmp_path / "resources/brainweb"
    cache.mkdir(parents=True)
    whole = traffic(jobs, costs, folders=[tmp_path]).bytes
    (cache / "subject_04.bin.gz").touch()
    assert traffic(jobs, costs, folders=[tmp_path]).bytes == pytest.approx(whole * 2 / len(subjects))


def test_scans_of_openneuro_are_as_large_as_the_pinned_files(tmp_path, costs, repository):
    study = load_study(read_yaml(repository / "workflow/configs/invivo.yaml"), origin="x")
    source = next(name for name, each in study.in_vivo.sources.items() if each.accession == "ds002898")
    wanted = ("01", "02")
    jobs = [
        job_of_command(
            [
                "fetch_invivo",
                "--settings",
                settings_for(study, "fetch_invivo", source=source, participant=each),
                "--out",
                f"located={each}",
            ]
        )
        for each in wanted
    ]
    with TABLE_OF_OPENNEURO.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["accession"] == "ds002898"]
    images = [row for row in rows if row["path"].endswith((".nii", ".nii.gz"))]
    own = [row for row in images if row["path"].startswith(tuple(f"sub-{each}/" for each in wanted))]
    most = sum(int(row["bytes"]) for row in rows if row not in images) + sum(
        int(row["bytes"]) for row in own
    )
    found = traffic(jobs, costs, folders=[tmp_path]).openneuro
    assert 0.3 * most < found <= most  # entities and runs leave some out
    once = traffic(jobs[:1] * 2, costs, folders=[tmp_path]).openneuro
    assert once == traffic(jobs[:1], costs, folders=[tmp_path]).openneuro


def test_rules_of_another_project_are_told(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan_study, "dry_run", lambda *_, **__: ["Shell command: touch x"])
    tiny, other = str(repository / "workflow/configs/tiny.yaml"), str(tmp_path / "Snakefile")
    assert main(["plan-study", tiny, "--snakefile", other]) == 1
    assert f"quietpet: error: {other}: plans no job of quietpet; name" in capsys.readouterr().err


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (1, "")])
def test_another_machine_is_planned_whatever_the_environment_says(tmp_path, monkeypatch, gpus, device):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    monkeypatch.setenv("QUIETPET_DEVICE", "cuda:1" if device else "cpu")
    seen = []

    def run(_, *, env, **__):
        seen.append(env)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(plan_study.subprocess, "run", run)
    dry_run(tmp_path, (), machine=Machine(gpus=gpus), snakefile=tmp_path, folder=tmp_path)
    assert seen[0]["QUIETPET_DEVICE"] == device
    assert "SNAKEMAKE_PROFILE" not in seen[0]


def test_long_plans_have_no_exponents(costs):
    one = plan(jobs_of([5]), costs, replace(MACHINE, cores=1, gpus=1), NOTHING)
    lines = [*as_lines(replace(one, wall_s=3600 * 12345.6, workflow_core_s=3600 * 999.4), costs)]
    assert any("; 12,346 hours on 1 core and 1 GPU of 10 TFLOP/s." in line for line in lines)
    assert lines[len(one.steps) + 1].split()[-1] == "999"


@pytest.mark.parametrize("option", [["--cores", "0"], ["--gpu-tflops", "0"], ["--gpu-tflops", "fast"]])
def test_machines_that_cannot_be_are_refused(option):
    with pytest.raises(SystemExit):
        main(["plan-study", "config.yaml", *option])


def counted_by_snakemake(repository, configfile, folder, targets=()):
    """Jobs per rule of a dry run, in the table that it prints."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    command += [
        "--configfile",
        str(configfile),
        "--directory",
        str(folder),
        "--cores",
        "1",
        "--dry-run",
        *targets,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = done.stdout.split("Job stats:")[1].split("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"^([\w-]+) +(\d+)$", table, re.MULTILINE)}


@pytest.mark.workflow
@pytest.mark.parametrize(
    "name", ["config.yaml", "workflow/configs/tiny.yaml", "workflow/configs/dose_ladder.yaml"]
)
def test_jobs_are_those_of_snakemake(repository, tmp_path, name):
    counted = counted_by_snakemake(repository, repository / name, tmp_path)
    assert counted.pop("all") == 1  # which asks for files, and runs nothing
    found = planned(repository / name, (), read_costs(), machine=MACHINE, job_of=job_of_command)
    assert found.jobs == sum(counted.values())


@pytest.mark.workflow
def test_the_small_study_takes_what_was_measured_of_it(repository, costs):
    """Of the study that the table was made from; docs/planning.md has others."""
    targets = ["results/tables.csv", "results/report.html"]
    assert costs.study.configuration == "config.yaml"
    machine = Machine(cores=costs.study.cores)
    found = planned(
        repository / "config.yaml", targets, read_costs(), machine=machine, job_of=job_of_command
    )
    assert found.jobs == costs.study.jobs
    assert found.core_s == pytest.approx(costs.study.core_s, rel=0.3)
    assert found.wall_s == pytest.approx(costs.study.wall_s, rel=0.3)


@pytest.mark.workflow
def test_a_method_that_is_added_adds_its_own_costs_alone(repository, tmp_path, costs):
    raw = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    more = {**raw, "methods": {**raw["methods"], "added": {"kind": "nafnet", "width": 8}}}
    found = []
    for number, study in enumerate((raw, more)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        lines = dry_run(path, (), machine=MACHINE, snakefile=found_snakefile(), folder=tmp_path)
        jobs = [job_of_command(words) for words in commands_in(lines)]
        contents = Contents(jobs)
        found.append({job.made: costs.job(job, contents) for job in jobs})
    before, after = found
    added = {made[0].as_posix() for made in set(after) - set(before)}
    assert added
    assert all("/added/" in path for path in added)
    summaries = {made for made in before if before[made] != after[made]}
    assert all(
        len(made[0].parts) == 2 or made[0].parts[1] in ("tables", "gallery") for made in summaries
    )
    whole = [sum(cost.core_s for cost in each.values()) for each in found]
    own = sum(after[made].core_s for made in set(after) - set(before))
    grown = sum(after[made].core_s - before[made].core_s for made in summaries)
    assert whole[1] - whole[0] == pytest.approx(own + grown)
    assert 0 <= grown < own


@pytest.mark.workflow
def test_the_command_prints_and_writes_the_plan(repository, tmp_path, capsys):
    report = tmp_path / "plan.json"
    tiny = str(repository / "workflow/configs/tiny.yaml")
    assert main(["plan-study", tiny, "results/tables.csv", "--cores", "4", "--json", str(report)]) == 0
    told, written = capsys.readouterr().out, json.loads(report.read_text())
    assert f"{written['jobs']} jobs, " in told
    assert "Network: 0.000 GB" in told
    assert written["core_s"] == pytest.approx(
        written["workflow_core_s"] + sum(step["core_s"] for step in written["steps"])
    )


@pytest.mark.workflow
def test_what_snakemake_refuses_is_told_in_a_sentence(repository, capsys):
    tiny = str(repository / "workflow/configs/tiny.yaml")
    assert main(["plan-study", tiny, "results/nothing.csv"]) == 1
    message = capsys.readouterr().err
    assert "tiny.yaml: Snakemake cannot plan it: " in message
    assert "nothing.csv" in message
