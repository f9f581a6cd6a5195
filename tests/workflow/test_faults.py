"""The campaign of faults: what it plans, how it judges, and a few faults in a study without networks."""

from __future__ import annotations

import shutil
from collections import Counter

import faults
import pytest
from fault_campaign.bench import Bench
from fault_campaign.disks import can_mount
from fault_campaign.judging import Outcome, Said, as_table, judged, read_outcomes, write_outcomes
from fault_campaign.plan import ANY, FILES, KINDS, STEPS, Fault, planned


def test_a_plan_is_its_seed_and_has_all_kinds():
    plan = planned(200, 1)
    assert plan == planned(200, 1)
    assert plan != planned(200, 2)
    assert len(plan) == 200
    assert {fault.kind for fault in plan} == set(KINDS)
    assert {fault.kind for fault in plan[: len(KINDS)]} == set(KINDS)
    assert len(planned(9, 1)) == 9
    assert {fault.kind for fault in planned(5, 1, "truncated")} == {"truncated"}
    numbers = Counter(fault.kind for fault in planned(400, 1))
    assert numbers["killed"] == 2 * Counter(fault.kind for fault in plan)["killed"]
    for kind in ("truncated", "bit flipped"):
        assert {fault.what for fault in plan if fault.kind == kind} == set(FILES)
    for kind in ("killed", "terminated"):
        assert {fault.what for fault in plan if fault.kind == kind} == {*STEPS, ANY}


@pytest.mark.parametrize(
    ("text", "sentence", "clear"),
    [
        ("Error in rule fit:\nquietpet: error: a.h5: is bad. Go.\n", "a.h5: is bad. Go.", True),
        ('WorkflowError in file "x.smk":\na.csv: is bad.\nGo.\n\n', "a.csv: is bad. Go.", True),
        ("LockException:\nError: Directory is locked.\n", "Error: Directory is locked.", True),
        (
            "MissingOutputException in rule fit:\nFiles are missing:\na.h5\n\nWorkflowError:\n"
            "At least one job did not complete successfully.\n",
            "Files are missing: a.h5",
            True,
        ),
        (
            "Error in rule fit:\n\nWorkflowError:\nAt least one job did not complete successfully.\n",
            "Error in rule fit",
            False,
        ),
        ("Error in rule fit:\n", "Error in rule fit", False),
        ("done", "", False),
    ],
)  # fmt: skip
def test_the_sentence_that_stopped_a_command_is_found(text, sentence, clear):
    said = Said(status=1, text=text)
    assert (said.sentence, said.clear) == (sentence, clear)


def test_tables_that_differ_are_wrong_whatever_was_said():
    right, wrong = {"tables.csv": b"1"}, {"tables.csv": b"2"}
    fine = Said(status=0, text="done")
    assert judged(fine, right, right) == "resumed"
    assert judged(fine, wrong, right) == judged(fine, {}, right) == "wrong tables"
    scored = {**right, "scores/r0.csv": b"1"}
    assert judged(fine, right, scored) == "resumed"
    assert judged(fine, {"scores/r0.csv": b"1"}, scored) == "wrong tables"
    assert judged(fine, {**right, "scores/r0.csv": b"2"}, scored) == "wrong tables"
    refused = Said(status=1, text="quietpet: error: a.h5: is damaged.")
    assert judged(refused, {}, right) == "refused"
    assert judged(Said(status=1, text="Exiting"), {}, right) == "silent"
    assert judged(Said(status=0, text="", mute=True), right, right) == "silent"
    assert judged(Said(status=0, text="", hangs=True), right, right) == "hangs"
    traced = Said(status=0, text="Traceback (most recent call last):")
    assert judged(traced, right, right) == "traceback"


def test_an_interrupted_campaign_goes_on(tmp_path):
    plan = planned(6, 1)
    done = [Outcome(fault=each, outcome="resumed", where="a", said="b, c") for each in plan[:4]]
    write_outcomes(tmp_path / "faults.csv", done)
    assert read_outcomes(tmp_path / "faults.csv", plan) == done
    assert read_outcomes(tmp_path / "none.csv", plan) == []
    table = list(as_table(done))
    assert table[-1].startswith("| all | 4 | 4 | 0 |")


@pytest.fixture(scope="module")
def bench(finished, configuration, tmp_path_factory):
    """The tiny study without its networks, of which the tables alone are to be made."""
    folder = tmp_path_factory.mktemp("faults")
    shutil.copytree(finished, folder / "finished")
    for method in (folder / "finished/results/scores/phantom/low").iterdir():
        if method.name != "lpet":
            shutil.rmtree(method)
    return Bench.prepared(folder, {**configuration, "methods": {"lpet": {}}})


def fault(kind, what, **changes):
    plain = {"half": True, "newer": False, "at": 0.3, "choice": 0.5, "bit": 0, "followed": True}
    return Fault(number=0, kind=kind, what=what, **{**plain, **changes})


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("done", "outcome", "said"),
    [
        (
            fault("bit flipped", "images"),
            "refused, then resumed",
            "results/images/phantom/06/low.h5: was",
        ),
        (
            fault("value changed", "tables", half=False),
            "refused, then resumed",
            "results/tables.csv: was",
        ),
        (fault("killed", "tables"), "resumed", ""),
    ],
)
def test_a_study_survives(bench, done, outcome, said):
    found = faults.tried(bench, done, mounts=False)
    assert found.outcome == outcome
    assert found.said.startswith(said)
    assert bool(found.said) == bool(said)


@pytest.mark.workflow
@pytest.mark.parametrize("folder", [".", "results/scores"])
def test_a_folder_that_cannot_be_written_to_is_named(bench, folder):
    if not can_mount(bench.folder):
        pytest.skip("mounting wants root")
    found = faults.tried(bench, fault("read-only", folder), mounts=True)
    assert found.outcome == "resumed"
    assert found.said.startswith(
        f"{bench.copy / folder}: cannot be written to. Make it writable, or name another"
    )
