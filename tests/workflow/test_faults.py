"""The campaign of faults: what it plans, how it judges, and a few faults in a study without networks."""

from __future__ import annotations

from collections import Counter

import faults
import pytest
from small_study import small_study


def test_a_plan_is_its_seed_and_has_all_kinds():
    plan = faults.planned(200, 1)
    assert plan == faults.planned(200, 1)
    assert plan != faults.planned(200, 2)
    assert len(plan) == 200
    assert {fault.kind for fault in plan} == set(faults.KINDS)
    assert {fault.kind for fault in plan[: len(faults.KINDS)]} == set(faults.KINDS)
    assert len(faults.planned(9, 1)) == 9
    assert {fault.kind for fault in faults.planned(5, 1, "truncated")} == {"truncated"}
    numbers = Counter(fault.kind for fault in faults.planned(400, 1))
    assert numbers["killed"] == 2 * Counter(fault.kind for fault in plan)["killed"]
    for kind in ("truncated", "bit flipped"):
        assert {fault.what for fault in plan if fault.kind == kind} == set(faults.FILES)
    for kind in ("killed", "terminated"):
        assert {fault.what for fault in plan if fault.kind == kind} == {*faults.STEPS, faults.ANY}


@pytest.mark.parametrize(
    ("text", "sentence", "clear"),
    [
        ("Error in rule fit:\nquietpet: error: a.h5: is bad. Go.\n", "a.h5: is bad. Go.", True),
        ('WorkflowError in file "x.smk":\na.csv: is bad.\nGo.\n\n', "a.csv: is bad. Go.", True),
        ("LockException:\nError: Directory is locked.\n", "Error: Directory is locked.", True),
        ("Error in rule fit:\n", "Error in rule fit", False),
        ("done", "", False),
    ],
)  # fmt: skip
def test_the_sentence_that_stopped_a_command_is_found(text, sentence, clear):
    said = faults.Said(status=1, text=text)
    assert (said.sentence, said.clear) == (sentence, clear)


def test_tables_that_differ_are_wrong_whatever_was_said():
    right, wrong = {"tables.csv": b"1"}, {"tables.csv": b"2"}
    fine = faults.Said(status=0, text="done")
    assert faults.judged(fine, right, right) == "resumed"
    assert faults.judged(fine, wrong, right) == faults.judged(fine, {}, right) == "wrong tables"
    refused = faults.Said(status=1, text="quietpet: error: a.h5: is damaged.")
    assert faults.judged(refused, {}, right) == "refused"
    assert faults.judged(faults.Said(status=1, text="Exiting"), {}, right) == "silent"
    assert faults.judged(faults.Said(status=0, text="", mute=True), right, right) == "silent"
    traced = faults.Said(status=0, text="Traceback (most recent call last):")
    assert faults.judged(traced, right, right) == "traceback"


def test_an_interrupted_campaign_goes_on(tmp_path):
    plan = faults.planned(6, 1)
    done = [faults.Outcome(fault=each, outcome="resumed", where="a", said="b, c") for each in plan[:4]]
    faults.write_outcomes(tmp_path / "faults.csv", done)
    assert faults.read_outcomes(tmp_path / "faults.csv", plan) == done
    assert faults.read_outcomes(tmp_path / "none.csv", plan) == []
    table = list(faults.as_table(done))
    assert table[-1].startswith("| all | 4 | 4 | 0 |")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    study = small_study()
    del study["training"]["learning_rate_trials"]
    folder = tmp_path_factory.mktemp("faults")
    return faults.Bench.prepared(folder, {**study, "methods": {"lpet": {}}})


def fault(kind, what, **changes):
    plain = {"half": True, "newer": False, "at": 0.3, "choice": 0.5, "bit": 0, "followed": True}
    return faults.Fault(number=0, kind=kind, what=what, **{**plain, **changes})


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("done", "outcome", "said"),
    [
        (
            fault("bit flipped", "images"),
            "refused, then resumed",
            "results/images/phantom/06/low.h5: was",
        ),
        (fault("bit flipped", "sinograms"), "resumed", ""),
        (fault("value changed", "data set", newer=True), "refused, then resumed", "results/datasets/"),
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
def test_a_folder_that_cannot_be_written_to_is_named(bench):
    if not faults.can_mount(bench.folder):
        pytest.skip("mounting wants root")
    found = faults.tried(bench, fault("read-only", "."), mounts=True)
    assert found.outcome == "resumed"
    assert found.said.startswith(
        f"{bench.copy}: cannot be written to. Make it writable, or name another"
    )
