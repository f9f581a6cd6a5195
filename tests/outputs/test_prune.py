"""``quietpet prune``: what nothing needs any more can go, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import h5py
import pytest
from small_results import edit_hdf5, small_results

from quietpet.chain import code_now
from quietpet.cli import main
from quietpet.commands.prune import LEDGER, prune
from quietpet.errors import InputError
from quietpet.files.hdf5 import write_hdf5
from quietpet.files.text import write_json, write_text
from quietpet.jobs.acquisition import ReconstructJob
from quietpet.outputs.places import Place, listed, places_of
from quietpet.provenance import Stopwatch, file_digest, provenance

SLICES = "slices/phantom/45.h5"
SINOGRAMS = "sinograms/phantom/45/low.h5"
IMAGES = "images/phantom/45/low.h5"
DATASET = "datasets/phantom/low/test.h5"
RESTORED = "restored/phantom/low/unet/r0.h5"
WEIGHTS = "models/phantom/low/unet/r0/weights.safetensors"
GALLERY = [f"gallery/phantom-low.{name}" for name in ("json", "png", "provenance.json", "svg")]
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
        code_now=lambda record: None if record.get("stage") in edited else record["code"],
    )
    found = json.loads(report.read_text())
    return [each["path"] for each in found["can_go"]], {
        each["path"]: each["reason"] for each in found["stay"]
    }


def add(root: Path, path: str, step: str, *inputs: str) -> None:
    """A file of ``step``, or its record, made of ``inputs``."""
    record = {
        "stage": step,
        "settings": {},
        "inputs": {str(root / each): file_digest(root / each) for each in inputs},
        "code": f"code of {step}",
    }
    if path.endswith(".h5"):
        write_hdf5(root / path, kind=step, arrays={}, attributes={"provenance": record})
    else:
        write_json(root / path, record)


def add_gallery(root: Path) -> None:
    for path in GALLERY:
        write_text(root / path, "{}")
    add(root, "gallery/phantom-low.provenance.json", "gallery", RESTORED, DATASET)


def place_of(step: str, path: str) -> Place:
    return next(place for place in places_of(path) if place.step == step)


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


def test_without_the_report_all_stays(root):
    """Steps that show something may still have to run for the first time."""
    (root / "report.html").unlink()
    can_go, stay = pruned(root)
    assert can_go == []
    assert stay[RESTORED] == "the report is not made yet"


@pytest.mark.parametrize(
    "moved",
    [
        WEIGHTS,
        "scores/phantom/low/unet/r0.json",
        "scores/phantom/low/unet/r0.csv",
        "models/phantom/low/unet/r0/card.md",
        "models/phantom/low/unet/r0/training.csv",
        *GALLERY,
    ],
)
def test_what_was_moved_away_to_be_made_anew_keeps_what_makes_it(root, moved):
    add_gallery(root)
    assert pruned(root)[0] == CHAIN
    (root / moved).rename(root.parent / "moved")
    can_go, stay = pruned(root)
    needed = {RESTORED} if moved.startswith("scores") else {DATASET}
    if moved in GALLERY:
        needed |= {RESTORED}
    assert not needed & set(can_go)
    assert any(moved in stay[path] for path in needed)


def test_what_makes_deleted_inputs_of_a_missing_file_again_stays(root):
    pruned(root, steps=["restore"], delete=True)
    (root / "scores/phantom/low/unet/r0.csv").unlink()
    can_go, stay = pruned(root)
    assert DATASET not in can_go
    assert "scores/phantom/low/unet/r0.csv is missing" in stay[DATASET]


def test_a_gallery_that_another_code_would_draw_keeps_what_it_shows(root):
    add_gallery(root)
    can_go, stay = pruned(root, edited=["gallery"])
    assert can_go == [SLICES, SINOGRAMS, IMAGES]
    for path in (DATASET, RESTORED):
        assert stay[path] == "gallery/phantom-low.provenance.json was made by other code of `gallery`"


def test_ratings_that_another_code_would_give_keep_the_realisations(root):
    """The table of recovery, too, was made of them, and is up to date."""
    data, restored = "realisations/data/phantom/low.h5", "realisations/restored/phantom/low/unet/r0.h5"
    job = "realisations/recovery/phantom/low/unet/r0"
    add(root, data, "realise")
    add(root, restored, "restore", data)
    add(root, f"{job}.json", "recovery", restored, data)
    add(root, f"{job}.ratings.json", "observe", restored, data)
    for part in ("lesions", "noise", "ratings"):
        (root / f"{job}.{part}.csv").write_text("a\n1\n")
    add(root, "recovery.json", "recovery_table", f"{job}.lesions.csv", data)
    for path in place_of("recovery_table", "recovery.json").whole:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    add(root, "tables.json", "tables", "scores/phantom/low/unet/r0.csv", "recovery.json")
    assert sorted(pruned(root)[0]) == sorted([*CHAIN, data, restored])
    can_go, stay = pruned(root, edited=["observe"])
    assert can_go == CHAIN
    assert stay[restored] == f"{job}.ratings.json was made by other code of `observe`"
    for path in (f"{job}.ratings.json", "figures/bias_and_noise.svg", "recovery.json"):
        held = (root / path).read_bytes()
        (root / path).unlink()
        assert data not in pruned(root)[0], path
        (root / path).write_bytes(held)


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


@pytest.mark.parametrize("way", ["named", "from within", "by two links"])
def test_nothing_is_deleted_of_a_link_while_snakemake_works_beside_it(root, tmp_path, monkeypatch, way):
    """Its lock lies beside the name that Snakemake uses, not beside the disk that holds the files."""
    disk, study = tmp_path / "disk/held", tmp_path / "study"
    disk.parent.mkdir()
    study.mkdir()
    root.rename(disk)
    (study / "results").symlink_to("../disk/held")
    locks = study / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    named = study / "results"
    if way == "from within":
        monkeypatch.chdir(named)
        monkeypatch.setenv("PWD", str(named))
        named = Path()
    if way == "by two links":
        named = tmp_path / "shortcut"
        named.symlink_to(study / "results")
    json_file = tmp_path / "found.json"
    options = {"steps": (), "each_file": False, "json": json_file, "code_now": lambda each: each["code"]}
    with pytest.raises(
        InputError, match=r"study/\.snakemake/locks: Snakemake is working in this folder"
    ):
        prune(named, delete=True, **options)
    assert all((disk / path).exists() for path in CHAIN)
    (locks / "0.input.lock").unlink()
    prune(named, delete=True, **options)
    assert not (disk / SINOGRAMS).exists()


def test_nothing_is_deleted_while_snakemake_works_there(root):
    locks = root.parent / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    with pytest.raises(InputError, match="Snakemake is working in this folder"):
        pruned(root, delete=True)
    assert (root / SINOGRAMS).exists()
    assert pruned(root)[0] == CHAIN


STRANGE = [
    "made by me", 1, [1], {"provenance": 1}, {"inputs": ["a"]}, {"settings": 3, "inputs": {}},
    {"stage": [1]}, {"inputs": {"results/a": 1}}, {"stage": "simulate", "wall_s": "long"},
]  # fmt: skip


@pytest.mark.parametrize("record", STRANGE)
def test_records_of_other_programs_are_none(root, record):
    """In HDF5 and JSON; what lies beside them is judged as before."""
    with h5py.File(root / IMAGES, "r+") as file:
        file.attrs["provenance"] = json.dumps(record)
    held = {
        "stage": "score",
        "settings": {},
        "inputs": {},
        **(record if isinstance(record, dict) else {}),
    }
    (root / "mine.json").write_text(json.dumps(held))
    (root / "scores/mine.json").write_text(json.dumps({"provenance": record}))
    can_go, _ = pruned(root, delete=True)
    assert IMAGES not in can_go
    assert (root / IMAGES).exists()
    assert main(["diff", str(root), str(root)]) == 0


def test_a_flipped_bit_in_a_record_makes_it_none(root):
    whole = (root / IMAGES).read_bytes()
    place = whole.index(b'"stage"')
    for offset in range(-1, 40):
        data = bytearray(whole)
        data[place + offset] ^= 4
        (root / IMAGES).write_bytes(data)
        pruned(root)


@pytest.mark.parametrize("text", ["[1]", '{"x": 3}', '{"x": {"inputs": [1]}}', "{", "[" * 100_000])
def test_a_list_of_deleted_files_that_is_none_is_told(root, text):
    (root / LEDGER).write_text(text)
    with pytest.raises(InputError, match=LEDGER):
        pruned(root, delete=True)
    assert (root / SINOGRAMS).exists()


def test_a_pipe_is_no_file(root):
    os.mkfifo(root / "p.json")
    os.mkfifo(root / "scores/p.h5")
    assert pruned(root)[0] == CHAIN


@pytest.mark.parametrize("folder", ["home", "results/restored", "empty"])
def test_folders_that_hold_no_results_are_refused(root, tmp_path, monkeypatch, capsys, folder):
    (tmp_path / "home/letters").mkdir(parents=True)
    (tmp_path / "home/letters/a.h5").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["prune", folder, "--delete"]) == 1
    assert f"{folder}: no file in it lies where a step" in capsys.readouterr().err
    assert (root / RESTORED).exists()


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
