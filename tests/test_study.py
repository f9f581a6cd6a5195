"""Mistakes in a configuration are found before any job, and said in one sentence each."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from quietpet.config.datasets import SplitSettings
from quietpet.config.phantoms import TissueValues
from quietpet.errors import InputError
from quietpet.invivo.frame_times import FrameTiming, choose_frames
from quietpet.standin.schedule import frame_schedule
from quietpet.steps import STEPS
from quietpet.study.folders import with_paths_from
from quietpet.study.reading import json_schema, load_study, read_yaml
from quietpet.study.realisations import restored_together
from quietpet.study.select import job_of, settings_for

CONFIGURATIONS = (
    "config.yaml",
    "workflow/configs/paper.yaml",
    "workflow/configs/paper_short.yaml",
    "workflow/configs/tiny.yaml",
    "workflow/configs/cohorts.yaml",
    "workflow/configs/dose_ladder.yaml",
    "workflow/configs/stages.yaml",
    "workflow/configs/invivo.yaml",
)
SCAN = {"injected_mbq": 200, "uptake_minutes": 40, "minutes": 15}
RECONSTRUCTION = {"psf_fwhm_mm": 4.0, "iterations": 10, "subsets": 14}
CALIBRATION = {"grey_matter_suv": 7, "weight_kg": 75, "sensitivity_cps_per_kbq": 36}

ROBUSTNESS = {"data": ["phantom/low"]}
REALISATIONS = {"data": ["phantom/low"]}
FLAT = dict.fromkeys(TissueValues.model_fields, 50)
DEEP = {"channels": [8] * 8, "attention": [False] * 8, "norm_groups": 8, "head_channels": 8}


@pytest.fixture
def whole(repository):
    return read_yaml(repository / "config.yaml")


@pytest.fixture
def raw(whole):
    """The small study of phantoms alone."""
    further = ("domains", "standin", "invivo", "learning")
    return {key: whole[key] for key in whole if key not in further}


def changed(raw, key, value):
    """A copy of the configuration with the dotted ``key`` set to ``value``."""
    copy = yaml.safe_load(yaml.safe_dump(raw))
    *sections, last = key.split(".")
    place = copy
    for section in sections:
        place = place[section]
    place[last] = value
    return copy


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_shipped_configurations_are_valid(repository, name):
    load_study(read_yaml(repository / name), origin=name)


def test_paper_configuration_is_the_published_protocol(repository):
    """Sections 3.3, 4.1.3 and 4.2 of the MFdiff paper."""
    study = load_study(read_yaml(repository / "workflow/configs/paper.yaml"), origin="paper.yaml")
    assert [len(study.splits.train), len(study.splits.validation), len(study.splits.test)] == [16, 3, 1]
    slices_total = len(study.splits.subjects) * len(study.slices.indices) * study.slices.rotations
    assert slices_total == 1000
    assert study.doses.standard.counts == (1e10, 1e10)
    assert (study.doses.standard.iterations, study.doses.standard.subsets) == (15, 10)
    (low,) = study.doses.low.values()
    assert low.counts == (9e7, 12e7)
    assert (low.psf_fwhm_mm, low.iterations, low.subsets) == (4.0, 10, 14)
    assert (study.training.iterations, study.training.batch_size) == (50_000, 4)
    assert (study.training.learning_rate, study.datasets.pixels) == (1e-4, 192)
    mfdiff = study.methods["mfdiff"]
    assert (mfdiff.prediction, mfdiff.timesteps) == ("epsilon", 1000)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dose", {}, r"dose: unknown key"),
        ("scanner.ray", 5, r"scanner\.ray: unknown key"),
        ("scanner.rays", 0, r"scanner\.rays: .*greater than or equal to 1, got 0"),
        ("splits.test", ["04"], r"splits: subject '04' is in 'train' and again in 'test'"),
        ("slices.indices", [65, 65], r"slices\.indices: slice indices must differ"),
        (
            "slices.indices",
            [127],
            r"slices\.indices = 127 is larger than 126, the last slice of siemens_mmr",
        ),
        ("slices.indices", [-1], r"slices\.indices.*greater than or equal to 0, got -1"),
        ("scanner.image_pixels", 346, r"scanner\.image_pixels = 346 is larger than 344, the bins"),
        ("doses.low.low.subsets", 253, r"doses\.low\.low\.subsets = 253 is larger than 252, the views"),
        (
            "methods.bowsher.subsets",
            253,
            r"methods\.bowsher\.subsets = 253 is larger than 252",
        ),
        ("acquisition.randoms_window", 253, r"acquisition\.randoms_window = 253 is larger than 252"),
        ("scanner.model", "siemens_mct", r"scanner\.model: .*"),
        ("doses.low.low.counts", [2e8, 1e8], r"a range of counts is \[low, high\]"),
        ("doses.low.low.counts", [-1, 1e8], r"greater than 0, got -1"),
        ("doses.low.low.counts", float("nan"), r"counts"),
        ("doses.low.low.counts", True, r"doses.low.low.counts"),
        (
            "doses.low.low",
            {"thinned": {"fraction": 0.5}, "counts_per": "slice", **RECONSTRUCTION},
            r"counts_per: slice says what counts mean, but there are none",
        ),
        (
            "doses.low.standard",
            {"counts": 1e8, "psf_fwhm_mm": 4, "iterations": 1, "subsets": 1},
            "'standard'",
        ),
        ("doses.low.low", RECONSTRUCTION, r"exactly one of counts, scan, thinned"),
        ("doses.low.low.thinned", {"fraction": 0.5}, r"exactly one of counts, scan, thinned"),
        ("doses.standard.thinned", {"fraction": 0.5}, r"doses\.standard\.thinned: unknown key"),
        ("doses.low.low.thinned", {"fraction": 1.0}, r"fraction: .*less than 1, got 1"),
        ("doses.low.low", {"scan": SCAN, **RECONSTRUCTION}, r"dose 'low' .* needs acquisition\.cal"),
        ("acquisition", {"calibration": CALIBRATION}, r"doses\.standard needs a scan"),
        ("acquisition", {"scatter_fraction": 1.0}, r"acquisition\.scatter_fraction: .*less than 1"),
        ("methods.nosuch", {}, r"methods\.nosuch: unknown method; known kinds are .*mfdiff"),
        ("methods.munet", {"kind": "unet"}, r"methods\.munet has kind = 'unet', but munet is itself a"),
        ("methods.unet.inputs", ["flair"], r"methods\.unet\..*inputs"),
        ("inference.pixels", 256, r"inference\.pixels = 256 is larger than datasets\.pixels"),
        ("methods.mfdiff.denoiser", DEEP, r"methods\.mfdiff takes images .* multiples of 128, not 64"),
        ("phantoms.activity.air", -1, r"phantoms\.activity\.air: .*greater than or equal to 0, got -1"),
        ("invivo", {"sources": {}}, r"invivo\.sources: .*at least 1"),
        ("robustness", {"data": []}, r"robustness\.data: .*at least 1 item"),
        ("robustness", {"data": ["phantom"]}, r"robustness\.data\.0: .*pattern"),
        (
            "robustness",
            {"data": ["phantom/lo"]},
            r"robustness\.data: no data set 'phantom/lo'; there are phantom/low",
        ),
        (
            "robustness",
            {**ROBUSTNESS, "conditions": ["shift_3mm"]},
            r"robustness\.conditions\.0: .*'shift_2mm', 'shift_4mm'.*got 'shift_3mm'",
        ),
        (
            "robustness",
            {**ROBUSTNESS, "conditions": ["own"]},
            r"robustness\.conditions\.0: .*'other_subject'.*got 'own'",
        ),
        (
            "robustness",
            {**ROBUSTNESS, "conditions": ["rotate_3deg", "rotate_3deg"]},
            r"robustness\.conditions: 'rotate_3deg' stands there twice; keep one",
        ),
        ("robustness", {"data": ["phantom/low"] * 2}, r"'phantom/low' stands there twice; keep one"),
        ("robustness", {**ROBUSTNESS, "datasets": []}, r"robustness\.datasets: unknown key"),
        ("realisations", {"data": []}, r"realisations\.data: .*at least 1 item"),
        (
            "realisations",
            {"data": ["phantom/lo"]},
            r"realisations\.data: 'phantom/lo' is no data set; of phantoms there are phantom/low",
        ),
        (
            "realisations",
            {**REALISATIONS, "subjects": ["04"]},
            r"realisations\.subjects: '04' is not in splits\.test; there are 45",
        ),
        (
            "realisations",
            {**REALISATIONS, "slices": [127]},
            r"realisations\.slices: slice 127 is beyond 126, the last slice of siemens_mmr",
        ),
        (
            "realisations",
            {**REALISATIONS, "count": 1},
            r"realisations\.count: .*greater than or equal to 2",
        ),
        (
            "realisations",
            {**REALISATIONS, "lesion_sets": {"absent": {}}},
            r"realisations\.lesion_sets: 'absent' is the name of the twin without lesions",
        ),
        (
            "realisations",
            {**REALISATIONS, "lesion_sets": {"mine": {"contrasts": [1, 0]}}},
            r"contrasts: a contrast of 0 is no lesion, got \[1\.0, 0\.0\]; remove it",
        ),
        (
            "realisations",
            {**REALISATIONS, "lesion_sets": {"mine": {"contrasts": [-1.5]}}},
            r"contrasts\.0: .*greater than or equal to -1",
        ),
        (
            "realisations",
            {**REALISATIONS, "lesion_sets": {"mine": {"radii_mm": [3, 3]}}},
            r"radii_mm: 3 stands there twice; keep one",
        ),
        (
            "realisations",
            {**REALISATIONS, "without": ["unett"]},
            r"realisations\.without: no method 'unett'; there are ",
        ),
        ("phantoms.source", "brain", r"phantoms\.source: .*'auto', 'brainweb' or 'template'"),
    ],
)
def test_mistakes_are_named(raw, key, value, message):
    with pytest.raises(InputError, match=message) as caught:
        load_study(changed(raw, key, value), origin="config.yaml")
    assert str(caught.value).startswith("config.yaml: ")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "protocol: ["])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"study\.yaml: (holds no configuration|not valid YAML)"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "seed: 1\nseed: 2\n", "the key 'seed' stands twice, in lines 1 and 2"),
        ("a.yaml", "a:\n  b: 1\n  c: 2\n  b: 1\n", "the key 'b' stands twice, in lines 2 and 4"),
        ("a.yaml", "a: [{b: 1, b: 2}]\n", "the key 'b' stands twice, in lines 1 and 1"),
        ("a.yaml", "'01': 1\n\"01\": 2\n", "the key '01' stands twice"),
        ("a.yaml", "yes: 1\ntrue: 2\n", "the key 'true' stands twice"),
        ("a.json", '{"seed": 1,\n\t"seed": 2}', "the key 'seed' stands twice, as 1 and as 2"),
        ("a.yaml", "<<: {a: 1}\nb: {a: 1}\nb: 1\n", "the key 'b' stands twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_yaml(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert str(caught.value).endswith("; keep one.")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("base: &base {a: 1, b: 2}\nown: {<<: *base, a: 3}\n", {"a": 3, "b": 2}),
        ("base: &one {a: 1}\nb: &two {b: 2}\nown: {<<: [*one, *two], a: 3}\n", {"a": 3, "b": 2}),
        ("own: {1: x, '1': y}\n", {1: "x", "1": "y"}),
        ('{"own":\t{"a": 1}}', {"a": 1}),
        ("\ufeffown: {a: 1}\n", {"a": 1}),
    ],
)
def test_keys_that_stand_once_are_read(tmp_path, text, value):
    """Merged mappings, which may be overridden, keys of two types, tabs in JSON, a byte order mark."""
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert read_yaml(path)["own"] == value


def test_one_number_is_a_fixed_count_level(raw):
    study = load_study(changed(raw, "doses.low.low.counts", 1e8), origin="config.yaml")
    assert study.doses.low["low"].counts == (1e8, 1e8)


def test_every_job_gets_settings_it_can_read_back(raw, repository):
    half = {"thinned": {"fraction": 0.5}, **RECONSTRUCTION}
    invivo = read_yaml(repository / "workflow/configs/invivo.yaml")["invivo"]
    splits = {"train": ["01"], "validation": ["02"], "test": ["03"]}
    pairs = {"source": "own", "splits": splits, "settings": {"x20": {"dose": "x20"}}}
    invivo["sources"]["own"] = {"kind": "pairs", "root": "/data/own"}
    invivo["datasets"]["pairs"] = pairs
    further = {"standin": STANDIN, "invivo": invivo, "learning": LEARNING, "robustness": ROBUSTNESS}
    further["realisations"] = {"data": ["phantom/half"]}
    further["domains"] = {
        name: {"doses": raw["doses"], "regions": regions}
        for name, regions in (("healthy", {}), ("alzheimer", {"disease": {}}))
    }
    further["cohorts"] = {"healthy": "healthy", "diseased": ["alzheimer"]}
    trials = {"factors": [0.3, 1], "iterations": 2}
    tried = changed(raw, "training.learning_rate_trials", trials)
    study = load_study(changed(tried, "doses.low.half", half) | further, origin="config.yaml")
    trained = {"dataset": "phantom", "setting": "low", "method": "mfdiff", "replicate": "r0"}
    names = {
        "fetch": {},
        "fetch_invivo": {"source": "rspetmr", "participant": "04"},
        "import_scan": {"source": "rspetmr", "participant": "04"},
        "import_pair": {"source": "own", "participant": "01"},
        "phantom": {"subject": "04"},
        "slices": {"subject": "04"},
        "engine": {},
        "simulate": {"subject": "04", "dose": "low"},
        "thin": {"subject": "04", "dose": "half"},
        "realise": {"dataset": "phantom", "setting": "half"},
        "counts": {},
        "reconstruct": {"subject": "04", "dose": "half"},
        "pack": {"dataset": "phantom", "setting": "low", "split": "test"},
        "registration_engine": {},
        "register": {"source": "rspetmr", "participant": "04"},
        "pack_scans": {"dataset": "ood1", "setting": "2min", "split": "test"},
        "learning_rate": {name: trained[name] for name in ("dataset", "setting", "method")},
        "fit": trained,
        "restore": trained,
        "plan": {name: trained[name] for name in ("dataset", "setting", "method")},
        "sampling": {},
        "score": trained,
        "uncertainty": {},
        "dose_response": {},
        "robustness": trained,
        "robustness_table": {},
        "recovery": trained,
        "recovery_table": {},
        "observe": trained,
        "detection": {},
        "subjects": {},
        "cohorts": {},
        "truth": {},
        "tables": {},
        "export": {},
        "gallery": {"dataset": "phantom", "setting": "low"},
        "report": {},
        "standin": {"cohort": "rspetmr", "participant": "02"},
        "standin_cohort": {"cohort": "rspetmr"},
    }
    assert names.keys() == STEPS.keys()
    for stage, values in names.items():
        assert type(job_of(study, stage, **values)) is STEPS[stage].job
        text = settings_for(study, stage, **values)
        assert STEPS[stage].job.model_validate_json(text).model_dump_json() == text


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"unet": {"inputs": ["low", "t1"]}}, r"from the low-dose image .*; add lpet: \{\} to methods"),
        ({"lpet": {}, "gaussian": {}}, r"no method that restores phantom/low looks at T1; add one"),
    ],
)
def test_what_the_table_of_robustness_needs_of_the_methods(raw, methods, message):
    with pytest.raises(InputError, match=rf"robustness\.data: .*{message}"):
        load_study({**raw, "methods": methods, "robustness": ROBUSTNESS}, origin="config.yaml")


def test_another_subjects_t1_needs_another_subject(raw):
    """What is asked for without it is fine, and so are two subjects."""
    one = changed(raw, "splits.test", ["45"])
    message = (
        r"robustness\.data: phantom/low has one test subject, '45', and other_subject needs the T1 of "
        r"another; test two, or write conditions: \[none, shift_2mm, shift_4mm, rotate_3deg\]"
    )
    with pytest.raises(InputError, match=message):
        load_study({**one, "robustness": ROBUSTNESS}, origin="config.yaml")
    alone = {**ROBUSTNESS, "conditions": ["other_subject"]}
    with pytest.raises(InputError, match=message):
        load_study({**one, "robustness": alone}, origin="config.yaml")
    load_study({**one, "robustness": {**ROBUSTNESS, "conditions": ["shift_4mm"]}}, origin="")
    load_study({**raw, "robustness": ROBUSTNESS}, origin="")


def test_scans_with_one_test_participant_have_no_other_either(whole):
    with pytest.raises(InputError, match=r"robustness\.data: ood1/16s has one test subject, '04'"):
        load_study({**whole, "robustness": {"data": ["ood1/16s"]}}, origin="config.yaml")


def test_scans_that_may_lack_t1_have_none_to_be_wrong(repository):
    """A network with a mode without T1 would restore them."""
    small = read_yaml(repository / "config.yaml")
    raw = changed(small, "invivo.sources.rspetmr.t1_presence", "if_there")
    raw["methods"] = {"lpet": {}, "gaussian": {}}
    raw["learning"] = {key: small["learning"][key] for key in ("stages", "regimes")}
    raw["invivo"]["without"] = []
    load_study(raw, origin="")
    wrong = {"data": ["ood1/16s"], "conditions": ["shift_2mm"]}
    message = r"ood1/16s may lack T1 \(invivo\.sources\.rspetmr\.t1_presence = if_there\).*set required"
    with pytest.raises(InputError, match=message):
        load_study({**raw, "robustness": wrong}, origin="config.yaml")


def test_methods_are_given_the_wrong_t1_that_they_can_be_given(raw):
    """None is no T1 for a method that needs one; methods that never look at T1 are not asked at all."""
    study = load_study({**raw, "robustness": ROBUSTNESS}, origin="")
    asked = {run.method for run in study.restored_with_wrong_t1}
    assert {"lpet", "gaussian", "nlm", "unet"}.isdisjoint(asked)
    assert {"nlm_t1", "bowsher", "munet_concat", "mfdiff"} <= asked
    assert {run.replicate for run in study.in_robustness} == {"r0"}
    assert {run.method for run in study.in_robustness} == set(study.methods)
    trained = {"dataset": "phantom", "setting": "low", "replicate": "r0"}
    for name in asked:
        job = job_of(study, "robustness", method=name, **trained)
        without = ("none",) if study.methods[name].t1_use == "optional" else ()
        wrong = (*without, "shift_2mm", "shift_4mm", "rotate_3deg", "other_subject")
        assert job.conditions == ("own", *wrong)
        restored = job_of(study, "restore", method=name, **trained)
        assert restored == type(restored)(
            **{key: getattr(job, key) for key in type(restored).model_fields}
        )
    table = job_of(study, "robustness_table")
    assert (table.low_dose, "unet" in table.without_t1) == (("lpet",), True)


def test_regimes_and_data_sets_of_scans_are_restored_with_wrong_t1(whole):
    wrong = {"data": ["ood1/16s"], "conditions": ["shift_2mm"]}
    study = load_study({**whole, "robustness": wrong}, origin="")
    runs = study.restored_with_wrong_t1
    assert {(run.dataset, run.setting) for run in runs} == {("ood1", "16s")}
    assert {run.regime for run in runs if run.method == "mfdiff"} == {
        "external", "internal", "external_internal",
    }  # fmt: skip
    assert "bowsher" not in {run.method for run in runs}, "scans have no sinograms"


def test_calibration_needs_grey_matter(repository):
    path = repository / "workflow/configs/dose_ladder.yaml"
    raw = read_yaml(path)
    activity = {**read_yaml(repository / "config.yaml")["phantoms"]["activity"], "grey_matter": 0}
    with pytest.raises(InputError, match=r"phantoms\.activity by its grey matter, which is 0"):
        load_study({**raw, "phantoms": {"activity": activity}}, origin=str(path))


@pytest.mark.parametrize("path", CONFIGURATIONS)
def test_what_is_restored_together_is_what_is_scored(repository, path):
    """Each restoration of scans is in one part alone, whose regimes are all that its settings have."""
    study = load_study(read_yaml(repository / path), origin=path)
    for dataset in study.scanned.values():
        scored = {(run.setting, run.method, run.regime) for run in dataset.scored}
        parts = list(dataset.restored_together)
        found = [
            (setting, method, regime)
            for part in parts
            for setting in part.settings
            for method in part.methods
            for regime in part.regimes
        ]
        assert len(found) == len(set(found))
        assert scored <= set(found)
        # Beyond it are none but regimes under which a method learns nothing of this data set.
        learned = {(method, regime) for _, method, regime in scored}
        assert not {each for each in set(found) - scored if each[1:] in learned}
        assert {name for part in parts for name in part.settings} == set(dataset.settings)


def test_a_regime_of_some_settings_is_restored_for_these(whole):
    parts = {
        part.settings: part for part in load_study(whole, origin="").scanned["ood1"].restored_together
    }
    assert list(parts) == [("2min", "16s"), ("2min",)]
    together, alone = parts.values()
    assert set(together.regimes) == {"", "external", "internal", "external_internal"}
    assert {"lpet", "gaussian", "munet", "mfdiff"} <= set(together.methods)
    assert alone.regimes == ("mixed",)
    assert alone.methods == ("munet_concat", "mfdiff")


DOMAINS = {
    "shifted": {
        "doses": {
            "standard": {"counts": 5e9, **RECONSTRUCTION},
            "low": {"low": {"counts": 5e7, **RECONSTRUCTION}},
        }
    }
}
LEARNING = {
    "stages": {
        "external": {"data": ["phantom/low"]},
        "internal": {"data": ["own"], "iterations": 300, "learning_rate": 5e-4},
    },
    "regimes": {"external": ["external"], "external_internal": ["external", "internal"]},
}


@pytest.fixture
def staged(raw):
    return {**raw, "domains": DOMAINS, "learning": LEARNING}


def test_a_domain_changes_what_it_names_and_draws_its_own_noise(staged):
    study = load_study(changed(staged, "domains.shifted.activity", FLAT), origin="")
    view = study.simulated["shifted"].study
    assert view.doses.low["low"].counts == (5e7, 5e7)
    assert view.phantoms.activity.white_matter == 50
    assert (view.splits, view.scanner, view.phantoms.mu_per_cm) == (
        study.splits,
        study.scanner,
        study.phantoms.mu_per_cm,
    )
    assert view.study_seed != study.study_seed
    assert study.simulated["phantom"].study is study
    assert "Dose shifted/low: 5e+07 counts per volume" in study.describe()


def test_no_network_of_the_cohorts_has_seen_the_disease(repository):
    """One network restores both cohorts at a dose; it learned from healthy heads that neither tests."""
    name = "workflow/configs/cohorts.yaml"
    study = load_study(read_yaml(repository / name), origin=name)
    assert study.phantoms.regions.disease is None
    for cohort in ("healthy", "alzheimer"):
        dataset = study.simulated[cohort]
        assert not set(dataset.study.splits.test) & set(study.splits.subjects)
        for run in dataset.scored:
            if study.methods[run.method].trained:
                weights = study.weights_for(dataset=cohort, setting=run.setting, regime=run.regime)
                assert (weights.dataset, weights.setting) == ("phantom", run.setting)
    healthy, ill = (study.simulated[cohort].study for cohort in ("healthy", "alzheimer"))
    assert healthy.phantoms.regions == study.phantoms.regions
    assert ill.phantoms.regions.variation == study.phantoms.regions.variation
    assert (ill.splits.test, ill.doses, ill.slices) == (
        healthy.splits.test,
        healthy.doses,
        healthy.slices,
    )


def test_a_stage_may_name_another_data_set_at_the_dose_to_be_restored(staged, whole):
    """Its training is that of the named data set; a dose that this lacks, and scans, are refused."""
    levels = {"x20": {"counts": 5e7, **RECONSTRUCTION}, "x100": {"counts": 1e7, **RECONSTRUCTION}}
    raw = changed(staged, "learning.stages.external.data", ["phantom/own"])
    raw = changed(raw, "domains.shifted.doses.low", levels)
    with pytest.raises(InputError, match=r"'phantom/own' is phantom/x20 where shifted/x20 is restored"):
        load_study(raw, origin="")
    standard = raw["doses"]["standard"]
    raw = changed(raw, "realisations.data", ["phantom/x100"])
    study = load_study(changed(raw, "doses", {"standard": standard, "low": levels}), origin="")
    for setting in levels:
        names = {"setting": setting, "method": "unet", "replicate": "r0", "regime": "external"}
        job = json.loads(settings_for(study, "restore", dataset="shifted", **names))
        assert job["weights_of"] == "phantom"
        weights = study.weights_for(dataset="shifted", setting=setting, regime="external")
        assert (weights.dataset, weights.setting, weights.stages) == ("phantom", setting, ())
    with pytest.raises(InputError, match=r"'phantom/own' has doses of phantoms, but ood1 is of scans"):
        load_study(changed(whole, "learning.stages.external.data", ["phantom/own"]), origin="")


def test_a_domain_may_be_restored_under_fewer_regimes_and_by_fewer_trainings(staged):
    """Those it names are for every network, those of `compared.others` alone without."""
    raw = changed(staged, "learning.compared", {"methods": ["mfdiff"], "others": ["external_internal"]})
    raw = changed(raw, "replicates", 2)
    own = changed(raw, "domains.shifted.regimes", ["external"])
    own = changed(own, "domains.shifted.replicates", 1)
    runs = [load_study(each, origin="").data_sets["shifted"] for each in (raw, own)]
    found = [
        {(run.regime, run.replicate) for run in each.scored if run.method == "unet"} for each in runs
    ]
    assert found[0] == {("external_internal", "r0"), ("external_internal", "r1")}
    assert found[1] == {("external", "r0")}


def test_a_domain_may_be_of_people_with_a_disease(staged):
    """One that names none has the regions of the study; the study's own phantoms stay as they are."""
    ill = {"disease": {"severity": 0.7, "reductions": {"medial_temporal": 0.4}}}
    changes = {"domains.shifted.regions": ill, "phantoms.regions": {"variation": 0.1}}
    raw = {**staged, "domains": {**staged["domains"], "like_phantom": {**DOMAINS["shifted"]}}}
    for key, value in changes.items():
        raw = changed(raw, key, value)
    study = load_study(raw, origin="")

    def regions(dataset):
        return json.loads(settings_for(study, "phantom", dataset=dataset, subject="04"))["regions"]

    assert regions("phantom") == regions("like_phantom") == {"variation": 0.1, "disease": None}
    found = regions("shifted")
    assert found["disease"]["severity"] == [0.7, 0.7]
    assert found["disease"]["reductions"]["medial_temporal"] == 0.4
    assert found["disease"]["reductions"]["posterior_cingulate_precuneus"] == 0.3
    words = study.describe()
    assert "Subjects of phantom: healthy: uptake of 5 regions varies by 0.1" in words
    assert "Subjects of shifted: uptake of 5 regions varies by 0.08 between subjects, and loses" in words
    assert "severity (0.7) times posterior cingulate precuneus 0.3" in words


def test_a_study_without_domains_has_the_jobs_it_had(raw, staged):
    """Domains add jobs and change none."""
    trained = {"dataset": "phantom", "setting": "low", "method": "mfdiff", "replicate": "r0"}
    before, after = load_study(raw, origin=""), load_study(staged, origin="")
    for stage, names in {
        "fetch": {},
        "phantom": {"subject": "04"},
        "simulate": {"subject": "04", "dose": "low"},
        "pack": {"dataset": "phantom", "setting": "low", "split": "test"},
        "fit": trained,
        "restore": trained,
        "plan": {name: trained[name] for name in ("dataset", "setting", "method")},
        "sampling": {},
        "score": trained,
    }.items():
        assert settings_for(before, stage, **names) == settings_for(after, stage, **names)


def test_iterations_of_every_stage_reach_the_tables(repository, raw, staged):
    """A stage without a number of its own has that of the section training."""
    common = str(raw["training"]["iterations"])

    def iterations(study):
        return json.loads(settings_for(study, "tables"))["iterations"]

    study = load_study(staged, origin="")
    trained = [name for name, method in study.methods.items() if method.trained]
    both = {"external": common, "external_internal": f"{common} + 300"}
    assert iterations(study) == {
        "phantom": {name: {"external": common} for name in trained},
        "shifted": dict.fromkeys(trained, both),
    }
    small = load_study(read_yaml(repository / "config.yaml"), origin="config.yaml")
    stages, external = small.learning.stages, small.training.iterations
    assert iterations(small)["ood1"]["mfdiff"] == {
        "external": f"{external}",
        "internal": f"{stages['internal_alone'].iterations}",
        "external_internal": f"{external} + {stages['internal'].iterations}",
        "mixed": f"{stages['mixed'].iterations}",
    }


def test_networks_may_learn_from_any_setting_of_any_data_set(whole):
    """Names of settings, unlike others, may begin with a digit."""
    whole = {**whole, "domains": {}}
    study = load_study(changed(whole, "learning.stages.external.data", ["ood1/16s"]), origin="")
    restored = {"dataset": "ood2", "setting": "ld", "method": "mfdiff", "replicate": "r0"}
    job = json.loads(settings_for(study, "restore", **restored, regime="external"))
    assert job["weights_of"] == "ood1"


def test_regimes_of_some_methods_are_compared(staged):
    """The others learn as asked, and where a data set has none of their regimes they have no row."""
    compared = {"methods": ["mfdiff"], "others": ["external_internal"]}
    study = load_study(changed(staged, "learning.compared", compared), origin="")
    trained = [name for name, method in study.methods.items() if method.trained]
    shifted = study.data_sets["shifted"]
    found = {name: shifted.regimes_of("low", name) for name in trained}
    assert found.pop("mfdiff") == ("external", "external_internal")
    assert set(found.values()) == {("external_internal",)}
    assert shifted.regimes_of("low", "lpet") == ("",)
    assert study.data_sets["phantom"].regimes_of("low", "unet") == ("",)


@pytest.mark.parametrize(
    ("compared", "named"),
    [
        ({"methods": ["mfdif"], "others": ["external"]}, "no method 'mfdif'"),
        ({"methods": ["mfdiff"], "others": ["extern"]}, "unknown regime 'extern'"),
        ({"methods": [], "others": ["external"]}, "methods"),
    ],
)
def test_unknown_names_of_compared_methods_are_refused(staged, compared, named):
    with pytest.raises(InputError, match=named):
        load_study(changed(staged, "learning.compared", compared), origin="x.yaml")


UNROLLED = {"kind": "fbsem", "updates": 2, "subsets": 6, "start": "low"}


def test_a_method_learns_from_sinograms_measured_as_each_of_its_data_sets(raw, staged):
    """Whole slices, unmirrored, whatever the others see; validation is on those of its own set."""
    mixed = changed(staged, "learning.stages.mixed", {"data": ["phantom/low", "own"]})
    mixed = changed(mixed, "learning.regimes.mixed", ["mixed"])
    mixed = changed(mixed, "domains.shifted.doses.low.low.psf_fwhm_mm", 3.0)
    study = load_study(changed(mixed, "methods.unrolled", UNROLLED), origin="")
    assert (study.training.patch_pixels, study.training.flip) == (64, True)
    names = {"dataset": "shifted", "setting": "low", "replicate": "r0"}
    job = json.loads(settings_for(study, "fit", **names, method="unrolled", stages="mixed"))
    learned = [each["protocol"]["psf_fwhm_mm"] for each in job["train_acquisitions"]]
    assert learned == [raw["doses"]["low"]["low"]["psf_fwhm_mm"], 3.0]
    assert job["acquisition"]["protocol"]["psf_fwhm_mm"] == 3.0
    assert (job["training"]["patch_pixels"], job["training"]["flip"]) == (None, False)
    other = json.loads(settings_for(study, "fit", **names, method="unet", stages="mixed"))
    assert (other["acquisition"], other["train_acquisitions"]) == (None, [])


def test_scans_are_restored_without_methods_that_reconstruct(whole):
    """Simulated scans too: a study has the images of both alone."""
    study = load_study(changed(whole, "methods.unrolled", UNROLLED), origin="")
    for method in ("bowsher", "unrolled"):
        assert method in study.data_sets["phantom"].methods
        names = {"dataset": "ood1", "setting": "2min", "method": method, "replicate": "r0"}
        assert not any(each.method == method and each.dataset == "ood1" for each in study.scored)
        for step in ("fit", "restore"):
            with pytest.raises(InputError, match=rf"methods\.{method} .* ood1/2min has none: of scans"):
                settings_for(study, step, **names)


def test_no_domain_is_learned_from_scans_without_their_sinograms(whole):
    methods = {name: method for name, method in whole["methods"].items() if name != "fbsem"}
    mixed = {**whole, "methods": methods, "domains": DOMAINS}
    mixed = changed(mixed, "learning.stages.mixed.data", ["phantom/low", "ood1/2min"])
    load_study(mixed, origin="")
    message = (
        r"learning\.stages\.mixed: under the regime 'mixed' methods\.unrolled would learn from "
        r"ood1/2min to restore domains\.shifted, but it learns from sinograms"
    )
    with pytest.raises(InputError, match=message):
        load_study(changed(mixed, "methods.unrolled", UNROLLED), origin="")


def test_a_warm_up_longer_than_a_stage_is_named(staged):
    longer = changed(staged, "training.iterations", 500)
    with pytest.raises(InputError, match=r"learning\.stages\.internal: .*fewer than iterations = 300"):
        load_study(changed(longer, "training.warmup_iterations", 300), origin="config.yaml")


def test_whole_heads_are_for_networks_that_see_the_field_of_view(raw):
    """Batch normalisation suffers from batches of one head; such networks are not trained again."""
    names = {"dataset": "phantom", "setting": "low", "replicate": "r0"}
    some, none = (
        load_study(changed(raw, "training.whole_share", share), origin="") for share in (0.4, 0)
    )
    for method, share in (("unet", 0), ("munet_concat", 0), ("mfdiff", 0.4)):
        fit = settings_for(some, "fit", **names, method=method)
        assert json.loads(fit)["training"]["whole_share"] == share
        assert (fit == settings_for(none, "fit", **names, method=method)) == (share == 0)


def test_stages_reach_their_jobs(staged):
    study = load_study(staged, origin="")
    names = {"dataset": "shifted", "setting": "low", "method": "unet", "replicate": "r0"}
    job = json.loads(settings_for(study, "fit", **names, stages="external-internal"))
    assert job["trained_on"] == [["shifted", "low"]]
    assert (job["continues"], job["stages"]) == (True, ["external", "internal"])
    assert (job["training"]["iterations"], job["training"]["learning_rate"]) == (300, 5e-4)
    assert job["training"]["batch_size"] == study.training.batch_size
    for regime, weights_of in (("external", "phantom"), ("external_internal", None)):
        job = json.loads(settings_for(study, "restore", **names, regime=regime))
        assert (job["learning"], job["weights_of"]) == (regime, weights_of)
    shifted = study.data_sets["shifted"]
    words = {name: shifted.learning_word(name, "") for name in ("lpet", "gaussian")}
    assert words == {"lpet": "-", "gaussian": "internal"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learning", None, r"domains or invivo, and learning, belong together"),
        ("domains", {}, r"domains or invivo, and learning, belong together"),
        ("domains.phantom", DOMAINS["shifted"], r"'phantom' is the name of the study's own"),
        (
            "domains.shifted.regimes",
            ["none"],
            r"domains\.shifted\.regimes: no regime 'none'; there are ext",
        ),
        (
            "domains.shifted.replicates",
            99,
            r"domains\.shifted\.replicates = 99 is larger than replicates",
        ),
        (
            "domains.shifted.doses.low.low.subsets",
            253,
            r"domains\.shifted: doses\.low\.low\.subsets = 253",
        ),
        ("domains.shifted.slices", {"indices": [127]}, r"domains\.shifted: slices\.indices = 127"),
        (
            "domains.shifted.regions",
            {"disease": {"severity": [1.0, 0.5]}},
            r"domains\.shifted\.regions\.disease\.severity: a range of severities is \[low, high\], got",
        ),
        (
            "domains.shifted.regions",
            {"disease": {"severity": [0.5, 1.5]}},
            r"domains\.shifted\.regions\.disease\.severity.*less than or equal to 1",
        ),
        (
            "domains.shifted.regions",
            {"disease": {"reductions": {"medial_temporal": 1.0}}},
            r"regions\.disease\.reductions\.medial_temporal: .*less than 1, got 1",
        ),
        (
            "domains.shifted.regions",
            {"disease": {"reductions": {"precuneus": 0.3}}},
            r"regions\.disease\.reductions\.precuneus: unknown key",
        ),
        ("domains.shifted.regions", {"variation": -0.1}, r"domains\.shifted\.regions\.variation: "),
        (
            "domains.shifted.splits",
            {"train": ["45"], "validation": ["43"], "test": ["46"]},
            r"subject '45' is in 'train', but in 'test' of splits; its anatomy would leak",
        ),
        (
            "domains.shifted.doses.low.low",
            {"thinned": {"fraction": 0.5}, **RECONSTRUCTION},
            r"'low' is thinned in one data set and a scan of its own in another",
        ),
        (
            "learning.stages.external.data",
            ["phantom/none"],
            r"no data set 'phantom/none'; .*phantom/low",
        ),
        ("learning.stages.external.data", ["phantom"], r"learning\.stages\.external\.data"),
        (
            "learning.stages.external.data",
            ["nobody/own"],
            r"external: 'nobody/own' names no simulated data set; there are phantom, shifted",
        ),
        (
            "domains.shifted.doses.low",
            {"low": {"counts": 5e7, **RECONSTRUCTION}, "own": {"counts": 5e7, **RECONSTRUCTION}},
            r"shifted: a dose or setting cannot be called 'own'",
        ),
        ("learning.regimes.other", ["late"], r"regime 'other' names the unknown stage 'late'"),
        ("learning.regimes.other", [], r"regime 'other' has no stages"),
    ],
)
def test_mistakes_in_stages_are_named(staged, key, value, message):
    with pytest.raises(InputError, match=message):
        load_study(changed(staged, key, value), origin="config.yaml")


def roles(train, validation, test):
    return {"train": [train], "validation": [validation], "test": [test]}


def test_no_anatomy_trains_in_one_domain_and_tests_in_another(staged):
    first = {**DOMAINS["shifted"], "splits": roles("48", "49", "50")}
    second = {**DOMAINS["shifted"], "splits": roles("50", "49", "51")}
    message = r"domains\.b\.splits: subject '50' is in 'train', but in 'test' of domains\.a\.splits; its"
    with pytest.raises(InputError, match=message):
        load_study({**staged, "domains": {"a": first, "b": second}}, origin="")


def test_no_anatomy_trains_in_a_domain_and_tests_in_a_stand_in(whole):
    """Head 51 is that of the participant who tests ood1."""
    levels = {"doses": DOMAINS["shifted"]["doses"]}
    raw = changed(whole, "domains", {"a": {**levels, "splits": roles("51", "50", "52")}})
    with pytest.raises(
        InputError, match=r"ood1\.settings\.\w+: the head of '51' is in 'test', but in 'train'"
    ):
        load_study(raw, origin="")


def test_a_dose_is_made_in_one_way_in_all_domains(staged):
    thinned = {"low": {"half": {"thinned": {"fraction": 0.5}, **RECONSTRUCTION}}}
    counted = {"low": {"half": {"counts": 5e7, **RECONSTRUCTION}}}
    standard = {"standard": DOMAINS["shifted"]["doses"]["standard"]}
    domains = {"a": {"doses": standard | thinned}, "b": {"doses": standard | counted}}
    with pytest.raises(
        InputError, match=r"domains\.a\.doses, domains\.b\.doses: 'half' is thinned in one"
    ):
        load_study({**staged, "domains": domains}, origin="")


def test_a_new_level_leaves_other_jobs_settings_alone(raw):
    """Adding a count level, a method or a subject re-runs nothing that does not depend on it."""
    level = {"counts": 2.5e9, "psf_fwhm_mm": 2.5, "iterations": 10, "subsets": 14}
    before = load_study(raw, origin="")
    after = load_study(
        changed(changed(raw, "doses.low.quarter", level), "methods.extra", {"kind": "lpet"}), origin=""
    )
    for stage, names in {
        "phantom": {"subject": "04"},
        "simulate": {"subject": "04", "dose": "low"},
        "fit": {"dataset": "phantom", "setting": "low", "method": "unet", "replicate": "r0"},
    }.items():
        assert settings_for(before, stage, **names) == settings_for(after, stage, **names)


def test_schema_file_is_in_step(repository):
    """Regenerate with `quietpet schema > workflow/schemas/config.schema.json`."""
    written = json.loads((repository / "workflow/schemas/config.schema.json").read_text())
    assert written == json_schema()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_schema_accepts_the_shipped_configurations(repository, name):
    import jsonschema

    jsonschema.validate(read_yaml(repository / name), json_schema())


def test_validation_does_not_load_torch():
    """Snakemake validates at every start; torch would cost it more than a second."""
    script = (
        "import sys; import quietpet.study.reading, quietpet.study.select, quietpet.steps; "
        "import quietpet.provenance; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


STANDIN = {
    "cohorts": {
        "rspetmr": {
            "layout": "ds002898",
            "participants": {
                "01": {"anatomy": "04", "injected_mbq": 225},
                "02": {"anatomy": "48", "injected_mbq": 167.6},
                "03": {"anatomy": "48", "injected_mbq": 226},
            },
        },
        "dacra": {
            "layout": "ds003397",
            "infusion_minutes": 55,
            "defects": True,
            "participants": {
                "01": {"anatomy": "45", "injected_mbq": 240, "administration": "bolus"},
                "11": {"anatomy": "46", "injected_mbq": 240, "administration": "bolus_infusion"},
            },
        },
    }
}


def splits(train, validation, test):
    return SplitSettings(train=train, validation=validation, test=test)


def test_heads_of_the_stand_in_come_from_the_phantoms_source(raw):
    study = load_study(raw | {"standin": STANDIN}, origin="config.yaml")
    assert study.standin.anatomies == ("04", "48", "45", "46")
    assert study.subjects == (*study.splits.subjects, "48")
    assert json.loads(settings_for(study, "fetch"))["subjects"] == list(study.subjects)


def test_a_stand_in_job_knows_no_more_than_it_needs(raw):
    raw["scanner"]["projector"] = "auto"
    study = load_study(raw | {"standin": STANDIN}, origin="config.yaml")
    clean = json.loads(settings_for(study, "standin", cohort="rspetmr", participant="02"))
    assert list(clean["participants"]) == ["02"]
    assert clean["scanner"]["projector"] == "embedded"
    exchanged = json.loads(settings_for(study, "standin", cohort="dacra", participant="01"))
    assert list(exchanged["participants"]) == ["01", "11"]
    assert exchanged["infusion_minutes"] == 55
    top = json.loads(settings_for(study, "standin_cohort", cohort="dacra"))
    assert top["settings"]["layout"] == "ds003397"


def test_an_anatomy_of_the_stand_in_has_one_role(raw):
    cohort = load_study(raw | {"standin": STANDIN}, origin="config.yaml").standin.cohorts["rspetmr"]
    anatomies = splits(["01"], ["02"], ["03"]).model_copy(update={"validation": ()})
    assert cohort.roles(anatomies) == {"04": "train", "48": "test"}
    with pytest.raises(
        ValueError, match=r"anatomy '48' is in 'validation' and, as participant '03', in"
    ):
        cohort.roles(splits(["01"], ["02"], ["03"]))
    with pytest.raises(ValueError, match="participant '09' is not in the cohort; there are 01, 02, 03"):
        cohort.roles(splits(["01"], ["02"], ["09"]))


def test_subsets_of_the_stand_in_fit_the_scanner(raw):
    standin = STANDIN | {"scan": {"subsets": 253}}
    with pytest.raises(InputError, match=r"standin.scan.subsets = 253 is larger than 252, the views"):
        load_study(raw | {"standin": standin}, origin="config.yaml")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("standin.cohorts.rspetmr.participants.04.anatomy", "48",
         r"ood1\.settings\.16s: anatomy '48' is in 'train' and, as participant '04', in 'test'"),
        ("standin.cohorts.rspetmr.participants.04.anatomy", "43",
         r"ood1\.settings\.16s: the head of '43' is in 'test', but in 'validation' elsewhere"),
        ("standin.cohorts.dacra.participants.03.anatomy", "50",
         r"ood3\.settings\.bolus: anatomy '50' is in 'validation' and"),
        ("standin", None, r"ood1\.settings\.16s: its source is the cohort 'rspetmr', which standin"),
        ("invivo.datasets.ood1.splits.test", ["09"], r"ood1\.settings\.16s: participant '09' is not in"),
        ("invivo.datasets.ood2.regimes", ["both"], r"ood2: ld has the regime 'both', but there"),
        ("invivo.datasets.ood1.settings.2min.regimes", ["both"], r"ood1: 2min has the regime 'both'"),
        ("invivo.without", ["u-net"], r"invivo\.without"),
        ("invivo.without", ["munets"], r"invivo\.without: no method 'munets'; there are bowsher"),
        ("invivo.without",
         ["lpet", "gaussian", "nlm", "nlm_t1", "unet", "munet_concat", "munet", "eagan", "hinet", "cncl",
          "csrd", "nafnet", "m2diff", "m2diff_nomri", "mfdiff"],
         r"invivo\.datasets\.ood1: no method restores it"),
        ("invivo.sources.template", {"kind": "folder", "root": "x"},
         r"invivo\.sources: 'template' in the tables' column data_source says that nobody was scanned"),
        ("invivo.replicates", 3, r"invivo\.replicates = 3 is larger than replicates = 2"),
        ("learning", None, r"domains or invivo, and learning, belong together"),
    ],
)  # fmt: skip
def test_mistakes_about_scans_are_named(whole, key, value, message):
    with pytest.raises(InputError, match=message):
        load_study(changed(whole, key, value), origin="config.yaml")


def window_spans_s(study):
    """Start and end of every window that is taken of the stand-ins [s]."""
    schedule = frame_schedule(study.standin.scan)
    timing = FrameTiming(
        starts_s=np.array([frame.start_s for frame in schedule]),
        durations_s=np.array([frame.seconds for frame in schedule]),
        source="standin",
    )
    spans = {}
    for name, window in study.invivo.windows.all.items():
        chosen = choose_frames(
            timing,
            start_s=window.start_s,
            seconds=window.seconds,
            n_frames=window.frames,
            rounding=study.invivo.rounding,
            name=name,
        )
        spans[name] = timing.starts_s[chosen[0]], timing.ends_s[chosen[-1]]
    return spans


def test_windows_of_the_small_study_are_those_of_frames_of_16_s(whole):
    """The study's fewer frames begin and end where the windows of 113 equal ones do."""
    study = load_study(whole, origin="config.yaml")
    equal = load_study(changed(whole, "standin.scan.frames", [[113, 16]]), origin="config.yaml")
    assert study.standin.scan.n_frames < 20
    assert window_spans_s(study) == window_spans_s(equal)
    assert window_spans_s(study) == {
        "standard": (1800, 3608),
        "2min": (2648, 2776),
        "16s": (2712, 2728),
    }


@pytest.mark.parametrize(
    ("key", "value", "message", "with_equal_frames"),
    [
        ("windows.low.16s.start_minutes", 35,
         r"low\.16s: asks for 1 frame\(s\) from 35 min on, but .* 2224 to 2436 s, in 1 of up to 212",
         True),
        # A long frame begins there, but it is not what was meant.
        ("windows.low.16s.start_minutes", 30, r"low\.16s: .* 1800 to 2012 s, in 1 of up to 212 s", True),
        ("windows.low.2min.start_minutes", 50, r"low\.2min: asks for 2 min from 50 min on", True),
        ("windows.low.2min.minutes", 5, r"low\.2min: .* give 2648 to 2984 s, in 9 of up to 208 s", True),
        ("windows.standard.minutes", 25, r"standard: asks for 25 min from 30 min on", True),
        ("rounding", "down", r"standard: .* give 1800 to 3400 s", True),
        ("windows.low.2min.start_minutes", 61, r"low\.2min: starts at 3660 s, but the last", False),
        ("windows.standard.start_minutes", 20, r"standard: starts at 1200 s, but .* no frame", False),
        ("windows.standard.minutes", 40, r"standard: wants 2400 s from 1800 s on, but", False),
    ],
)  # fmt: skip
def test_windows_that_the_stand_ins_have_no_frames_for_are_refused(
    whole, key, value, message, with_equal_frames
):
    """Before anything is simulated; frames of one length hold all of them that lie in the scan."""
    asked = changed(whole, f"invivo.{key}", value)
    with pytest.raises(InputError, match=rf"invivo\.windows\.{message}") as refused:
        load_study(asked, origin="config.yaml")
    equal = changed(asked, "standin.scan.frames", [[113, 16]])
    if with_equal_frames:
        assert "write short frames there, or [[113, 16]], of which any" in str(refused.value)
        load_study(equal, origin="config.yaml")
    else:
        with pytest.raises(InputError, match=message):
            load_study(equal, origin="config.yaml")


def test_windows_that_no_stand_in_is_asked_for_need_no_frames(whole):
    """Of a source of real scans, and of a window that no data set takes."""
    unused = changed(whole, "invivo.windows.low.early", {"minutes": 2, "start_minutes": 10})
    load_study(unused, origin="config.yaml")
    real = changed(whole, "invivo.windows.low.2min.start_minutes", 10)
    with pytest.raises(InputError, match=r"low\.2min: starts at 600 s"):
        load_study(real, origin="config.yaml")
    load_study(
        changed(real, "invivo.sources.rspetmr", {"kind": "folder", "root": "mine"}),
        origin="config.yaml",
    )


def test_side_cars_with_defects_are_of_equal_frames(whole):
    asked = changed(whole, "standin.cohorts.dacra.defects", True)
    with pytest.raises(
        InputError, match=r"cohorts\.dacra\.defects .* 16, 208, 212 s; write frames of one"
    ):
        load_study(asked, origin="config.yaml")
    load_study(changed(asked, "standin.scan.frames", [[113, 16]]), origin="config.yaml")


@pytest.mark.parametrize("value", [113, [113, 16], "113 of 16 s"])
def test_frames_of_the_stand_in_are_blocks(whole, value):
    with pytest.raises(InputError, match=r"standin\.scan\.frames: wants blocks .* \[\[113, 16\]\]"):
        load_study(changed(whole, "standin.scan.frames", value), origin="config.yaml")


def test_scans_are_restored_by_what_needs_no_sinograms(whole):
    study = load_study(whole, origin="config.yaml")
    data = study.data_sets
    assert "bowsher" in data["phantom"].methods
    assert set(data["ood1"].methods) == set(study.methods) - {"bowsher", "fbsem", "unet"}
    of_setting = {
        setting: data[dataset].regimes_of(setting, "mfdiff")
        for dataset, setting in (("ood1", "2min"), ("ood1", "16s"), ("ood2", "uld"))
    }
    assert of_setting == {
        "2min": ("external", "internal", "external_internal", "mixed"),
        "16s": ("external", "internal", "external_internal"),
        "uld": ("external_internal",),
    }
    assert data["ood1"].regimes_of("2min", "gaussian") == ("",)
    assert data["ood1"].replicates_of("mfdiff") == ("r0",)
    assert data["phantom"].replicates_of("mfdiff") == ("r0", "r1")
    assert data["ood3"].settings == ("bolus", "infusion", "bolus_infusion")


@pytest.mark.parametrize(
    ("registration", "message"),
    [
        ({"engine": "file"}, r"registration: .*engine 'file' needs transform"),
        ({"transform": "x/{participant}.tfm"}, r"registration: .*engine 'auto' has no transform"),
        ({"engine": "identity", "transform": "{participant}.tfm"}, r"'identity' has no transform"),
        ({"engine": "file", "transform": "x/{subject}.tfm"}, r"\{participant\} or \{source\} alone"),
        ({"engine": "file", "transform": "x/{}.tfm"}, r"\{participant\} or \{source\} alone"),
        (
            {"engine": "file", "transform": "x/{participant.x}.tfm"},
            r"\{participant\} or \{source\} alone",
        ),
        (
            {"engine": "file", "transform": "x/{participant!r}.tfm"},
            r"\{participant\} or \{source\} alone",
        ),
        ({"engine": "file", "transform": "x/{participant"}, r"a brace of the path is doubled"),
        ({"engine": "file", "transform": "x/{participant}.mat"}, r"must end with \.tfm or \.txt"),
        ({"engine": "file", "transform": "x/{participant}.lta"}, r"must end with \.tfm or \.txt"),
        (
            {"engine": "file", "transform": "one.tfm"},
            r"is one\.tfm for participant '.*write \{participant\}",
        ),
        (
            {"engine": "file", "transform": "of/{source}.tfm"},
            r"registration\.transform = 'of/\{source\}\.tfm' is of/\w+\.tfm for participant",
        ),
        ({"engine": "elastix"}, r"registration\.engine"),
        ({"least_margin": 1.5}, r"registration\.least_margin"),
    ],
)
def test_mistakes_in_given_transforms(whole, registration, message):
    with pytest.raises(InputError, match=message):
        load_study({**whole, "registration": registration}, origin="study.yaml")


def test_a_transform_is_named_by_source_and_participant(whole):
    pattern = "my transforms/{{x}}/{source}/sub-{participant}_t1_to_pet.tfm"
    study = load_study(
        {**whole, "registration": {"engine": "file", "transform": pattern}}, origin="study.yaml"
    )
    found = study.registration.transform_of("rspetmr", "01")
    assert found == "my transforms/{x}/rspetmr/sub-01_t1_to_pet.tfm"
    job = json.loads(settings_for(study, "register", source="rspetmr", participant="01"))
    assert job["registration"]["transform"] == pattern


def test_folders_are_relative_to_the_configuration(repository, tmp_path, monkeypatch):
    """Seen from the working directory, and whatever PWD says: a cluster's jobs have another."""
    raw = dict(read_yaml(repository / "workflow/configs/invivo.yaml"))
    invivo = dict(raw["invivo"])
    invivo["sources"] = {
        name: {**source, "root": root, "manifest": manifest}
        for (name, source), root, manifest in zip(
            invivo["sources"].items(), ("data/pet", "/data/pet"), ("files.csv", None), strict=True
        )
    }
    raw |= {"invivo": invivo, "phantoms": {**raw["phantoms"], "cache_dir": "~/brainweb"}}
    raw["registration"] = {"engine": "file", "transform": "moves/{source}_{participant}.tfm"}
    study = load_study(raw, origin="study.yaml")
    (tmp_path / "project" / "run").mkdir(parents=True)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("QUIETPET_BRAINWEB", raising=False)
    for cwd, prefix in ((tmp_path / "project" / "run", "../"), (tmp_path, "project/")):
        monkeypatch.chdir(cwd)
        monkeypatch.setenv("PWD", "/elsewhere")
        placed = with_paths_from(tmp_path / "project" / "study.yaml", study)
        first, second = placed.in_vivo.sources.values()
        assert (first.root, first.manifest) == (f"{prefix}data/pet", f"{prefix}files.csv")
        assert (second.root, second.manifest) == ("/data/pet", None)
        moves = placed.registration.transform_of("ds002898", "01")
        assert moves == f"{prefix}moves/ds002898_01.tfm"
        job = json.loads(settings_for(placed, "fetch", **{}))
        assert job["cache_dir"] == "/home/somebody/brainweb"


def test_braces_of_a_folder_are_no_pattern(whole, tmp_path, monkeypatch):
    """Of the configuration's folder; those that the user writes in a path are doubled."""
    folder = tmp_path / "{source} of {others}"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    registration = {"engine": "file", "transform": "{source}/{{x}}_{participant}.txt"}
    study = load_study({**whole, "registration": registration}, origin="study.yaml")
    placed = with_paths_from(folder / "study.yaml", study).registration
    assert placed.transform_of("scans", "01") == "{source} of {others}/scans/{x}_01.txt"


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("counts: 1e10", "counts: 1.0e+10", "got '1e10'; YAML reads it as text: write 1.0e+10"),
        ('counts: "3.5e7"', "counts: 1.0e+10", "write 3.5e+07"),
        ("train: [04]", 'train: ["04"]', 'YAML reads 04 as 4, a number of base 8; write "04" in quotes'),
        ("train: [41]", 'train: ["04"]', 'text is wanted, got 41; write it in quotes ("41"'),
        ("train: [4, 5]", 'train: ["04"]', '("5", or "05" if it begins with a zero)'),
        ("train: [no]", 'train: ["04"]', 'write it in quotes ("no")'),
        ("train: [2024-01-31]", 'train: ["04"]', 'write it in quotes ("2024-01-31")'),
        ("train: [~]", 'train: ["04"]', "got None; nothing stands there; write the text"),
        ("train: 04", 'train: ["04"]', 'write "04" in quotes'),
        ('train: "04"', 'train: ["04"]', "a list is wanted, got '04'; write a list, [\"04\"]"),
        ("train: 18, 20", 'train: ["04"]', "square brackets"),
        ("train:", 'train: ["04"]', "nothing stands there; write a list in square brackets"),
        ("indices: [066, 70]", "indices: [66, 78]", "YAML reads 066 as 54"),
        ("indices: 66", "indices: [66, 78]", "write a list, [66]"),
        ("iterations: 1e4", "iterations: 12", "a whole number is wanted, got '1e4'; write 10000"),
        ("iterations: 50,000", "iterations: 12", "write 50000, without commas"),
        ("iterations: yes", "iterations: 12", "training.iterations: a number is wanted, got True"),
        ("learning_rate: 0,001", "learning_rate: 1.0e-3", "write 0.001, with a decimal point"),
        ("learning_rate: 1:30", "learning_rate: 1.0e-3", "YAML reads 1:30 as 90, a number of base 60"),
        ("learning_rate: 1:30.5", "learning_rate: 1.0e-3", "a number of base 60"),
        ("patch_pixels: None", "patch_pixels: 32", "for none write null"),
        ("batch_size: 2 slices", "batch_size: 2", "write the number alone, 2"),
        ("inference:", "inference: {pixels: 128}", "nothing stands there; write its keys below it"),
        (
            "inference: [pixels, 128]",
            "inference: {pixels: 128}",
            "keys with values (name: value), not a",
        ),
        ("inference: {pixels:128}", "inference: {pixels: 128}", "space after the colon (pixels: 128)"),
        ("protocol: Tiny", "protocol: tiny", "a name is of small letters, digits and _"),
        ("protocol: on", "protocol: tiny", "text is wanted, got True"),
    ],
)
def test_what_yaml_reads_as_something_else(repository, tmp_path, written, instead, said):
    """Each mistake is one line that says how to write it."""
    text = (repository / "workflow/configs/tiny.yaml").read_text()
    assert instead in text
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(instead, written, 1))
    with pytest.raises(InputError) as caught:
        load_study(read_yaml(path), origin=str(path))
    assert said in str(caught.value)
    assert str(caught.value).count("\n") == (1 if written in ("train: [4, 5]", "train: 18, 20") else 0)
    assert "at least 1 item" not in str(caught.value)
    assert "tuple" not in str(caught.value)


def test_batch_normalisation_of_single_slices_is_refused(whole):
    study = {**whole, "training": {**whole["training"], "batch_size": 1}}
    with pytest.raises(InputError, match=r"normalises by batches.*training\.batch_size = 1 must be 2"):
        load_study(study, origin="config.yaml")
    methods = {
        name: {**(entry or {}), "normalisation": "group"}
        if (entry or {}).get("kind", name) == "unet"
        else entry
        for name, entry in whole["methods"].items()
        if name not in ("munet", "fbsem", "eagan", "hinet", "cncl")  # which have no other normalisation
    }
    load_study({**study, "methods": methods}, origin="config.yaml")


def test_realisations_are_of_the_middle_slice_without_lesions_and_of_one_sample(raw):
    study = load_study({**raw, "realisations": REALISATIONS}, origin="")
    again = {"dataset": "phantom", "subject": "45", "purpose": "realisations"}
    assert job_of(study, "phantom", **again).lesions.count == 0
    assert job_of(study, "slices", **again).slices.indices == (73,)
    assert job_of(study, "slices", **again).slices.rotations == 1
    ordinary = {"dataset": "phantom", "subject": "45"}
    assert job_of(study, "phantom", **ordinary).lesions.count > 0
    assert study.describe().splitlines()[-1] == (
        "Measured again: phantom/low, 20 times without lesions and with (present: discs of 7, 5, 3 mm "
        "with contrasts +1, -0.5 to white matter)."
    )
    job = job_of(study, "realise", dataset="phantom", setting="low")
    assert job.subjects == study.splits.test
    # The measurements are those of the study's own slices, but for what they are called.
    assert job.low[0] == job_of(study, "simulate", **ordinary, dose="low")
    trained = {"dataset": "phantom", "setting": "low", "method": "mfdiff", "replicate": "r0"}
    assert job_of(study, "restore", **trained).model.samples == 2
    again = {**trained, "purpose": "realisations"}
    for name in study.methods:
        assert job_of(study, "restore", **{**again, "method": name}).model.samples == 1
    asked = {**REALISATIONS, "samples_per_slice": None}
    study = load_study({**raw, "realisations": asked}, origin="")
    assert job_of(study, "restore", **trained, purpose="realisations").model.samples == 2


def test_some_methods_restore_realisations_in_one_job_and_each_once(raw):
    study = load_study({**raw, "realisations": {**REALISATIONS, "without": ["nlm"]}}, origin="")
    jobs = restored_together(study)
    runs = [run for together in jobs.values() for run in together]
    assert sorted(run.method for run in runs) == sorted(set(study.methods) - {"nlm"})
    assert {run.replicate for run in runs} == {"r0"}
    assert max(map(len, jobs.values())) <= 6
    assert max(map(len, jobs.values())) - min(map(len, jobs.values())) <= 1


def test_realisations_of_scans_are_refused(whole):
    with pytest.raises(InputError, match=r"'ood1/16s' is of scans, which are there once; of phantoms"):
        load_study({**whole, "realisations": {"data": ["ood1/16s"]}}, origin="config.yaml")
