"""Where files of each step lie: as the rules of the workflow say."""

from __future__ import annotations

import os
import re

import pytest
from workflow_rules import rules_of_the_small_study

from quietpet.outputs.places import ORDER, in_results, places_of
from quietpet.steps import STEPS


@pytest.fixture(scope="module")
def rules():
    return rules_of_the_small_study()


def filled(pattern: str) -> str:
    """A path that ``pattern`` stands for; folders that may be empty are there once."""
    text = re.sub(r"\{(stages|regime)\}", "internal/", pattern)
    return re.sub(r"\{(\w+)\}", r"\1", text).removeprefix("results/")


def test_reading_the_rules_leaves_the_environment_as_it_was():
    """What they tell jobs of a cluster would else be told to whatever this process starts later."""
    before = dict(os.environ)
    rules_of_the_small_study()
    assert dict(os.environ) == before


def test_every_output_of_the_rules_has_the_place_of_its_step(rules):
    wrong = {
        (rule.step, pattern)
        for rule in rules
        for patterns in rule.outputs.values()
        for pattern in patterns
        if rule.step not in {place.step for place in places_of(filled(pattern))}
    }
    assert not wrong


def test_records_are_outputs_of_the_same_step(rules):
    """A file is told by a record that its own job writes, or by none."""
    for rule in rules:
        made = {filled(pattern) for patterns in rule.outputs.values() for pattern in patterns}
        for path in made:
            told = {place.record_of(path) for place in places_of(path) if place.step == rule.step}
            assert told <= made | {None}, (rule.rule, path)


def test_what_makes_a_job_whole_are_outputs_of_its_step(rules):
    """All of them, of the steps whose files no step with a record reads."""
    shown = {"uncertainty", "truth", "recovery_table", "detection", "gallery", "fit"}
    for rule in rules:
        made = {filled(pattern) for patterns in rule.outputs.values() for pattern in patterns}
        for path in made:
            for place in [place for place in places_of(path) if place.step == rule.step]:
                whole = set(place.whole_of(path))
                assert whole <= made, (rule.rule, path)
                if rule.step in shown:
                    assert whole | {place.record_of(path)} == made


def test_steps_that_show_something_say_how_it_was_made(rules):
    """What reads arrays that may go has a record, by which they are known to be needed."""
    reads = {"restored", "test", "dataset", "images", "sinograms", "slices", "phantom"}
    for rule in rules:
        inputs = {file.name for file in STEPS[rule.step].inputs}
        for patterns in rule.outputs.values():
            if not inputs & reads or rule.step == "counts":
                continue
            for path in map(filled, patterns):
                told = [place.record_of(path) for place in places_of(path) if place.step == rule.step]
                assert all(told), (rule.rule, path)


def test_every_step_has_a_place_after_those_it_reads():
    assert set(ORDER) == set(STEPS)
    for first, then in (
        ("fetch", "phantom"),
        ("phantom", "slices"),
        ("slices", "simulate"),
        ("simulate", "thin"),
        ("thin", "reconstruct"),
        ("standin", "fetch_invivo"),
        ("import_scan", "register"),
        ("register", "pack_scans"),
        ("reconstruct", "pack"),
        ("pack", "fit"),
        ("fit", "restore"),
        ("restore", "score"),
        ("score", "tables"),
    ):
        assert ORDER.index(first) < ORDER.index(then)


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("results/slices/45.h5", "slices/45.h5"),
        ("../run/results/tables.csv", "tables.csv"),
        ("/results/runs/a/results/x/y", "x/y"),
        ("resources/brainweb/45.gz", None),
        ("results", None),
    ],
)
def test_the_part_of_a_path_in_the_results(path, inside):
    assert in_results(path) == inside
