"""The whole DAG on a CPU: complete, idempotent, resumable, and re-run exactly where an edit reaches."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pair_folder
import petbids
import pytest
import yaml
from packed import write_packed
from report_pages import require_accessible
from workflow_runs import interrupted, planned_jobs, snakemake

from quietpet.chain import split_at_then
from quietpet.cli import main
from quietpet.config.phantoms import TissueValues
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute
from quietpet.files.named import Files
from quietpet.files.sections import read_section
from quietpet.files.tensors import read_tensors
from quietpet.files.text import read_json
from quietpet.projection.sirf_installation import sirf_is_installed
from quietpet.steps import STEPS
from quietpet.usage import core_seconds

pytestmark = pytest.mark.workflow

LEVEL = {"counts": 2.5e9, "psf_fwhm_mm": 2.5, "iterations": 4, "subsets": 14}


def files_of(results):
    """What each result holds; not the digests of results, which follow them."""
    paths = (path for path in results.rglob("*") if ".sha256" not in path.parts)
    return {path: path.read_bytes() for path in paths if path.is_file()}


def methods_of(configuration, *names):
    """Some of the methods, as if there were no others of which they are variants."""
    chosen = {name: {**configuration["methods"][name]} for name in names}
    for settings in chosen.values():
        settings.pop("pet_only_of", None)
    return chosen


def dry_run(repository, folder, configuration, tmp_path, *, target="results/tables.csv", **changes):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))
    arguments = ("--directory", folder, "--configfile", path, "--dry-run", target)
    return snakemake(repository, *arguments, **changes)


def test_the_tables_are_complete(finished):
    with (finished / "results/tables.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["data_source"] for row in rows} == {"template"}
    assert {row["projector"] for row in rows} == {"embedded"}
    methods = {(row["table"], row["method"]) for row in rows}
    ablation = ("unet", "munet_concat", "gmunet", "dmunet", "cmunet", "mfdiff")
    assert methods == {
        *(("1", name) for name in ("lpet", "gaussian", "bowsher", *ablation)),
        *(("5", name) for name in ablation),
    }
    for row in rows:
        if row["metric"] in ("psnr_db", "ssim", "nmse"):
            assert np.isfinite(float(row["mean"]))
            assert row["n_subjects"] == "1"
            assert row["ci_low"] == row["ci_high"] == ""
    published = {(row["table"], row["method"]): row["paper_mean"] for row in rows
                 if row["metric"] == "psnr_db" and row["variant"] == "paper"}  # fmt: skip
    assert published["1", "lpet"] == "21.13"
    assert published["5", "unet"] == "26.39"
    assert published["5", "cmunet"] == "36.51"
    assert "residual" in next(row["protocol"] for row in rows if row["method"] == "mfdiff")


def test_what_was_pruned_is_not_made_again(repository, finished, study, configuration, tmp_path):
    (study / "results/report.html").write_text("<html></html>")
    assert main(["prune", str(study), "--delete"]) == 0
    for made in ("phantoms", "slices", "sinograms", "images", "datasets", "restored"):
        assert not list((study / "results" / made).rglob("*.h5"))
    assert list((study / "results/models").rglob("*.safetensors"))
    assert "Nothing to be done" in dry_run(repository, study, configuration, tmp_path)
    assert main(["diff", str(finished), str(study), "--json", str(tmp_path / "diff.json")]) == 1
    differing = json.loads((tmp_path / "diff.json").read_text())["files"]
    assert {file["kind"] for file in differing} == {"missing"}


def test_sinograms_go_on_request_when_nothing_waits_for_them(repository, study, configuration, tmp_path):
    options = ("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", study)
    snakemake(repository, *options, "results/counts.csv", QUIETPET_KEEP="needed")
    assert (study / "results/counts.csv").exists()
    assert not list((study / "results/sinograms").rglob("*.h5"))
    assert "Nothing to be done" in dry_run(repository, study, configuration, tmp_path)
    said = snakemake(repository, *options, "--dry-run", check=False, QUIETPET_KEEP="some")
    assert "QUIETPET_KEEP=some: say all (the default), or needed" in said


def test_each_log_ends_with_what_its_job_used(finished):
    logs = list((finished / "logs").rglob("*.log"))
    assert len(logs) == 30  # 3 phantoms, 6 measurements, 3 splits, 8 fits, 9 restorations, tables
    assert not [log for log in logs if core_seconds(log.read_text().splitlines()[-1:]) is None]


def test_nothing_half_written_is_left(finished):
    leftovers = [path for path in finished.glob("results/**/.*") if path.is_file()]
    leftovers += list(finished.glob("results/**/*checkpoint*"))
    assert leftovers == []


def test_an_interrupted_training_goes_on_with_the_same_command(
    repository, study, configuration, tmp_path
):
    """Ctrl-C, SIGTERM, then a kill: each time from the last checkpoint, never from an output.

    Snakemake waits for the checkpoint that follows SIGTERM.
    """
    training = {**configuration["training"], "iterations": 200, "validate_every": 10}
    methods = methods_of(configuration, "unet")
    path = tmp_path / "long.yaml"
    path.write_text(yaml.safe_dump({**configuration, "training": training, "methods": methods}))
    weights = study / "results/models/phantom/low/unet/r0/weights.safetensors"
    options = ("--configfile", path, "--directory", study)
    log = study / "logs/fit/phantom-low-unet-r0.log"

    def steps():
        said = log.read_text() if log.exists() else ""
        return [int(step) for step in re.findall(r" step (\d+), ", said)]

    reached = 0
    for by in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        log.unlink(missing_ok=True)
        interrupted(repository, *options, weights.relative_to(study), when=steps, by=by)
        assert steps()[0] > reached
        reached = steps()[-1]
        assert ("kept its state after step" in log.read_text()) == (by == signal.SIGTERM)
        assert not list(weights.parent.glob("[!.]*"))
    snakemake(repository, *options, "--unlock")
    snakemake(repository, *options, weights.relative_to(study))
    assert steps() == list(range(steps()[0], 201, 10))
    assert steps()[0] > reached
    assert not list(weights.parent.glob(".*"))


def test_a_second_run_has_nothing_to_do(repository, finished, configuration, tmp_path):
    assert "Nothing to be done" in dry_run(repository, finished, configuration, tmp_path)


def test_a_new_count_level_runs_only_itself(repository, finished, configuration, tmp_path):
    doses = configuration["doses"]
    changed = {**configuration, "doses": {**doses, "low": {**doses["low"], "quarter": LEVEL}}}
    jobs = planned_jobs(dry_run(repository, finished, changed, tmp_path))
    assert jobs == {
        "simulate": 3, "pack": 3, "fit": 8, "restore": 9, "tables": 1,
    }  # fmt: skip


def test_a_new_thinned_level_runs_only_itself(repository, finished, configuration, tmp_path):
    doses = configuration["doses"]
    thinned = {"thinned": {"fraction": 0.5}, "psf_fwhm_mm": 2.5, "iterations": 4, "subsets": 14}
    changed = {**configuration, "doses": {**doses, "low": {**doses["low"], "half": thinned}}}
    jobs = planned_jobs(dry_run(repository, finished, changed, tmp_path))
    assert jobs == {
        "thin": 3, "pack": 3, "fit": 8, "restore": 9, "tables": 1,
    }  # fmt: skip


def test_a_second_dose_is_shown_against_the_first_and_repeats_nothing_of_it(
    repository, finished, configuration, tmp_path
):
    doses = configuration["doses"]
    changed = {**configuration, "doses": {**doses, "low": {**doses["low"], "quarter": LEVEL}}}
    target = "results/dose_response.csv"
    alone = planned_jobs(dry_run(repository, finished, changed, tmp_path, target=target))
    own = {"simulate": 3, "pack": 3, "fit": 8, "restore": 9, "dose_response": 1}
    assert alone == own
    # Everything that is fitted restores the other dose, in both directions, with its first training.
    crossed = {**changed, "dose_response": {"cross": True}}
    output = dry_run(repository, finished, crossed, tmp_path, target=target)
    assert planned_jobs(output) == {**own, "crossed_restore": 16}
    assert "results/crossed/phantom/quarter/mfdiff/low/r0.csv" in output
    assert "results/scores/phantom/low/mfdiff/r0.csv (update)" not in output
    # They enter no other table.
    tables = dry_run(repository, finished, crossed, tmp_path)
    assert planned_jobs(tables)["crossed_restore"] == 0


def test_without_several_doses_or_samples_there_is_nothing_to_show(
    repository, finished, configuration, tmp_path
):
    output = dry_run(
        repository, finished, configuration, tmp_path, target="results/dose_response.csv", check=False
    )
    assert "no data set of this study has two doses or more of the same test subjects" in output
    single = {**configuration, "methods": methods_of(configuration, "lpet", "unet")}
    output = dry_run(
        repository, finished, single, tmp_path, target="results/uncertainty.csv", check=False
    )
    assert "no method of this study draws several samples of a slice" in output


def test_a_dose_ladder_with_scatter_and_randoms_runs(repository, tmp_path):
    """The shipped configuration, one slice of one subject: thinned images in kBq/ml, and the counts."""
    study = yaml.safe_load((repository / "workflow/configs/dose_ladder.yaml").read_text())
    study["phantoms"] = {"source": "template"}
    study["slices"] = {"indices": [70], "rotations": 1}
    study["splits"] = {"train": ["04"], "validation": ["05"], "test": ["06"]}
    study["doses"]["low"] = {name: study["doses"]["low"][name] for name in ("half", "tenth_activity")}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    packed = "results/datasets/phantom/tenth_activity/test.h5"
    arguments = ("--configfile", path, "--directory", tmp_path, "--show-failed-logs", packed)
    snakemake(repository, *arguments)
    with open_hdf5(tmp_path / packed, kind="dataset") as file:
        assert read_attribute(file, "units")["low"] == "kBq/ml"
        low, truth, head = (read_array(file, name) for name in ("low", "truth", "head"))
    assert low[head > 0].sum() == pytest.approx(truth[head > 0].sum(), rel=0.02)

    output = snakemake(repository, *arguments[:-1], "--dry-run", "results/counts.csv")
    assert planned_jobs(output)["simulate"] == 2


DOMAIN = {
    "activity": {**dict.fromkeys(TissueValues.model_fields, 10), "air": 0, "white_matter": 80},
    "doses": {"standard": LEVEL, "low": {"faint": {**LEVEL, "counts": 5e7}}},
}
LEARNING = {
    "stages": {
        "external": {"data": ["phantom/low"]},
        "internal": {"data": ["own"], "iterations": 6},
        "mixed": {"data": ["phantom/low", "own"]},
    },
    "regimes": {"external": ["external"], "external_internal": ["external", "internal"]},
}


def test_a_second_data_set_adds_its_jobs_and_runs_no_other(
    repository, finished, configuration, tmp_path
):
    staged = {**configuration, "domains": {"other": DOMAIN}, "learning": LEARNING}
    jobs = planned_jobs(dry_run(repository, finished, staged, tmp_path))
    # Two filters are tuned anew; six networks get a second stage, and the first they have.
    assert jobs == {
        "phantom": 3, "simulate": 6, "pack": 3, "fit": 8, "restore": 15, "tables": 1,
    }  # fmt: skip


def test_learning_in_stages_ends_in_table_6(repository, finished, study, configuration, tmp_path):
    """On the networks of the finished study: all regimes of a U-Net, and what is not trained."""
    methods = methods_of(configuration, "lpet", "bowsher", "unet")
    regimes = {**LEARNING["regimes"], "internal": ["internal"], "mixed": ["mixed"]}
    staged = {
        **configuration, "methods": methods, "domains": {"other": DOMAIN},
        "learning": {**LEARNING, "regimes": regimes},
    }  # fmt: skip
    path = tmp_path / "staged.yaml"
    path.write_text(yaml.safe_dump(staged, sort_keys=False))
    options = ("--configfile", path, "--directory", study, "--show-failed-logs", "results/tables.csv")
    snakemake(repository, *options)
    with (study / "results/tables.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["table"] == "6"]
    found = dict.fromkeys(
        (row["dataset"], row["setting"], row["method"], row["learning"]) for row in rows
    )
    assert list(found) == [
        ("other", "faint", "lpet", "-"),
        ("other", "faint", "bowsher", "internal"),
        *(("other", "faint", "unet", regime) for regime in regimes),
    ]
    weights = study / "results/models/other/faint/unet/external-internal/r0/weights.safetensors"
    started = read_tensors(weights)[1]["provenance"]["inputs"]
    assert "results/models/phantom/low/unet/r0/weights.safetensors" in started
    assert "Nothing to be done" in snakemake(repository, *options, "--dry-run")


STANDIN = {
    "scan": {
        "frames": [[8, 16]],
        "t1_voxel_mm": 4.0,
        "t1_shape": [48, 64, 64],
        "subsets": 14,
        "iterations": 1,
    },
    "cohorts": {
        "rspetmr": {
            "layout": "ds002898",
            "participants": {
                "01": {"anatomy": "04", "injected_mbq": 236},
                "02": {"anatomy": "05", "injected_mbq": 240},
                "03": {"anatomy": "06", "injected_mbq": 167},
            },
        }
    },
}
INVIVO = {
    "sources": {"rspetmr": {"kind": "standin", "cohort": "rspetmr"}},
    "windows": {"standard": {"frames": 8}, "low": {"16s": {"frames": 1}}},
    "datasets": {
        "ood1": {
            "source": "rspetmr",
            "splits": {"train": ["01"], "validation": ["02"], "test": ["03"]},
            "settings": {"16s": {"window": "16s", "header_dose_mbq": [157, 177]}},
        },
        "mine": {
            "source": "rspetmr",
            "splits": {"train": ["01"], "validation": ["02"], "test": ["03"]},
            "regimes": ["external"],
            "settings": {"first": {"window": "16s"}},
        },
    },
    "slices": {"indices": [136, 144], "rotations": 1, "pixel_mm": 2.08626},
}


def test_simulated_scans_end_in_the_in_vivo_tables(repository, finished, study, configuration, tmp_path):
    """On the networks of the finished study: scans, windows, registration, two stages, mixed data.

    And a data set that nobody published, which a network restores as it is.
    """
    methods = methods_of(configuration, "lpet", "bowsher", "unet")
    learning = {
        "stages": {**LEARNING["stages"], "mixed": {"data": ["phantom/low", "own"], "iterations": 6}},
        "regimes": {**LEARNING["regimes"], "mixed": ["mixed"]},
    }
    scanned = {
        **configuration, "methods": methods, "standin": STANDIN, "invivo": INVIVO, "learning": learning,
    }  # fmt: skip
    path = tmp_path / "scanned.yaml"
    path.write_text(yaml.safe_dump(scanned, sort_keys=False))
    options = ("--configfile", path, "--directory", study, "--show-failed-logs", "results/tables.csv")
    snakemake(repository, *options)
    with (study / "results/tables.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] != "phantom"]
    found = dict.fromkeys((row["table"], row["method"], row["learning"]) for row in rows)
    assert list(found) == [
        ("2", "lpet", "-"),
        ("2", "unet", "external_internal"),
        ("6", "lpet", "-"),
        *(("6", "unet", regime) for regime in learning["regimes"]),
        ("7", "lpet", "-"),
        ("7", "unet", "external_internal"),
        ("7", "unet", "mixed"),
        ("mine", "lpet", "-"),
        ("mine", "unet", "external"),
    ]
    engine = read_json(study / "results/registration_engine.json")["engine"]
    assert {(row["data_source"], row["registration"]) for row in rows} == {("standin-template", engine)}
    assert "Nothing to be done" in snakemake(repository, *options, "--dry-run")


def test_settings_of_scans_are_one_job_that_keeps_what_is_as_it_was(repository, configuration, tmp_path):
    """One for each regime; of three settings, one whose slices change is restored again."""
    settings = {
        "a": {"window": "16s", "regimes": ["external", "external_internal"]},
        "b": {"window": "16s"},
        "c": {"window": "16s"},
    }
    ood1 = {**INVIVO["datasets"]["ood1"], "settings": settings, "regimes": ["external"]}
    methods = methods_of(configuration, "lpet", "unet")
    study = {
        **configuration, "methods": methods, "standin": STANDIN, "learning": LEARNING,
        "invivo": {**INVIVO, "datasets": {"ood1": ood1}},
    }  # fmt: skip
    jobs = planned_jobs(dry_run(repository, tmp_path, study, tmp_path))
    restorations = {rule: count for rule, count in jobs.items() if rule.startswith("restore")}
    # lpet without a regime and the U-Net's external stage have all three, and both stages one.
    assert restorations == {"restore": 2, "restore_ood1": 2, "restore_ood1-a": 1}

    slices = {name: tmp_path / f"results/datasets/ood1/{name}/test.h5" for name in settings}
    for seed, (setting, path) in enumerate(slices.items()):
        write_packed(path, split="test", dataset="ood1", setting=setting, seed=seed, pixels=144)
    options = ("--configfile", tmp_path / "study.yaml", "--directory", tmp_path, "--show-failed-logs")
    scores = "results/scores/ood1/b/lpet/r0.csv"
    assert planned_jobs(snakemake(repository, *options, scores, "--dry-run")) == {"restore_ood1": 1}
    snakemake(repository, *options, scores)
    restored = [tmp_path / f"results/restored/ood1/{setting}/lpet/r0.h5" for setting in settings]
    before = [path.stat().st_ino for path in restored]
    write_packed(slices["b"], split="test", dataset="ood1", setting="b", seed=7, pixels=144)
    snakemake(repository, *options, scores)
    after = [path.stat().st_ino for path in restored]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    with (
        open_hdf5(slices["b"], kind="dataset") as packed,
        open_hdf5(restored[1], kind="restored") as file,
    ):
        np.testing.assert_allclose(read_array(file, "single"), read_array(packed, "low"), rtol=1e-5)
    log = (tmp_path / "logs/restore/ood1-lpet-r0.log").read_text()
    assert log.count("restore: its files are made of these settings") == 2
    assert "Nothing to be done" in snakemake(repository, *options, scores, "--dry-run")


def test_a_corrected_side_car_of_a_folder_imports_its_scan_again(repository, configuration, tmp_path):
    """Where one cannot be used, the others go on; a project that is moved imports nothing again.

    The folder is relative to the configuration, wherever the command is given and the jobs run.
    """
    project = tmp_path / "with a space"
    tree = petbids.write_dataset(project / "tiny", participants=3)
    petbids.write_sidecar(tree, 2, petbids.sidecar(2, Units="SUV"))
    ood1 = {**INVIVO["datasets"]["ood1"], "settings": {"16s": {"window": "16s"}}}
    low = {"16s": {"frames": 1, "start_minutes": 1}}
    invivo = {
        **INVIVO,
        "sources": {"rspetmr": {"kind": "folder", "root": "tiny"}},
        "windows": {"standard": {"frames": 8, "start_minutes": 0}, "low": low},
        "datasets": {"ood1": ood1},
    }
    scanned = {**configuration, "invivo": invivo, "learning": LEARNING}
    (project / "folder.yaml").write_text(yaml.safe_dump(scanned, sort_keys=False))
    scans = [f"results/invivo/rspetmr_sub-0{number}/scan.json" for number in (1, 2, 3)]

    def of(folder):
        paths = ("--configfile", folder / "folder.yaml", "--directory", folder / "run")
        return (*paths, "--keep-going", "--show-failed-logs", *scans)

    options = of(project)
    output = snakemake(repository, *options, check=False)
    assert 'Units is "SUV", but should be Bq/mL or kBq/mL' in output
    assert [(project / "run" / scan).exists() for scan in scans] == [True, False, True]
    petbids.write_sidecar(tree, 2, petbids.sidecar(2))
    planned = planned_jobs(snakemake(repository, *options, "--dry-run"))
    assert planned == {"fetch_rspetmr": 1, "import_rspetmr": 1}
    snakemake(repository, *options)
    assert "Nothing to be done" in snakemake(repository, *options, "--dry-run")
    moved = project.rename(tmp_path / "moved")
    said = snakemake(repository, *of(moved), "--dry-run", PWD=str(moved / "run"))  # as a cluster's jobs
    assert "Nothing to be done" in said
    everything = {"fetch_rspetmr": 3, "import_rspetmr": 3}
    tree = moved / tree.relative_to(project)
    (tree / "pet.json").write_text('{"TracerName": "FDG"}')
    assert planned_jobs(snakemake(repository, *of(moved), "--dry-run")) == everything, "a new side-car"
    (tree / "pet.json").unlink()
    rows = (tree / "participants.tsv").read_text()
    (tree / "participants.tsv").write_text(rows.replace("\tI", "\tB"))
    assert planned_jobs(snakemake(repository, *of(moved), "--dry-run")) == everything, "another table"


def test_a_given_transform_is_an_input_of_its_scan(repository, configuration, tmp_path):
    """Whose absence is told before anything runs; then no engine is decided on."""
    pattern = f"{tmp_path}/my transforms/{{source}}_{{participant}}.tfm"
    scanned = {
        **configuration, "standin": STANDIN, "invivo": INVIVO, "learning": LEARNING,
        "registration": {"engine": "file", "transform": pattern},
    }  # fmt: skip
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(scanned))
    scan = "results/invivo/rspetmr_sub-01/registered/registration.json"
    options = ("--configfile", path, "--directory", tmp_path, "--dry-run", scan)
    given = Path(pattern.format(source="rspetmr", participant="01"))
    assert str(given) in snakemake(repository, *options, check=False)
    given.parent.mkdir()
    given.write_text("a transform")
    jobs = planned_jobs(snakemake(repository, *options))
    assert jobs["register_rspetmr"] == 1
    assert jobs["registration_engine"] == 0


def test_a_new_subject_runs_only_what_depends_on_it(repository, finished, configuration, tmp_path):
    changed = {**configuration, "splits": {**configuration["splits"], "test": ["06", "18"]}}
    jobs = planned_jobs(dry_run(repository, finished, changed, tmp_path))
    assert jobs == {
        "phantom": 1, "simulate": 2, "pack": 1, "restore": 9, "tables": 1,
    }  # fmt: skip


def test_a_changed_protocol_reruns_its_dose_only(repository, finished, configuration, tmp_path):
    low = {**configuration["doses"]["low"]["low"], "iterations": 5}
    changed = {**configuration, "doses": {**configuration["doses"], "low": {"low": low}}}
    jobs = planned_jobs(dry_run(repository, finished, changed, tmp_path))
    assert (jobs["simulate"], jobs["phantom"]) == (3, 0)


@pytest.mark.parametrize(
    ("file", "old", "new", "rerun"),
    [
        ("evaluation/metrics.py", "_PIXELS = 1.5", "_PIXELS = 1.6", {"restore": 9, "tables": 1}),
        ("evaluation/published.csv", "21.13", "21.14", {"tables": 1}),
        (
            "methods/unet/model.py",
            "return ",
            "return 2 * ",
            {"fit": 5, "restore": 5, "tables": 1},
        ),
        ("recon/bowsher.py", "def ", "def _", {"fit": 1, "restore": 1, "tables": 1}),
        ("jobs/methods.py", '== "bf16-mixed"', '== "16-mixed"', {"restore": 9, "tables": 1}),
        ("config/scanner.py", "rays averaged", "lines averaged", {}),
        ("cli.py", "CPU threads this job", "threads this job", {}),
    ],
)
def test_an_edit_reruns_what_it_reaches(
    repository, finished, configuration, tmp_path, file, old, new, rerun
):
    """The rules hand on what tests/fingerprint/test_edits.py finds for many more edits."""
    package = tmp_path / "src/quietpet"
    shutil.copytree(repository / "src/quietpet", package)
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new, 1))
    output = dry_run(repository, finished, configuration, tmp_path, PYTHONPATH=str(package.parent))
    assert planned_jobs(output) == rerun


ANOTHER_METRIC = """

def worst_error(images, data_range):
    return float(np.abs(images.restored - images.standard).max())


METRICS = (
    *METRICS,
    Metric(name="worst_error", label="worst error", function=worst_error, variant=QUANTITATIVE),
)
"""


def test_another_metric_scores_again_what_was_restored(repository, study, tmp_path):
    """A restoration may take hours: the job that scores does not repeat it, nor lose it."""
    package = tmp_path / "src/quietpet"
    shutil.copytree(repository / "src/quietpet", package)
    metrics = package / "evaluation/metrics.py"
    metrics.write_text(metrics.read_text() + ANOTHER_METRIC)
    restored, scores = (
        study / f"results/{name}/phantom/low/gaussian/r0" for name in ("restored", "scores")
    )
    before = files_of(study / "results")
    code = read_json(scores.with_suffix(".json"))["code"]
    snakemake(
        repository,
        *("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", study),
        scores.with_suffix(".csv").relative_to(study),
        PYTHONPATH=str(package.parent),
    )
    changed = {path for path, held in before.items() if path.read_bytes() != held}
    assert restored.with_suffix(".h5") in before
    assert changed == {scores.with_suffix(suffix) for suffix in (".csv", ".json")}
    assert read_json(scores.with_suffix(".json"))["code"] != code
    earlier = before[scores.with_suffix(".csv")].decode().splitlines()
    found = scores.with_suffix(".csv").read_text().splitlines()
    assert [line for line in found if ",worst_error,quantitative," not in line] == earlier
    assert len(found) > len(earlier)
    assert "kept" in (study / "logs/restore/phantom-low-gaussian-r0.log").read_text()


def test_the_truth_is_one_job_of_a_finished_study(repository, study):
    arguments = ("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", study)
    output = snakemake(repository, *arguments, "results/truth.csv")
    assert planned_jobs(output) == {"truth": 1}
    with (study / "results/truth.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["method"] == "standard dose"
    assert {row["method"] for row in rows[1:]} >= {"lpet", "gaussian", "unet"}
    assert float(rows[1]["mean"]) == float(rows[1]["standard_mean"]) > 0
    with (study / "results/tables.csv").open(newline="") as stream:
        assert "standard dose" not in {row["method"] for row in csv.DictReader(stream)}


def test_sampling_is_planned_for_the_report(repository, study, configuration, tmp_path):
    mfdiff = {**configuration["methods"]["mfdiff"], "timesteps": 20}
    planner = {"report": True, "slices": 1, "evaluations": [2]}
    changed = {
        **configuration, "methods": {**configuration["methods"], "mfdiff": mfdiff}, "planner": planner,
    }  # fmt: skip
    output = dry_run(repository, study, changed, tmp_path, target="results/sampling.csv")
    assert planned_jobs(output) == {"fit": 1, "plan": 1, "sampling": 1}
    options = ("--configfile", tmp_path / "study.yaml", "--directory", study)
    snakemake(repository, *options, "--show-failed-logs", "results/sampling.csv")
    with (study / "results/sampling.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    # Six curves of two evaluations, of which Heun's can use one, and the reference.
    assert [row["evaluations"] for row in rows] == ["20", "2", "2", "2", "2", "2", "1"]
    (shown,) = read_section(study / "results/sections/sampling.json").tables
    names = ("sampler", "spacing", "steps", "evaluations")
    assert [[str(row[name]) for name in names] for row in shown.rows] == [
        [row[name] for name in names] for row in rows
    ]
    output = snakemake(repository, *options, "--dry-run", "results/report.html")
    assert "results/sections/sampling.json" in output
    plan = read_json(study / "results/sampling/phantom/low/mfdiff.json")
    assert plan["provenance"]["settings"]["planner"]["slices"] == 1


def test_the_report_of_a_finished_study_adds_its_jobs_and_changes_no_file(repository, study):
    before = files_of(study / "results")
    tiny = ("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", study)
    snakemake(repository, *tiny, "--show-failed-logs", "results/report.html")
    assert [path for path, content in before.items() if path.read_bytes() != content] == []
    text = (study / "results/report.html").read_text()
    found = require_accessible(text)
    titles = {title.strip() for level in ("h2", "h3") for title in found.texts[level]}
    assert {
        "Tables", "Table 1: phantoms, all methods", "Images", "Images: phantom, low", "Training curves",
        "Provenance", "Times", "Hardware", "How to cite", "Known deviations and protocol",
    } <= titles  # fmt: skip
    assert "ICBM152 template, not BrainWeb" in text
    for step in ("fit", "score", "tables", "truth", "subjects", "uncertainty"):
        assert f"Device of <code>{step}</code>" in text
    assert len(text) < 15_000_000
    assert core_seconds((study / "logs/report.log").read_text().splitlines()) < 15
    nothing = snakemake(repository, *tiny, "--dry-run", "results/report.html")
    assert "Nothing to be done" in nothing


def test_snakemakes_own_report_has_captions_and_categories(repository, study):
    tiny = ("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", study)
    snakemake(repository, *tiny, "results/tables/export.json")
    wanted = ("results/tables.csv", "results/tables/export.json")
    snakemake(repository, *tiny, *wanted, "--report", study / "snakemake.zip")
    with zipfile.ZipFile(study / "snakemake.zip") as packed:
        names = packed.namelist()
        page = next(name for name in names if name.endswith("report.html"))
        text = packed.read(page).decode()
    assert any(name.endswith("table1.png") for name in names)
    assert "mean of each method with its interval over subjects" in text


def test_a_wrong_t1_adds_its_jobs_and_runs_no_other(repository, finished, configuration, tmp_path):
    """One for each method that looks at T1; the others have their scores already."""
    wrong = {"robustness": {"data": ["phantom/low"], "conditions": ["shift_2mm"]}}
    changed = {**configuration, **wrong}
    output = dry_run(repository, finished, changed, tmp_path, target="results/robustness.csv")
    free = {"lpet", "gaussian", "unet"}
    looking = len(configuration["methods"].keys() - free)
    assert planned_jobs(output) == {"robustness": looking, "robustness_table": 1}
    report = planned_jobs(dry_run(repository, finished, changed, tmp_path, target="results/report.html"))
    assert report["robustness_table"] == report["report"] == 1
    assert not report.keys() & {"fit", "restore", "tables"}
    scores = ("lpet/r0", "gaussian/r0", "unet/r0")
    for path in scores:
        assert f"results/scores/phantom/low/{path}.csv" in output
    assert "results/robustness/phantom/low/bowsher/r0.csv" in output
    assert "results/robustness/phantom/low/lpet" not in output


REALISED = {"data": ["phantom/low"], "slices": [72], "count": 4}


def test_noise_realisations_add_their_jobs_and_run_no_other(
    repository, finished, configuration, tmp_path
):
    target = {"target": "results/recovery.csv"}
    study = {**configuration, "realisations": REALISED}
    output = dry_run(repository, finished, study, tmp_path, **target)
    assert planned_jobs(output) == {
        "realised_slices": 1, "realise-phantom": 1,
        "recovery-phantom-low-0": 1, "recovery-phantom-low-1": 1, "recovery_table": 1,
    }  # fmt: skip
    assert "results/realisations/sinograms/phantom/low/06.h5" in output
    images = {**study, "methods": methods_of(configuration, "lpet", "unet")}
    output = dry_run(repository, finished, images, tmp_path, **target)
    assert "results/realisations/sinograms" not in output
    refused = dry_run(repository, finished, configuration, tmp_path, check=False, **target)
    assert "this study has no section realisations" in refused
    assert "add realisations: {data: [phantom/low]}" in refused


def test_another_method_restores_the_realisations_and_leaves_what_is_there(
    repository, finished, configuration, tmp_path
):
    """Another one than the first adds its job; files of the others stay as they are, byte by byte."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    results = folder / "results/realisations"

    def run(*left_out):
        study = {**configuration, "realisations": {**REALISED, "without": list(left_out)}}
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        arguments = ("--directory", folder, "--configfile", tmp_path / "study.yaml")
        snakemake(repository, *arguments, "--show-failed-logs", "results/recovery.csv")
        with (folder / "results/recovery.csv").open(newline="") as stream:
            return list(csv.DictReader(stream))

    costly = [name for name in configuration["methods"] if name not in ("lpet", "bowsher", "mfdiff")]
    rows = run("mfdiff", *costly)
    assert {row["method"] for row in rows} == {"standard dose", "low dose", "lpet", "bowsher"}
    before = {path: path.read_bytes() for path in results.rglob("*.h5")}
    measured = {path: path.read_bytes() for path in results.rglob("*.csv")}
    more = run(*costly)
    assert {row["method"] for row in more} - {row["method"] for row in rows} == {"mfdiff"}
    assert [row for row in more if row["method"] != "mfdiff"] == rows
    for path, kept in (before | measured).items():
        if not path.name.endswith(".maps.h5"):  # it has the time at which it was made
            assert path.read_bytes() == kept, path
    log = (folder / "logs/recovery/recovery-phantom-low-0.log").read_text()
    assert log.count("restore: its files are made of these settings, inputs and code; kept") == 2


def test_a_wrong_t1_that_the_study_does_not_ask_for_is_refused(repository, tmp_path):
    tiny = repository / "workflow/configs/tiny.yaml"
    study = ("--configfile", tiny, "--directory", tmp_path, "--dry-run")
    for path in ("results/robustness.csv", "results/robustness/phantom/low/bowsher/r0.csv"):
        output = snakemake(repository, *study, path, check=False)
        assert "this study has no section robustness" in output
        assert "add robustness: {data: [phantom/low]}" in output


def test_the_rules_name_files_as_the_table_of_steps_does(repository, configuration, tmp_path):
    """In a study that uses every step; settings that the commands carry are those of the step's job."""
    half = {"thinned": {"fraction": 0.5}, "psf_fwhm_mm": 2.5, "iterations": 4, "subsets": 14}
    doses = configuration["doses"]
    staged = {**LEARNING, "regimes": {**LEARNING["regimes"], "mixed": ["mixed"]}}
    regions = {"doses": DOMAIN["doses"], "regions": {}}
    cohorts = {"healthy": regions, "alzheimer": {**regions, "regions": {"disease": {}}}}
    splits = {"train": ["01"], "validation": ["02"], "test": ["03"]}
    own = {"source": "adni", "splits": splits, "settings": {"x20": {"dose": "x20"}}}
    invivo = {
        **INVIVO,
        "sources": {**INVIVO["sources"], "adni": {"kind": "pairs", "root": "pairs"}},
        "datasets": {**INVIVO["datasets"], "own": {**own, "regimes": ["external"]}},
    }
    pairs = [row for each in ("01", "02", "03") for row in pair_folder.rows_of(each)]
    pair_folder.write_table(tmp_path / "pairs", pairs)
    for each in ("01", "02", "03"):
        pair_folder.write_images(tmp_path / "pairs", each)
    study = {
        **configuration, "domains": {"other": DOMAIN, **cohorts}, "standin": STANDIN, "invivo": invivo,
        "cohorts": {"healthy": "healthy", "diseased": ["alzheimer"]},
        "learning": staged, "planner": {"report": True, "slices": 1, "evaluations": [2]},
        "phantoms": {"source": "auto"}, "scanner": {"projector": "auto"},
        "robustness": {"data": ["phantom/low", "other/faint"], "conditions": ["shift_2mm"]},
        "dose_response": {"cross": True},
        "realisations": {"data": ["phantom/low", "other/faint"]},
        "doses": {**doses, "low": {**doses["low"], "half": half}},
        "training": {
            **configuration["training"],
            "learning_rate_trials": {"factors": [0.3, 1], "iterations": 2},
        },
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    output = snakemake(
        repository,
        *("--configfile", tmp_path / "study.yaml", "--directory", tmp_path),
        *("--dry-run", "--printshellcmds", "results/tables.csv", "results/counts.csv"),
        *("results/recovery.csv", "results/report.html"),
    )
    jobs = re.findall(r"^Shell command: quietpet (.*?) 2>", output, re.MULTILINE)
    commands = [words for job in jobs for words in split_at_then(shlex.split(job))]
    for verb, *words in commands:
        given, read = words.index("--settings"), words.index("--in") if "--in" in words else None
        written = words.index("--out")
        inputs = Files.parse(words[read + 1 : written] if read else [])
        STEPS[verb].require_names(inputs, Files.parse(words[written + 1 :]))
        STEPS[verb].job.model_validate_json(words[given + 1])
    assert {verb for verb, *_ in commands} == set(STEPS)


def test_only_methods_that_reconstruct_get_sinograms(repository, configuration, tmp_path):
    """Those of their own split and dose: validation for fit, test for restore, and what is learned."""
    methods = {**configuration["methods"], "fbsem": {"updates": 2}}
    splits = {"train": ["04"], "validation": ["05", "18"], "test": ["06", "20"]}
    study = {**configuration, "methods": methods, "splits": splits}
    output = dry_run(repository, tmp_path, study, tmp_path)
    planned = r"^rule (fit|restore):\n +input: (.+)\n(?:.*\n)*? +wildcards: .*method=(\w+)"
    jobs = re.findall(planned, output, re.MULTILINE)
    assert len(jobs) == 19  # one more restoration than fits
    for stage, inputs, method in jobs:
        found = [path for path in inputs.split(", ") if "sinograms" in path]
        subjects = splits["validation" if stage == "fit" else "test"]
        subjects = {
            "bowsher": subjects,
            "fbsem": [*(splits["train"] if stage == "fit" else []), *subjects],
        }.get(method, [])
        wanted = [f"results/sinograms/phantom/{subject}/low.h5" for subject in subjects]
        assert found == wanted, (stage, method)


def test_methods_of_the_same_training_share_weights_and_learning_rate(
    repository, configuration, tmp_path
):
    """m2diff with and without T1; one that is no variant of it has a training of its own."""
    small = {
        "kind": "m2diff", "channels": 8, "norm_groups": 4, "multipliers": [1, 2], "blocks": 1,
        "attention": [False, False], "sampler": "ddim", "sampling_steps": 2,
    }  # fmt: skip
    methods = {
        "m2diff": small,
        "m2diff_nomri": {**small, "t1": "none", "pet_only_of": "m2diff"},
        "m2diff_other": {**small, "sampling_steps": 1},
    }
    trials = {"learning_rate_trials": {"factors": [1, 3], "iterations": 2}}
    training = {**configuration["training"], **trials}
    study = {**configuration, "methods": methods, "training": training, "planner": {"report": True}}
    output = dry_run(repository, tmp_path, study, tmp_path, target="results/report.html")
    of_weights = (
        r"^rule (fit|learning_rate|restore|plan):\n +input: (.+)\n(?:.*\n)*? +wildcards: .*method=(\w+)"
    )
    jobs = re.findall(of_weights, output, re.MULTILINE)
    for rule in ("fit", "learning_rate"):
        assert {method for found, _, method in jobs if found == rule} == {"m2diff", "m2diff_other"}
    for rule in ("restore", "plan"):
        used = {method: paths for found, paths, method in jobs if found == rule}
        assert set(used) == set(methods)
        for method, trained in {
            **dict.fromkeys(methods, "m2diff"),
            "m2diff_other": "m2diff_other",
        }.items():
            assert f"results/models/phantom/low/{trained}/r0/weights.safetensors" in used[method]


def test_a_folder_with_brainweb_is_used_and_named(repository, shared, configuration, tmp_path):
    """Source auto with all volumes at hand; a subject added later joins without touching the others."""
    path = tmp_path / "study.yaml"

    def run(*arguments):
        options = ("--configfile", path, "--directory", tmp_path)
        folder = str(shared / "brainweb")
        return snakemake(repository, *options, *arguments, QUIETPET_BRAINWEB=folder)

    study = {**configuration, "phantoms": {"source": "auto"}}
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    run("results/phantoms/phantom/06.h5")
    with open_hdf5(tmp_path / "results/phantoms/phantom/06.h5", kind="phantom") as file:
        assert read_attribute(file, "lineage") == {"data_source": "brainweb"}

    study["splits"] = {**configuration["splits"], "test": ["06", "18"]}
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    output = run("--dry-run", "results/phantoms/phantom/06.h5", "results/phantoms/phantom/18.h5")
    assert planned_jobs(output) == {"fetch": 1, "phantom": 1}

    # Without the variable the phantoms stay what they are: BrainWeb never turns into the template.
    path.write_text(yaml.safe_dump({**study, "splits": configuration["splits"]}, sort_keys=False))
    target = "results/phantoms/phantom/06.h5"
    arguments = ("--configfile", path, "--directory", tmp_path, "--dry-run", target)
    assert "Nothing to be done" in snakemake(repository, *arguments)


def test_a_relative_folder_with_a_space_is_found(repository, shared, configuration, tmp_path):
    """QUIETPET_BRAINWEB is relative to where the command is given, whatever --directory says."""
    volumes = tmp_path / "brain web"
    volumes.mkdir()
    for subject in configuration["splits"].values():
        name = f"subject_{subject[0]}.bin.gz"
        (volumes / name).symlink_to(shared / "brainweb" / name)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**configuration, "phantoms": {"source": "brainweb"}}))
    arguments = ("--configfile", path, "--directory", tmp_path / "run", "results/phantoms/phantom/06.h5")
    snakemake(repository, *arguments, QUIETPET_BRAINWEB="brain web", PWD=str(tmp_path))
    assert (tmp_path / "run/results/phantoms/phantom/06.h5").exists()


def test_a_wrong_configuration_ends_at_once(repository, configuration, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump({**configuration, "dosis": {}}))
    arguments = ("--directory", tmp_path, "--configfile", path, "--dry-run", "results/tables.csv")
    output = snakemake(repository, *arguments, check=False)
    assert "dosis: unknown key; remove it or correct its spelling" in output
    assert not (tmp_path / "results").exists()


def test_a_key_that_stands_twice_ends_at_once(repository, configuration, tmp_path):
    """Snakemake's own loader keeps the last of the two, and a study without the other goes on."""
    path = tmp_path / "twice.yaml"
    path.write_text(yaml.safe_dump(configuration) + "study_seed: 7\n")
    arguments = ("--directory", tmp_path, "--configfile", path, "--dry-run", "results/tables.csv")
    output = snakemake(repository, *arguments, check=False)
    assert f"{path}: the key 'study_seed' stands twice" in output
    assert not (tmp_path / "results").exists()


def test_sirf_where_it_is_absent_ends_at_once(repository, configuration, tmp_path):
    if sirf_is_installed():
        pytest.skip("SIRF is installed")
    path = tmp_path / "sirf.yaml"
    path.write_text(yaml.safe_dump({**configuration, "scanner": {"projector": "sirf"}}))
    arguments = ("--directory", tmp_path, "--configfile", path, "--dry-run", "results/tables.csv")
    output = snakemake(repository, *arguments, check=False)
    assert "scanner.projector = 'sirf', but SIRF is not installed here" in output
    assert not (tmp_path / "results").exists()


def test_auto_decides_once_and_records_the_engine(repository, study, configuration, tmp_path):
    """A decision that says `embedded` is kept, and only what depends on it runs."""
    changed = {**configuration, "scanner": {**configuration["scanner"], "projector": "auto"}}
    path = tmp_path / "auto.yaml"
    path.write_text(yaml.safe_dump(changed, sort_keys=False))
    options = ("--configfile", path, "--directory", study)
    target = "results/images/phantom/06/low.h5"
    jobs = planned_jobs(snakemake(repository, *options, "--dry-run", target))
    assert jobs == {"engine": 1, "simulate": 1}
    output = snakemake(repository, *options, target)
    engine = read_json(study / "results/engine.json")["projector"]
    assert f"scanner.projector = auto: this study uses the projector {engine!r}: " in output
    with open_hdf5(study / target, kind="images") as file:
        assert read_attribute(file, "lineage")["projector"] == engine
    assert "Nothing to be done" in snakemake(repository, *options, "--dry-run", target)


def test_a_truncated_input_is_named_and_nothing_is_written(repository, study):
    """Half the slices: the job fails with one sentence in its log, and makes no images."""
    slices = study / "results/slices/phantom/06.h5"
    content = slices.read_bytes()
    slices.write_bytes(content[: len(content) // 2])
    output = snakemake(
        repository,
        *("--directory", study, "--configfile", repository / "workflow/configs/tiny.yaml"),
        *("--show-failed-logs", "results/tables.csv"),
        check=False,
    )
    assert re.search(
        r"quietpet: error: results/slices/phantom/06\.h5: was changed or damaged .* move it away, and",
        output,
    )
    assert "Traceback" not in output
    assert not list((study / "results/images/phantom/06").glob("*"))


def test_regions_are_measured_in_compared_data_sets_alone(repository, tmp_path):
    """The shipped cohorts with filters alone: what is said of restorations holds for theirs, too."""
    study = yaml.safe_load((repository / "workflow/configs/cohorts.yaml").read_text())
    study["phantoms"]["source"] = "template"
    study["methods"] = {"lpet": {}, "gaussian": {}}
    path = tmp_path / "study.yaml"
    asked = ("--dry-run", "results/report.html", "--set-resources", "restore:runtime=77")
    restored = {}
    for compared in (True, False):
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        output = snakemake(repository, "--configfile", path, "--directory", tmp_path, *asked)
        jobs = planned_jobs(output)
        restored[compared] = jobs["restore"] + jobs["cohort_restore"]
        assert output.count(", runtime=77") == restored[compared]
        assert (jobs["cohorts"], jobs["cohort_restore"] > 0) == (compared, compared)
        assert ("regions.csv" in output) == compared
        study.pop("cohorts", None)
    assert restored[True] == restored[False]
    options = ("--configfile", path, "--directory", tmp_path, "--dry-run", "results/effects.csv")
    assert "this study has no section cohorts, which" in snakemake(repository, *options, check=False)
