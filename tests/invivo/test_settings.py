"""The section ``invivo``: mistakes end with one sentence, cohorts follow from configuration alone."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from quietpet.config.invivo import InvivoSettings, SlicePlaneSettings, scan_name
from quietpet.config.scan_sources import SourceSettings
from quietpet.errors import InputError
from quietpet.invivo.bids import read_tree
from quietpet.invivo.facts import require_cohort, scan_facts, scan_timing
from quietpet.invivo.frame_times import choose_frames
from quietpet.invivo.injection import injection_of
from quietpet.invivo.scans import group_administration
from quietpet.invivo.slices import slice_numbers
from quietpet.study.reading import load_study, read_yaml

SECTION: dict[str, Any] = {
    "sources": {
        "rspetmr": {"kind": "openneuro", "accession": "ds002898"},
        "own": {"kind": "folder", "root": "bids", "entities": {"task": "rest"}},
        "simulated": {"kind": "standin", "cohort": "fdg"},
    },
    "windows": {"low": {"2min": {"minutes": 2}, "16s": {"frames": 1}, "other": {"minutes": 5}}},
    "datasets": {
        "ood1": {
            "source": "rspetmr",
            "splits": {"train": ["01", "02"], "validation": ["03"], "test": ["06"]},
            "settings": {"2min": {"window": "2min"}, "16s": {"window": "16s"}},
        },
        "ood2": {
            "source": "rspetmr",
            "settings": {
                "ld": {
                    "window": "16s",
                    "splits": {"train": ["01"], "validation": ["03"], "test": ["22"]},
                    "header_dose_mbq": [215, 235],
                },
                "uld": {
                    "window": "16s",
                    "splits": {"train": ["01"], "validation": ["03"], "test": ["04"]},
                    "header_dose_mbq": [160, 175],
                },
            },
        },
        "elsewhere": {
            "source": "own",
            "splits": {"train": ["06"], "validation": ["03"], "test": ["01"]},
            "settings": {"short": {"window": "2min", "administration": "bolus"}},
        },
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    section = copy.deepcopy(SECTION)
    *parents, last = path.split("/")
    place = section
    for name in parents:
        place = place[name]
    place[last] = value
    return section


def test_sessions_of_one_data_set_are_the_same_people() -> None:
    """One source for each session, whose folder is written in two ways."""
    raw = copy.deepcopy(SECTION)
    for session, root, test in (("wk+0", "bids", "01"), ("wk+8", "./bids/", "06")):
        name = f"week{session[-1]}"
        raw["sources"][name] = {
            "kind": "folder",
            "root": root,
            "entities": {"ses": session},
            "t1": {"acq": "mprage", "rec": ""},
        }
        splits = {"train": ["06" if test == "01" else "01"], "validation": ["03"], "test": [test]}
        raw["datasets"][name] = {**raw["datasets"]["elsewhere"], "source": name, "splits": splits}
    del raw["datasets"]["elsewhere"]
    with pytest.raises(
        ValidationError, match=r"participant '01' of week8 is in 'train', but in 'test' of"
    ):
        InvivoSettings.model_validate(raw)
    raw["datasets"]["week8"]["splits"] = raw["datasets"]["week0"]["splits"]
    assert InvivoSettings.model_validate(raw).sources["week0"].t1 == {"acq": "mprage", "rec": ""}


def test_labels_of_participants_may_hold_plus_signs() -> None:
    raw = copy.deepcopy(SECTION)
    raw["datasets"]["elsewhere"]["splits"]["test"] = ["01+pilot"]
    assert ("own", "01+pilot") in InvivoSettings.model_validate(raw).scans


def test_scans_windows_and_requirements() -> None:
    section = InvivoSettings.model_validate(SECTION)
    rest = [("rspetmr", who) for who in ("01", "02", "03", "06", "22", "04")]
    assert section.scans == (*rest, ("own", "06"), ("own", "03"), ("own", "01"))
    assert list(section.windows_of("rspetmr")) == ["standard", "2min", "16s"]
    assert list(section.windows_of("own")) == ["standard", "2min"]
    assert section.windows.standard.seconds == 1800
    assert section.windows.standard.start_s == 1800
    assert section.requirements("rspetmr", "04").keys() == {"ood2/uld"}
    assert section.requirements("rspetmr", "01") == {}
    assert section.datasets["ood2"].splits_of("uld").test == ("04",)
    assert scan_name("rspetmr", "04") == "rspetmr_sub-04"
    assert "ood2: ld (1 frame(s) from 30 min on), uld" in section.describe()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("datasets/ood1/splits/test", ["01"], "'01' is in 'train' and again in 'test'"),
        ("datasets/ood1/splits/test", ["04", "22", "03"], "'03' is in 'validation' and again"),
        (
            "datasets/ood1/splits/train",
            ["01", "04"],
            "ood2.*'04' of rspetmr is in 'test', but in 'train'",
        ),
        ("datasets/ood1/source", "absent", "datasets.ood1.source: no 'absent'; there are rspetmr, own"),
        ("datasets/ood1/settings/16s/window", "8s", "no '8s'; there are 2min, 16s, other"),
        ("datasets/ood2/settings/ld/splits", None, "settings.ld has no splits"),
        ("datasets/ood2/settings/ld/header_dose_mbq", [235, 215], "a range of doses is"),
        ("windows/low/2min", {"minutes": 2, "frames": 7}, "exactly one of minutes, frames"),
        ("windows/low/2min", {}, "exactly one of minutes, frames"),
        ("windows/low/standard", {"minutes": 2}, "cannot be called 'standard'"),
        ("sources/own", {"kind": "folder"}, "kind 'folder' needs root"),
        ("sources/own", {"kind": "openneuro", "root": "bids"}, "kind 'openneuro' needs accession"),
        ("sources/own", {"kind": "standin", "cohort": "fdg", "root": "x"}, "'standin' has no root"),
        ("sources/own/kind", "xnat", "openneuro"),
        ("slices", {"indices": [300]}, "indices reach 300, but the grid has 256"),
        ("slices", {"indices": [130, 130]}, "must differ"),
        ("rounding", "sideways", "nearest"),
    ],
)
def test_mistakes_are_named(path: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        InvivoSettings.model_validate(changed(path, value))


def test_the_same_number_in_two_sources_is_two_people() -> None:
    InvivoSettings.model_validate(changed("datasets/elsewhere/splits/test", ["02"]))


def test_published_slices_in_millimetres() -> None:
    slices = SlicePlaneSettings()
    assert slices.indices == (130, 132, 134, 136, 138, 140, 142, 144, 146, 148)
    assert slices.offsets_mm == tuple(np.arange(2.5, 22, 2))


def affine(z_mm: float, order: tuple[int, int, int] = (0, 1, 2)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([1.0, 1.0, z_mm])[:, list(order)]
    return matrix


@pytest.mark.parametrize(
    ("n_slices", "z_mm", "first", "last"),
    [(256, 1.0, 130, 148), (176, 1.0, 90, 108), (128, 2.0, 65, 74), (320, 0.8, 163, 185)],
)
def test_other_grids_are_cut_at_the_same_millimetres(n_slices, z_mm, first, last) -> None:
    numbers = slice_numbers(
        SlicePlaneSettings(), shape=(176, 256, n_slices), affine_ras_mm=affine(z_mm), file="T1w.nii.gz"
    )
    assert (numbers[0], numbers[-1]) == (first, last)
    offsets = (np.array(numbers) - (n_slices - 1) / 2) * z_mm
    assert np.abs(offsets - SlicePlaneSettings().offsets_mm).max() <= z_mm / 2


def test_a_grid_without_those_slices() -> None:
    with pytest.raises(InputError, match=r"T1w\.nii\.gz: has 20 slices of 2 mm, none at \["):
        slice_numbers(
            SlicePlaneSettings(), shape=(9, 9, 20), affine_ras_mm=affine(2.0), file="T1w.nii.gz"
        )


@pytest.mark.parametrize("matrix", [affine(1.0, (2, 0, 1)), np.diag([-1.0, 1, 1, 1])])
def test_a_grid_in_another_order_is_not_cut(matrix: np.ndarray) -> None:
    with pytest.raises(InputError, match="its axes do not run to the right"):
        slice_numbers(
            SlicePlaneSettings(), shape=(256, 256, 256), affine_ras_mm=matrix, file="T1w.nii.gz"
        )


@pytest.fixture(scope="module")
def published(repository) -> InvivoSettings:
    path = repository / "workflow/configs/invivo.yaml"
    study = load_study(read_yaml(path), origin=str(path))
    return study.in_vivo


def test_names_of_data_sets_are_taken_once(repository) -> None:
    raw = read_yaml(repository / "workflow/configs/invivo.yaml")
    taken = copy.deepcopy(raw["invivo"])
    taken["datasets"]["phantom"] = taken["datasets"].pop("ood1")
    with pytest.raises(InputError, match=r"invivo\.datasets: 'phantom' is a simulated data set"):
        load_study({**raw, "invivo": taken}, origin="invivo.yaml")


def test_published_settings_are_those_of_the_tables(shared, published: InvivoSettings) -> None:
    with (shared / "facts" / "paper_tables.csv").open() as stream:
        cells = {
            (row["dataset"], row["setting"]) for row in csv.DictReader(stream) if row["table"] in "234"
        }
    configured = {(name, s) for name, dataset in published.datasets.items() for s in dataset.settings}
    assert configured == cells


def test_published_cohorts_are_what_the_side_cars_say(shared, published: InvivoSettings) -> None:
    """Every participant exists, and every test participant has the dose and protocol of the setting."""
    trees = {
        name: {each.label: each for each in read_tree(shared / "invivo_metadata" / folder).participants}
        for name, folder in (("rspetmr", "ds002898"), ("dacra", "ds003397"))
    }
    tested = set()
    for source, who in published.scans:
        participant = trees[source][f"sub-{who}"]
        requirements = published.requirements(source, who)
        if source == "dacra":
            groups = {s for s, c in published.datasets["ood3"].settings.items()
                      if who in c.splits.subjects}  # fmt: skip
            assert groups == {group_administration(participant.row_of(participant.pet[0]))[1]}
        else:
            facts = scan_facts(participant, participant.pet, participant.pet)
            require_cohort(requirements, facts)
        tested |= requirements.keys()
    # OOD data 1 are of less time, and require nothing of the person.
    assert tested == {"ood2/ld", "ood2/uld", "ood3/bolus", "ood3/infusion", "ood3/bolus_infusion"}


def test_published_windows_fit_real_frame_times(shared, published: InvivoSettings) -> None:
    """All 27 scans of ds002898 and all runs of ds003397, without an image: 113, 8 and 1 frames."""
    for source, folder, runs in (("rspetmr", "ds002898", None), ("dacra", "ds003397", {"2", "3"})):
        for participant in read_tree(shared / "invivo_metadata" / folder).participants:
            if participant.label in ("sub-20", "sub-27"):  # lists with gaps wait for the image's frames
                continue
            present = [each for each in participant.pet if not runs or each.entities["run"] in runs]
            injection = injection_of(participant.pet)
            # Between the start of the scan and two minutes later, as every InjectionStart has it.
            assert 0 <= injection.seconds < 120
            timing = scan_timing(participant.pet, present).later(-injection.seconds)
            for name, n_frames in (("standard", 113), ("2min", 8)):
                window = published.windows.all[name]
                chosen = choose_frames(
                    timing, start_s=window.start_s, seconds=window.seconds, rounding="nearest", name=name
                )
                assert len(chosen) == n_frames
                # The next frame of 16 s after that time, but for clocks of whole seconds.
                assert -1 <= timing.starts_s[chosen.start] - window.start_s < 16
            assert "16s" in published.windows_of(source)


def test_published_learning_is_that_of_section_4_1_3(repository) -> None:
    """50,000 external and 20,000 internal iterations; what the paper file says of training, here too."""
    studies = [
        load_study(read_yaml(repository / f"workflow/configs/{name}.yaml"), origin=name)
        for name in ("invivo", "paper")
    ]
    invivo, paper = studies
    assert invivo.training == paper.training
    assert invivo.inference == paper.inference
    assert invivo.training.iterations == 50_000
    stages = {name: stage.iterations for name, stage in invivo.learning.stages.items()}
    assert stages == {
        "external": None, "internal": 20_000, "internal_alone": 70_000, "mixed": 70_000,
    }  # fmt: skip
    for name, method in invivo.methods.items():
        assert method == paper.methods[name]
    assert {"lpet", "gaussian", "bowsher"} < set(invivo.methods)


PAIRS: dict[str, Any] = {
    "sources": {"adni": {"kind": "pairs", "root": "adni"}},
    "datasets": {
        "own": {
            "source": "adni",
            "splits": {"train": ["002S0295"], "validation": ["02"], "test": ["03"]},
            "settings": {"faint": {"dose": "x100"}, "dim": {"dose": "x20"}, "again": {"dose": "x20"}},
        }
    },
}


def test_pairs_need_no_windows_and_a_setting_names_a_dose() -> None:
    settings = InvivoSettings.model_validate(PAIRS)
    assert settings.low_of("adni") == ("x100", "x20")
    assert settings.windows_of("adni") == {}
    assert settings.sources["adni"].steps == ("import_pair", "register")
    assert settings.describe() == (
        "In vivo own: faint (dose x100 of the pairs), dim (dose x20 of the pairs), again (dose x20 of "
        "the pairs) against the standard dose, 3 participants of adni."
    )


def test_pairs_stand_beside_windows_of_scans() -> None:
    both = {
        "sources": {**SECTION["sources"], **PAIRS["sources"]},
        "windows": SECTION["windows"],
        "datasets": {**SECTION["datasets"], **PAIRS["datasets"]},
    }
    settings = InvivoSettings.model_validate(both)
    assert settings.low_of("rspetmr") == ("2min", "16s")
    assert list(settings.windows_of("rspetmr")) == ["standard", "2min", "16s"]
    assert settings.low_of("adni") == ("x100", "x20")


WRONG_PAIRS = {
    "a window of pairs": (
        "settings",
        {"dim": {"window": "2min"}},
        "adni is of kind 'pairs', so write dose",
    ),
    "both": ("settings", {"dim": {"window": "2min", "dose": "x20"}}, "exactly one of window, dose"),
    "neither": ("settings", {"dim": {}}, "exactly one of window, dose"),
    "standard": ("settings", {"dim": {"dose": "standard"}}, "dose 'standard' is what low doses are"),
    "a dose of scans": ("source", "bids", "bids is of kind 'folder', so write window in place of dose"),
}


@pytest.mark.parametrize("case", WRONG_PAIRS)
def test_a_low_dose_that_its_source_has_not_is_refused(case: str) -> None:
    key, value, words = WRONG_PAIRS[case]
    raw = copy.deepcopy(PAIRS)
    raw["sources"]["bids"] = {"kind": "folder", "root": "bids"}
    raw["datasets"]["own"][key] = value
    with pytest.raises(ValidationError, match=words):
        InvivoSettings.model_validate(raw)


def test_windows_are_needed_where_a_setting_names_one() -> None:
    raw = {key: value for key, value in SECTION.items() if key != "windows"}
    with pytest.raises(ValidationError, match=r"window: there are no windows; write invivo.windows"):
        InvivoSettings.model_validate(raw)


@pytest.mark.parametrize("key", ["entities", "runs", "t1", "accession"])
def test_keys_of_bids_are_none_of_pairs(key: str) -> None:
    raw = copy.deepcopy(PAIRS)
    raw["sources"]["adni"][key] = {"runs": ["1"], "accession": "ds002898"}.get(key, {"task": "rest"})
    with pytest.raises(ValidationError, match=rf"kind 'pairs' has no {key}"):
        InvivoSettings.model_validate(raw)


@pytest.mark.parametrize("kind", ["pairs", "folder"])
@pytest.mark.parametrize("spelling", ["{0}/adni", "adni/", "x/../adni", "link"])
def test_one_folder_is_one_data_set_however_its_root_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, spelling: str
) -> None:
    """Or a participant of the training would test under the second spelling."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adni").mkdir()
    (tmp_path / "link").symlink_to("adni")
    low = {"dose": "x20"} if kind == "pairs" else {"window": "2min"}
    splits = {"train": ["01"], "validation": ["02"], "test": ["03"]}
    raw: dict[str, Any] = {
        "sources": {
            "adni": {"kind": kind, "root": "adni"},
            "again": {"kind": kind, "root": spelling.format(tmp_path)},
        },
        "windows": {"low": {"2min": {"minutes": 2}}},
        "datasets": {
            name: {"source": name, "splits": splits, "settings": {"faint": low}}
            for name in ("adni", "again")
        },
    }
    InvivoSettings.model_validate(raw)
    raw["datasets"]["again"]["splits"] = splits | {"test": ["01"], "train": ["03"]}
    with pytest.raises(ValidationError, match=r"'0[13]' of again is in .* would leak"):
        InvivoSettings.model_validate(raw)


@pytest.mark.parametrize("kind", ["pairs", "folder"])
def test_a_root_with_a_wildcard_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="brace, which Snakemake takes for a wildcard"):
        SourceSettings.model_validate({"kind": kind, "root": "my {old} data"})


def test_a_participant_of_pairs_is_imported_with_all_doses_of_its_source() -> None:
    """A dose that only others have would be asked of it too; a second source is the same people."""
    raw = copy.deepcopy(PAIRS)
    other = {"train": ["04"], "validation": ["05"], "test": ["06"]}
    raw["datasets"]["more"] = {"source": "adni", "splits": other, "settings": {"s": {"dose": "x50"}}}
    with pytest.raises(
        ValidationError,
        match=r"sources\.adni: of its doses x100, x20, x50, '002S0295' is used with x100, x20 alone, .*"
        "write another source of the same root",
    ):
        InvivoSettings.model_validate(raw)
    raw["sources"]["more"] = raw["sources"]["adni"]
    raw["datasets"]["more"]["source"] = "more"
    settings = InvivoSettings.model_validate(raw)
    assert (settings.low_of("adni"), settings.low_of("more")) == (("x100", "x20"), ("x50",))
    raw["datasets"]["more"]["splits"] = other | {"test": ["002S0295"]}
    with pytest.raises(ValidationError, match="would leak"):
        InvivoSettings.model_validate(raw)
