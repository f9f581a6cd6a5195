"""Steps that run one after the other in one process: ``quietpet <step> ... then <step> ...``."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from pathlib import Path

import h5py
import pytest
from packed import write_splits

from quietpet import provenance
from quietpet.chain import Link, split_at_then
from quietpet.cli import main
from quietpet.errors import OutputError
from quietpet.outputs.digests import keep_digests, require_as_made
from quietpet.stages import restore, score

pytestmark = pytest.mark.usefixtures("_on_the_cpu")

NAMES = {"dataset": "phantom", "setting": "low", "method": "m", "replicate": "r0", "learning": "-"}
RESTORE = {**NAMES, "study_seed": 1, "model": {"kind": "lpet"}, "inference": {"pixels": 48}}
SCORE = {**NAMES, "evaluation": {"paper_window_pixels": 32}}


@pytest.fixture
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("QUIETPET_DEVICE", "cpu")


@pytest.fixture(scope="module")
def test_slices(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("packed"), slices=3)["test"]


def restoring(slices, folder, **changes):
    job = json.dumps({**RESTORE, **changes})
    return ["restore", "--settings", job, "--in", f"test={slices}", "--out", f"restored={folder}/r.h5"]


def scoring(slices, folder, **changes):
    return [
        *("score", "--settings", json.dumps({**SCORE, **changes})),
        *("--in", f"restored={folder}/r.h5", f"test={slices}"),
        *("--out", f"scores={folder}/s.csv", f"provenance={folder}/s.json"),
    ]


@pytest.fixture
def runs(monkeypatch):
    """Names of the steps that really run."""
    found = []
    for stage in (restore, score):
        monkeypatch.setattr(
            stage, "run", lambda *given, run=stage.run, stage=stage: (found.append(stage), run(*given))
        )
    return found


def test_a_chain_writes_what_its_steps_would(test_slices, tmp_path):
    together, apart = tmp_path / "together", tmp_path / "apart"
    assert main([*restoring(test_slices, together), "then", *scoring(test_slices, together)]) == 0
    assert main(restoring(test_slices, apart)) == main(scoring(test_slices, apart)) == 0
    assert (together / "s.csv").read_bytes() == (apart / "s.csv").read_bytes()
    with h5py.File(together / "r.h5") as one, h5py.File(apart / "r.h5") as other:
        assert (one["single"][()] == other["single"][()]).all()


def test_a_step_whose_files_are_as_it_would_make_them_is_kept(test_slices, tmp_path, runs):
    """So that a metric that is new scores again, and restores nothing again."""

    def chain(restored=None, scored=None):
        runs.clear()
        words = restoring(test_slices, tmp_path, **(restored or {}))
        assert main([*words, "then", *scoring(test_slices, tmp_path, **(scored or {}))]) == 0
        return list(runs)

    made = tmp_path / "r.h5"
    assert chain() == [restore, score]
    content = made.read_bytes()
    os.utime(made, (1, 1))
    assert chain() == [score]
    assert chain(scored={"evaluation": {"paper_window_pixels": 20}}) == [score]
    assert made.read_bytes() == content
    assert made.stat().st_mtime > 1, "no older than inputs that were written anew"
    assert chain(restored={"study_seed": 2}) == [restore, score]
    made.write_bytes(made.read_bytes()[:-100])
    assert chain(restored={"study_seed": 2}) == [restore, score]


def test_a_step_with_other_inputs_or_code_runs_again(test_slices, tmp_path, runs, monkeypatch):
    own = tmp_path / "test.h5"
    own.write_bytes(test_slices.read_bytes())
    chain = [*restoring(own, tmp_path), "then", *scoring(own, tmp_path)]
    assert main(chain) == main(chain) == 0
    assert runs == [restore, score, score]
    with h5py.File(own, "a") as file:
        file["low"][0] *= 2
    assert main(chain) == 0
    assert runs[3:] == [restore, score]
    for described in ("fingerprint", "platform.python_version"):
        monkeypatch.setattr(f"quietpet.provenance.{described}", lambda *_: "another")
        runs.clear()
        assert main(chain) == 0
        assert runs == [restore, score], described
        assert main(chain) == 0
        assert runs == [restore, score, score], described
    versions = {**provenance._versions(), "torch": "3.0"}
    monkeypatch.setattr("quietpet.provenance._versions", lambda: versions)
    runs.clear()
    assert main(chain) == 0
    assert runs == [restore, score]


def test_a_step_that_is_given_alone_always_runs(test_slices, tmp_path, runs):
    command = restoring(test_slices, tmp_path)
    assert main(command) == main(command) == 0
    assert runs == [restore, restore]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda words: [*words, "then"], "after 'then' comes a step"),
        (lambda words: [*words, "then", "validate", "x.yaml"], "after 'then' comes a step"),
        (lambda words: [*words, "--threads", "2"], "given with the first step, and hold for all"),
        (lambda words: [*words, "--gpus", "0"], "given with the first step, and hold for all"),
    ],
)
def test_what_follows_then_is_a_step(test_slices, tmp_path, capsys, changed, said):
    words = [*restoring(test_slices, tmp_path), "then", *scoring(test_slices, tmp_path)]
    with pytest.raises(SystemExit) as status:
        main(changed(words))
    assert status.value.code == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_mistake_in_a_later_step_is_told_before_the_first_runs(test_slices, tmp_path, capsys, runs):
    first = restoring(test_slices, tmp_path)
    later = scoring(test_slices, tmp_path)
    wrong = {
        "lacks test=PATH": [word for word in later if not word.startswith("test=")],
        "--settings of score": ["score", "--settings", "{}", *later[3:]],
        "no.h5: no such file": [word.replace("r.h5", "no.h5") for word in later],
        "is named twice": [word.replace("s.json", "s.csv") for word in later],
        "is an input of this step": [
            word.replace(f"{tmp_path}/s.csv", str(test_slices)) for word in later
        ],
    }
    for said, words in wrong.items():
        assert main([*first, "then", *words]) == 1, said
        assert said in capsys.readouterr().err
    assert not runs
    assert test_slices.stat().st_size


def test_the_step_that_stops_is_named(test_slices, tmp_path, capsys, monkeypatch):
    def failing(*_):
        raise RuntimeError("no luck")

    monkeypatch.setattr(score, "run", failing)
    assert main([*restoring(test_slices, tmp_path), "then", *scoring(test_slices, tmp_path)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"quietpet: error: score (scores={tmp_path}/s.csv provenance={tmp_path}/s.json) "
        "stopped: no luck (RuntimeError)."
    )


@pytest.fixture
def results(test_slices, tmp_path, monkeypatch):
    """The working directory's results, in which the test slices are one that a step made."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results")
    folder.mkdir()
    (folder / "test.h5").write_bytes(test_slices.read_bytes())
    keep_digests([folder / "test.h5"])
    return folder


def test_a_result_that_was_changed_is_not_read(results, capsys, runs):
    """An attribute, which HDF5 has no checksum of."""
    words = restoring(results / "test.h5", results)
    assert main([*words, "then", *scoring(results / "test.h5", results)]) == 0
    assert runs == [restore, score]
    with h5py.File(results / "test.h5", "a") as file:
        file.attrs["dataset"] = json.dumps("another")
    assert main(words) == 1
    assert runs == [restore, score]
    assert (
        "quietpet: error: results/test.h5: was changed or damaged since it was made"
        in capsys.readouterr().err
    )


def test_each_file_is_read_for_its_digest_once(results, monkeypatch):
    """However many steps of a process read it, and record it."""
    found, digest = Counter(), provenance._content_digest
    monkeypatch.setattr(
        provenance, "_content_digest", lambda path: (found.update([path.name]), digest(path))[1]
    )
    monkeypatch.setattr(provenance, "_SETTLED_NS", -(10**18))
    chain = [*restoring(results / "test.h5", results), "then", *scoring(results / "test.h5", results)]
    assert main(chain) == 0
    assert found == {"test.h5": 1, "r.h5": 1, "s.csv": 1, "s.json": 1}


def test_what_a_chain_would_keep_is_made_anew_where_it_was_changed(results, runs):
    chain = [*restoring(results / "test.h5", results), "then", *scoring(results / "test.h5", results)]
    assert main(chain) == main(chain) == 0
    assert runs == [restore, score, score]
    content = (results / "s.csv").read_bytes()
    with h5py.File(results / "r.h5", "a") as file:
        file.attrs["samples"] = json.dumps(7)
    assert main(chain) == 0
    assert runs[3:] == [restore, score]
    assert (results / "s.csv").read_bytes() == content
    require_as_made(results.glob("*.*"))


def test_what_an_interrupted_step_leaves_has_no_digest(results, monkeypatch):
    """Not even that of an earlier file in its place."""
    words = restoring(results / "test.h5", results)
    assert main(words) == 0
    assert (results / ".sha256/r.h5").exists()
    monkeypatch.setattr(restore, "run", lambda *_: (results / "r.h5").write_text("half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(words)
    assert not (results / ".sha256/r.h5").exists()


def test_what_a_chain_keeps_gets_the_digest_that_it_lacks(results, runs):
    """As after a kill between a file and its digest, and in a study of before there were digests."""
    chain = [*restoring(results / "test.h5", results), "then", *scoring(results / "test.h5", results)]
    assert main(chain) == 0
    (results / ".sha256/r.h5").unlink()
    assert main(chain) == 0
    assert runs == [restore, score, score]
    assert (results / ".sha256/r.h5").exists()


def test_a_digest_that_could_not_be_kept_is_told_before_the_work(results, capsys, runs):
    shutil.rmtree(results / ".sha256")
    (results / ".sha256").touch()
    assert main(restoring(results / "test.h5", results)) == 1
    assert "quietpet: error: results/.sha256/r.h5: cannot be written" in capsys.readouterr().err
    assert not runs


def test_a_result_stays_where_the_disk_is_full_before_its_digest(results, caplog, monkeypatch):
    def full(target, _):
        raise OutputError(f"{target}: cannot be written (No space left on device).")

    monkeypatch.setattr("quietpet.outputs.digests.write_text", full)
    assert main(restoring(results / "test.h5", results)) == 0
    assert "r.h5: cannot be written (No space left on device). Results are" in caplog.text
    assert (results / "r.h5").exists()
    require_as_made([results / "r.h5"])


@pytest.fixture
def numbered(monkeypatch):
    """Makes this process one of several, which silence their logs but for the first."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    return monkeypatch.setenv


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "SLURM_PROCID"])
def test_the_first_process_alone_keeps_digests(results, numbered, variable):
    """Others of a training write nothing, and may end while the first one writes."""
    words = restoring(results / "test.h5", results)
    numbered(variable, "1")
    assert main(words) == 0
    assert not (results / ".sha256/r.h5").exists()
    numbered(variable, "0")
    assert main(words) == 0
    assert (results / ".sha256/r.h5").exists()


def test_the_first_process_alone_does_what_follows_the_step_that_they_share(results, numbered, runs):
    numbered("LOCAL_RANK", "1")
    chain = [*restoring(results / "test.h5", results), "then", *scoring(results / "test.h5", results)]
    assert main(chain) == 0
    assert runs == [restore]


def test_a_step_of_one_process_refuses_several_tasks(results, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2")
    assert main(restoring(results / "test.h5", results)) == 1
    assert "srun started 2 tasks of restore, which runs in one process" in capsys.readouterr().err


def test_arguments_are_split_at_each_then():
    assert list(split_at_then(["a", "x", "then", "b"])) == [["a", "x"], ["b"]]
    assert list(split_at_then(["a"])) == [["a"]]


def test_a_link_without_files_that_tell_is_never_taken_for_made(test_slices, tmp_path):
    Path(tmp_path / "s.csv").touch()
    Path(tmp_path / "s.json").touch()
    words = scoring(test_slices, tmp_path)
    link = Link.of("score", settings=words[2], inputs=words[4:6], outputs=words[7:])
    assert not link.is_made
