"""``quietpet prune``: what nothing needs any more can go, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_results import edit_hdf5, small_results

from quietpet.chain import code_now
from quietpet.cli import main
from quietpet.commands.prune import LEDGER, prune
from quietpet.errors import InputError
from quietpet.files.hdf5 import write_hdf5
from quietpet.jobs.acquisition import ReconstructJob
from quietpet.outputs.places import listed
from quietpet.provenance import Stopwatch, provenance

SLICES = "slices/phantom/45.h5"
SINOGRAMS = "sinograms/phantom/45/low.h5"
IMAGES = "images/phantom/45/low.h5"
DATASET = "datasets/phantom/low/test.h5"
RESTORED = "restored/phantom/low/unet/r0.h5"
CHAIN = [SLICES, SINOGRAMS, IMAGES, DATASET, RESTORED]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return small_results(tmp_path_factory.mktemp("made") / "study")


@pytest.fixture
def root(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "results")
    return tmp_path / "results"


def pruned(root, *, steps=(), delete=False, edited=()):
    """Paths that can go and reasons of those that stay; the code of the ``edited`` steps has changed."""
    report = root.parent / "report.json"
    prune(
        root,
        steps=steps,
        delete=delete,
        each_file=True,
        json=report,
        code_now=lambda record: None if record["stage"] in edited else record["code"],
    )
    found = json.loads(report.read_text())
    return [each["path"] for each in found["can_go"]], {
        each["path"]: each["reason"] for each in found["stay"]
    }


def test_what_the_tables_were_made_of_can_go_in_the_order_of_the_workflow(root):
    before = listed(root)
    assert pruned(root)[0] == CHAIN
    assert listed(root) == before


def test_deleted_is_what_was_listed(root, capsys):
    before = set(listed(root))
    pruned(root, delete=True)
    assert set(listed(root)) == before - set(CHAIN)
    assert "Deleted 5 files" in capsys.readouterr().out
    kept = json.loads((root / LEDGER).read_text())
    assert list(kept) == CHAIN
    assert kept[SINOGRAMS]["stage"] == "simulate"
    assert pruned(root, delete=True)[0] == []
    assert json.loads((root / LEDGER).read_text()) == kept


def test_sizes_and_costs_are_told_by_step(root, capsys):
    size = (root / SINOGRAMS).stat().st_size
    pruned(root, steps=["simulate"])
    told = capsys.readouterr().out
    assert f"`simulate`: 1 file, {size / 2**20:.1f} MiB; made again in 2 s of `simulate`" in told
    assert f"{SINOGRAMS} (" in told
    assert "Nothing was deleted; --delete does it." in told


def test_some_steps_alone(root):
    assert pruned(root, steps=["simulate", "reconstruct"], delete=True)[0] == [SINOGRAMS, IMAGES]
    assert (root / SLICES).exists()


def test_without_tables_all_stays(root):
    (root / "tables.json").unlink()
    can_go, stay = pruned(root)
    assert can_go == []
    assert stay[SINOGRAMS] == "the tables are not made yet"


def test_what_is_not_in_the_tables_stays(root):
    assert pruned(root)[1] == {
        "invivo/ds_sub-01/standard.nii.gz": "the tables were not made of it",
    }
    other = root / "images/phantom/46/low.h5"
    other.parent.mkdir()
    shutil.copy(root / IMAGES, other)
    assert pruned(root)[1]["images/phantom/46/low.h5"] == "no file that is there was made of it"


def test_a_file_that_is_newer_than_what_was_made_of_it_stays(root):
    edit_hdf5(root / IMAGES, "image", 7.0)
    can_go, stay = pruned(root)
    assert stay[IMAGES] == f"{DATASET} was made of another file of this name"
    assert can_go == [path for path in CHAIN if path != IMAGES]


@pytest.mark.parametrize(
    ("edited", "kept"),
    [("reconstruct", [SINOGRAMS]), ("pack", [IMAGES]), ("fit", [DATASET]), ("tables", [])],
)
def test_what_another_code_would_read_stays(root, edited, kept):
    can_go, stay = pruned(root, edited=[edited])
    assert can_go == [path for path in CHAIN if path not in kept]
    assert all(f"by other code of `{edited}`" in stay[path] for path in kept)


def test_what_makes_a_deleted_file_again_stays_while_that_is_needed(root):
    pruned(root, steps=["reconstruct"], delete=True)
    can_go, stay = pruned(root, edited=["pack"])
    assert stay[SINOGRAMS] == f"{DATASET} was made by other code of `pack`"
    assert SINOGRAMS not in can_go
    assert SINOGRAMS in pruned(root)[0]


def test_files_of_the_user_stay(root, tmp_path):
    """Those that lie elsewhere, in a tree of BIDS, or say nothing of how they were made."""
    elsewhere = tmp_path / "elsewhere.h5"
    (root / SINOGRAMS).rename(elsewhere)
    (root / SINOGRAMS).symlink_to(elsewhere)
    (root / "slices/dataset_description.json").write_text("{}")
    write_hdf5(root / "images/phantom/45/mine.h5", kind="mine", arrays={}, attributes={})
    (root / "restored/notes.h5").write_text("mine")
    assert pruned(root, delete=True)[0] == [IMAGES, DATASET, RESTORED]
    assert elsewhere.exists()
    assert (root / SLICES).exists()
    assert (root / "images/phantom/45/mine.h5").exists()
    assert (root / "restored/notes.h5").exists()


def test_a_folder_of_results_may_be_a_link(root, tmp_path):
    root.rename(tmp_path / "disk")
    root.symlink_to(tmp_path / "disk")
    assert pruned(root, delete=True)[0] == CHAIN
    assert not (tmp_path / "disk" / SINOGRAMS).exists()


def test_nothing_is_deleted_while_snakemake_works_there(root):
    locks = root.parent / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    with pytest.raises(InputError, match="Snakemake is working in this folder"):
        pruned(root, delete=True)
    assert (root / SINOGRAMS).exists()
    assert pruned(root)[0] == CHAIN


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent"], "absent: no such folder"),
        (["results", "--steps", "fit"], "--steps fit: its files stay"),
        (["results", "--steps", "simulates"], "--steps simulates: its files stay"),
    ],
)
def test_mistakes_are_one_sentence(root, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(root.parent)
    assert main(["prune", *arguments]) == 1
    assert told in capsys.readouterr().err


def test_the_command_asks_for_the_code_of_today(root, monkeypatch, capsys):
    """These records name a code that never was."""
    monkeypatch.chdir(root.parent)
    assert main(["prune"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("0 files")
    assert f"`simulate`: 1 file stays: {IMAGES} was made by other code of `reconstruct`" in told


def test_the_code_of_today_is_that_of_a_record_made_today():
    protocol = {"psf_fwhm_mm": 4.0, "iterations": 10, "subsets": 14}
    job = ReconstructJob.model_validate(
        {"subject": "45", "dose": "low", "protocol": protocol, "scanner": {"projector": "embedded"}}
    )
    settings = json.loads(job.model_dump_json())
    record = provenance(
        "reconstruct", settings=settings, inputs=(), watch=Stopwatch(), also=job.named_code
    )
    assert code_now(record) == record["code"]
    assert code_now({**record, "settings": {"none": 1}}) is None
    assert code_now({**record, "stage": "none"}) is None
