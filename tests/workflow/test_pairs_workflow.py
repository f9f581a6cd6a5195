"""A folder of pairs in the workflow: from its table to scores, and nothing again without a reason."""

from __future__ import annotations

import csv
import os
import shutil

import pair_folder as folder
import pytest
import yaml
from workflow_runs import planned_jobs, snakemake

from quietpet.files.text import read_json

pytestmark = pytest.mark.workflow

SCANS = [f"results/invivo/adni_sub-0{number}" for number in (1, 2, 3)]


def run(repository, project, *arguments, check=True):
    paths = ("--configfile", project / "study.yaml", "--directory", project / "run")
    return snakemake(repository, *paths, "--show-failed-logs", *arguments, check=check)


@pytest.fixture
def project(repository, tmp_path):
    """A study whose scans are three pairs; the unit of 02 is none that is read, and 03 has no T1."""
    raw = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    splits = {"train": ["01"], "validation": ["02"], "test": ["03"]}
    raw["methods"] = {"lpet": {}}
    raw["registration"] = {"engine": "identity"}
    raw["learning"] = {"stages": {"internal": {"data": ["own"]}}, "regimes": {"internal": ["internal"]}}
    raw["invivo"] = {
        "sources": {"adni": {"kind": "pairs", "root": "my pairs", "t1_presence": "if_there"}},
        "datasets": {
            "own": {"source": "adni", "splits": splits, "settings": {"faint": {"dose": "x20"}}}
        },
        "slices": {
            "indices": [14, 16], "axis_slices": 30, "slice_mm": 4, "rotations": 1, "pixel_mm": 2.08626,
        },
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(raw))
    root = tmp_path / "my pairs"
    for participant in ("01", "02", "03"):
        folder.write_images(root, participant)
    table(root, unit="SUVlbm")
    return tmp_path


def table(root, **of_02):
    rows = [*folder.rows_of("01"), *folder.rows_of("03", t1="n/a"), *folder.rows_of("02", **of_02)]
    folder.write_table(root, rows)


def test_pairs_go_from_their_table_to_scores(repository, project):
    dry = run(repository, project, "--dry-run", "results/tables.csv")
    jobs = planned_jobs(dry)
    # `lpet` learns nothing, so that it needs the test split alone.
    assert (jobs["import_adni"], jobs["register_adni"], jobs["pack_scans"]) == (1, 1, 1)
    assert not [name for name in jobs if name.startswith("fetch_")]
    scans = [f"{scan}/registered/registration.json" for scan in SCANS]
    output = run(repository, project, "--keep-going", *scans, check=False)
    assert "adni_sub-02: pairs.tsv: unit (standard) is 'SUVlbm', but should be Bq/mL" in output
    assert [(project / "run" / scan).exists() for scan in scans] == [True, False, True]
    engines = [read_json(project / "run" / scan)["engine"] for scan in (scans[0], scans[2])]
    assert engines == ["identity", "none"]
    # The row of one is corrected; nobody else is imported again.
    table(project / "my pairs")
    assert planned_jobs(run(repository, project, "--dry-run", *scans)) == {
        "import_adni": 1, "register_adni": 1,
    }  # fmt: skip
    scores = "results/scores/own/faint/lpet/r0.csv"
    run(repository, project, *scans, scores)
    with (project / "run" / scores).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["subject"] for row in rows if row["subject"]} == {"03"}
    assert {row["data_source"] for row in rows} <= {"adni"}
    assert "Nothing to be done" in run(repository, project, "--dry-run", *scans, scores)
    # An image that is there anew imports its own participant again.
    image = project / "my pairs/03/ld.nii.gz"
    folder.altered(image, lambda seen: 1.01 * seen)
    again = planned_jobs(run(repository, project, "--dry-run", *scans))
    assert again == {"import_adni": 1, "register_adni": 1}
    run(repository, project, *scans)
    # So does an older one put in its place, and a copy of another time does not.
    os.utime(image, (1e9, 1e9))
    assert "Nothing to be done" in run(repository, project, "--dry-run", *scans)
    folder.altered(image, lambda seen: 0.99 * seen)
    os.utime(image, (1e9, 1e9))
    again = planned_jobs(run(repository, project, "--dry-run", *scans))
    assert again == {"import_adni": 1, "register_adni": 1}
    (project / "my pairs/pairs.tsv").unlink()
    output = run(repository, project, "--dry-run", *scans, check=False)
    assert "invivo.sources.adni.root: ../my pairs/pairs.tsv: no such file" in output


def test_names_that_no_workflow_can_hold_stop_their_own_participant(repository, project):
    """Braces are wildcards to Snakemake, and a name of 300 letters is none that it may ask for."""
    root = project / "my pairs"
    shutil.copy(root / "02/ld.nii.gz", root / "02/ld{x}.nii.gz")
    rows = [*folder.rows_of("01"), *folder.rows_of("02"), *folder.rows_of("03", t1="n/a")]
    rows[3]["pet"] = "02/ld{x}.nii.gz"
    rows[5]["pet"] = f"{'a' * 300}.nii"
    folder.write_table(root, rows)
    scans = [f"{scan}/scan.json" for scan in SCANS]
    output = run(repository, project, "--keep-going", *scans, check=False)
    assert [(project / "run" / scan).exists() for scan in scans] == [True, False, False]
    assert "adni_sub-02: pairs.tsv: pet (x20) is '02/ld{x}.nii.gz', but should be a name" in output
    assert "cannot be looked for (File name too long)" in output
    assert "Traceback" not in output
