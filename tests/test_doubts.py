"""What ``quietpet validate`` warns of: low windows of another activity, thinned data of another blur."""

from __future__ import annotations

import copy

import pytest
import yaml

from quietpet.cli import main
from quietpet.study.doubts import doubts
from quietpet.study.reading import load_study, read_yaml

CONFIGURATIONS = (
    "config.yaml",
    *(
        f"workflow/configs/{name}.yaml"
        for name in (
            "ablations",
            "cohorts",
            "dose_ladder",
            "invivo",
            "paper",
            "paper_short",
            "stages",
            "tiny",
        )
    ),
)
THINNED = {"thinned": {"fraction": 0.1}, "psf_fwhm_mm": 2.5, "iterations": 10, "subsets": 14}


def read(repository, name):
    return copy.deepcopy(dict(read_yaml(repository / name)))


def found(raw):
    return doubts(load_study(raw, origin="study.yaml"))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_configuration_of_ours_is_doubtful(repository, name):
    assert found(read(repository, name)) == []


@pytest.mark.parametrize("name", ["config.yaml", "workflow/configs/invivo.yaml"])
def test_low_windows_at_the_start_of_the_long_one_have_another_activity(repository, name):
    """0.58 of the mean of 30 min in 16 s from 30 min on of an infusion, 0.75 with half a bolus, 0.85."""
    raw = read(repository, name)
    if "standin" in raw:
        raw["standin"]["scan"]["frames"] = [[113, 16]]
    for window in raw["invivo"]["windows"]["low"].values():
        window["start_minutes"] = 30
    said = found(raw)
    for given, ratio, window, setting in (
        ("infusion", 0.58, "16s", "ood1/16s"),
        ("infusion", 0.58, "16s", "ood2/uld"),
        ("infusion", 0.60, "2min", "ood1/2min"),
        ("infusion", 0.58, "16s", "ood3/infusion"),
        ("bolus_infusion", 0.75, "16s", "ood3/bolus_infusion"),
        ("bolus", 0.85, "16s", "ood3/bolus"),
    ):
        (one,) = [
            text
            for text in said
            if f"invivo.windows.low.{window} (" in text
            and f"given as {given}," in text
            and setting in text.partition(")")[0].replace("(", " ").replace(",", "").split()
        ]
        assert f"grey matter has {ratio:.2f} of its mean" in one
        assert "start_minutes: 4" in one


def test_a_window_off_the_middle_is_doubted_where_fdg_stands_still(repository):
    """45 to 75 min after a bolus FDG hardly changes, but another tracer might."""
    raw = read(repository, "workflow/configs/invivo.yaml")
    raw["invivo"]["windows"] = {
        "standard": {"minutes": 30, "start_minutes": 60},
        "low": {"16s": {"frames": 1, "start_minutes": 70}, "2min": {"minutes": 2, "start_minutes": 74}},
    }
    dataset = raw["invivo"]["datasets"]["ood3"]
    dataset["settings"] = {"bolus": dataset["settings"]["bolus"]}
    for name in ("ood1", "ood2"):
        del raw["invivo"]["datasets"][name]
    (one,) = found(raw)
    assert "invivo.windows.low.16s (ood3/bolus): its middle is at 70.1 min" in one
    assert "that of the standard window at 75 min" in one


def test_a_source_that_tells_no_administration_is_tried_with_every_one(repository):
    raw = read(repository, "workflow/configs/invivo.yaml")
    raw["invivo"]["sources"]["rspetmr"] = {"kind": "folder", "root": "/data"}
    raw["invivo"]["windows"]["low"]["2min"]["start_minutes"] = 30
    said = [text for text in found(raw) if "low.2min" in text]
    assert [text.split("given as ")[1].split(",")[0] for text in said] == [
        "bolus", "infusion", "bolus_infusion",
    ]  # fmt: skip


@pytest.mark.parametrize("dataset", ["phantom", "domain"])
def test_thinned_data_with_a_model_of_another_resolution(repository, dataset):
    raw = read(repository, "workflow/configs/stages.yaml")
    levels = raw["doses"] if dataset == "phantom" else raw["domains"]["other_tracer"]["doses"]
    standard_mm = levels["standard"]["psf_fwhm_mm"]
    levels["low"]["tenth"] = {**THINNED, "psf_fwhm_mm": standard_mm}
    assert found(raw) == []
    levels["low"]["tenth"]["psf_fwhm_mm"] = 3.0
    (one,) = found(raw)
    place = "doses" if dataset == "phantom" else "domains.other_tracer.doses"
    assert one.startswith(f"{place}.low.tenth.psf_fwhm_mm = 3: thinned events keep")
    assert f"write {standard_mm:g}" in one


def test_validate_prints_the_doubts_and_succeeds(repository, tmp_path, capsys):
    raw = read(repository, "config.yaml")
    raw["standin"]["scan"]["frames"] = [[113, 16]]
    raw["invivo"]["windows"]["low"]["16s"]["start_minutes"] = 30
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    assert main(["validate", str(path)]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warned
    assert all(line.startswith(f"quietpet: warning: {path}: invivo.windows.low.16s") for line in warned)


@pytest.mark.parametrize(
    ("training", "methods", "said"),
    [
        ({}, {}, []),
        ({"whole_share": 0.0}, {}, ["mfdiff see the field of view"]),
        ({"whole_share": 0.0, "patch_pixels": None}, {}, []),
        ({"whole_share": 0.0, "patch_pixels": 128}, {}, []),
        (
            {"whole_share": 0.0},
            {"unet": {"normalisation": "group"}},
            ["m2diff_nomri, mfdiff see"],
        ),
        ({}, {"unet": {"own_maximum_weight": 0.5}}, ["methods.unet.own_maximum_weight = 0.5"]),
    ],
)
def test_networks_that_are_trained_for_another_task_than_theirs(repository, training, methods, said):
    raw = read(repository, "config.yaml")
    raw["training"] |= training
    del raw["methods"]["unet"]["pet_only_of"]  # it then need not equal another
    for name, changes in methods.items():
        raw["methods"][name] |= changes
    sentences = found(raw)
    assert len(sentences) == len(said)
    for sentence, part in zip(sentences, said, strict=True):
        assert part in sentence


@pytest.mark.parametrize("dataset", ["phantom", "domain"])
def test_a_region_that_no_slice_passes_through(repository, dataset):
    """The slices of the published study lie above the temporal lobes."""
    raw = read(repository, "workflow/configs/stages.yaml")
    place = raw["phantoms"] if dataset == "phantom" else raw["domains"]["other_tracer"]
    place["regions"] = {}
    if dataset == "phantom":
        raw["domains"]["other_tracer"]["slices"] = {"indices": [47, 71, 78]}
    said = found(raw)
    key = "slices" if dataset == "phantom" else "domains.other_tracer.slices"
    for one, name in zip(said, ("lateral_temporal", "medial_temporal"), strict=True):
        assert one.startswith(
            f"{key}.indices = [65, 69, 73, 77, 81]: no slice passes through the middle of {name}, "
        )
    added = int(said[1].rsplit("add ")[1])
    raw["slices"] = {"indices": [added, 71, 78]}
    assert found(raw) == []
