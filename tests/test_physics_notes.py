"""What the tables and ``quietpet validate`` say of the physics of a study."""

from __future__ import annotations

import copy
import json
import re

import pytest

from quietpet.cli import main
from quietpet.evaluation.published import published_values
from quietpet.study.physics import physics_notes
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import settings_for


@pytest.fixture
def raw(repository):
    return copy.deepcopy(dict(read_yaml(repository / "config.yaml")))


def notes(raw):
    return physics_notes(load_study(raw, origin="study.yaml"))


def test_the_small_study_says_all_of_it(raw):
    said = " ".join(notes(raw))
    for text in (
        "Inverse crime",
        "Dose low is measured with 4 mm point spread, the standard dose with 2.5 mm",
        "share the counts of their volume equally",
        "Low windows of scans (2min, 16s) share time with the standard window",
        "Stand-in scans: counts follow from",
    ):
        assert text in said


def test_what_does_not_hold_is_not_said(raw):
    raw["scanner"]["data"] = "finer"
    raw["doses"]["low"] = {
        "low": {"counts": 1e6, "counts_per": "slice", "psf_fwhm_mm": 2.5, "iterations": 2, "subsets": 2},
        "half": {"thinned": {"fraction": 0.5}, "psf_fwhm_mm": 2.5, "iterations": 2, "subsets": 2},
    }
    raw["doses"]["standard"] |= {"counts_per": "slice"}
    for key in ("domains", "invivo", "standin", "learning"):
        del raw[key]
    no_crime, thinned = notes(raw)
    assert "10 rays per bin, the model has 1: no inverse crime" in no_crime
    assert thinned == "Dose half is a part of the standard dose's events: they share their noise"


@pytest.mark.parametrize(
    "standard",
    [{"minutes": 30, "start_minutes": 30}, {"frames": 113, "start_minutes": 30}],
    ids=["minutes", "frames"],
)
@pytest.mark.parametrize(
    ("low", "shares"),
    [
        ({"frames": 1, "start_minutes": 45}, True),
        ({"minutes": 2, "start_minutes": 29}, True),  # begins before, ends inside
        ({"frames": 8, "start_minutes": 29}, True),  # to 31.1 min
        ({"minutes": 40, "start_minutes": 25}, True),  # holds all of it
        ({"minutes": 2, "start_minutes": 28}, False),  # ends where the other begins
        ({"frames": 3, "start_minutes": 29}, False),  # to 29.8 min
        ({"frames": 1, "start_minutes": 60.2}, False),  # 113 frames of 16 s end at 60.13 min
    ],
)
def test_low_windows_that_share_time_with_the_long_one_are_named(repository, standard, low, shares):
    """Of real scans: those of stand-ins are known before, and windows outside them are refused."""
    raw = copy.deepcopy(dict(read_yaml(repository / "workflow/configs/invivo.yaml")))
    raw["invivo"]["windows"]["standard"] = standard
    raw["invivo"]["windows"]["low"]["16s"] = low
    named = "2min, 16s" if shares else "2min"
    assert any(f"Low windows of scans ({named}) share time" in note for note in notes(raw))


def test_other_data_sets_are_named(repository):
    raw = read_yaml(repository / "workflow/configs/stages.yaml")
    assert any("Dose other_tracer/low is measured with 6 mm point spread" in note for note in notes(raw))
    assert any("Slices of other_tracer share the counts" in note for note in notes(raw))


def test_real_scans_are_no_stand_ins(repository):
    said = " ".join(notes(read_yaml(repository / "workflow/configs/invivo.yaml")))
    assert "Low windows of scans" in said
    assert "Stand-in" not in said


def test_stand_ins_of_unequal_frames_say_that_their_long_image_is_of_long_ones(raw):
    assert any("stand-ins is a mean of frames of up to 212 s, that" in note for note in notes(raw))
    raw["standin"]["scan"]["frames"] = [[113, 16]]
    assert not any("mean of frames of up to" in note for note in notes(raw))


def test_stand_ins_tell_which_published_order_counts_explain(raw):
    """A bolus is no better than an infusion; of 167 and 225 MBq the paper has both orders."""
    (said,) = (note for note in notes(raw) if note.startswith("Stand-in"))
    psnr = {
        key.setting: value.mean
        for key, value in published_values().items()
        if key.table in ("3", "4") and (key.method, key.metric) == ("lpet", "psnr_db")
    }
    assert psnr["bolus"] < psnr["infusion"]
    assert "after a bolus have no more PSNR than those of an infusion, which counts do not" in said
    assert psnr["ld"] < psnr["uld"]  # 225 and 167 MBq
    assert "Table 3 has the order that counts do not explain, section 4.3.2 that which they do" in said
    assert not re.search(r"\d dB|0\.\d", said), "figures of one study are no facts of another"


def test_tables_and_validate_get_the_notes(raw, repository, capsys):
    study = load_study(raw, origin="config.yaml")
    assert json.loads(settings_for(study, "tables"))["physics"] == list(physics_notes(study))
    assert main(["validate", str(repository / "config.yaml")]) == 0
    printed = capsys.readouterr().err
    for note in physics_notes(study):
        assert f"Note: {note}." in printed
