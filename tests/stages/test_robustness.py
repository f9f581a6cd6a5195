"""The stages ``robustness`` and ``robustness_table`` on small files in the real schema."""

from __future__ import annotations

import csv
import shutil

import h5py
import numpy as np
import pytest
from packed import write_packed, write_splits
from sinograms import PROTOCOL, SCANNER, write_sinograms
from small_networks import MFDIFF
from small_networks import UNET as PLAIN_UNET

from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.errors import InputError
from quietpet.evaluation.metrics import PRINCIPAL
from quietpet.evaluation.robustness import ROBUSTNESS_COLUMNS, ROBUSTNESS_SCORE_COLUMNS
from quietpet.files.named import Files
from quietpet.files.text import read_json
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.jobs.evaluation import ScoreJob
from quietpet.jobs.methods import FitJob, RestoreJob
from quietpet.jobs.robustness import RobustnessJob, RobustnessTableJob
from quietpet.runtime import restoring
from quietpet.stages import fit, restore, robustness, robustness_table, score
from quietpet.training.weights import load_weights

pytestmark = pytest.mark.usefixtures("on_the_cpu")

EVALUATION = EvaluationSettings(paper_window_pixels=48)
INFERENCE = InferenceSettings(pixels=48, batch_size=2)
MOVED = ("shift_2mm", "shift_4mm", "rotate_3deg", "other_subject")
TRAINING = TrainingSettings(iterations=4, batch_size=2, patch_pixels=32, validate_every=2)
ACQUISITION = AcquisitionJob(scanner=SCANNER, protocol=PROTOCOL)

LPET = {"kind": "lpet"}
UNET = {**PLAIN_UNET, "inputs": ["low", "t1"]}
NLM_T1 = {"kind": "nlm", "guide": "both", "search_pixels": 2}
BOWSHER = {"kind": "bowsher", "iterations": 2, "radius_pixels": 2, "neighbours": 8}
SAMPLED = {
    **MFDIFF, "timesteps": 10, "sampling_steps": 2, "sampler": "ddim", "samples_per_slice": 2,
    "diffused": "residual", "prediction": "x0",
}  # fmt: skip
M2DIFF = {
    "kind": "m2diff", "channels": 8, "multipliers": [1, 2], "attention": [False, False], "blocks": 1,
    "heads": 2, "norm_groups": 4, "timesteps": 10, "sampling_steps": 2, "sampler": "ddim",
}  # fmt: skip
MODELS = {
    "lpet": LPET,
    "nlm": NLM_T1,
    "bowsher": BOWSHER,
    "unet": UNET,
    "mfdiff": SAMPLED,
    "m2diff": M2DIFF,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Test slices of two subjects, and the sinograms of all splits."""
    folder = tmp_path_factory.mktemp("packed")
    made = write_splits(folder, slices=4)
    in_two(made["test"])
    for split in ("validation", "test"):
        made[f"{split} sinograms"] = write_sinograms(folder / f"{split}_sinograms.h5", made[split])
    return made


def in_two(path):
    with h5py.File(path, "r+") as file:
        count = len(file["key"])
        del file["subject"]
        file["subject"] = ["45"] * (count // 2) + ["46"] * (count - count // 2)


def names_of(model):
    names = {"dataset": "phantom", "setting": "low", "method": model["kind"], "replicate": "r0"}
    measured = ACQUISITION if model["kind"] == "bowsher" else None
    return {**names, "study_seed": 1, "model": model, "acquisition": measured}


@pytest.fixture(scope="module")
def weights(files, tmp_path_factory):
    """Of each of MODELS, but for the low-dose image, which needs none."""
    found = {}
    for name, model in MODELS.items():
        if model is LPET:
            continue
        folder = tmp_path_factory.mktemp(name)
        inputs = {split: [files[split]] for split in ("train", "validation")}
        if model is BOWSHER:
            inputs["sinograms"] = [files["validation sinograms"]]
        found[name] = folder / "weights.safetensors"
        outputs = {"weights": [found[name]], "log": [folder / "log.csv"]}
        fit.run(FitJob(**names_of(model), training=TRAINING), Files(inputs), Files(outputs))
    return found


def inputs_of(files, weights, model, *, test=None):
    kind = model["kind"]
    given = {"weights": [weights[kind]]} if kind in weights else {}
    measured = {"sinograms": [files["test sinograms"]]} if kind == "bowsher" else {}
    return Files({**given, "test": [test or files["test"]], **measured})


def run_robustness(files, weights, folder, model, conditions, *, test=None, inference=INFERENCE):
    job = RobustnessJob(
        **names_of(model),
        learning="-",
        inference=inference,
        conditions=conditions,
        evaluation=EVALUATION,
    )
    targets = {name: [folder / f"{model['kind']}.{name}"] for name in ("scores", "provenance")}
    robustness.run(job, inputs_of(files, weights, model, test=test), Files(targets))
    return targets["scores"][0]


def ordinary_scores(files, weights, folder, model, *, test=None):
    """What the steps ``restore`` and ``score`` write."""
    restored, scores = folder / "restored.h5", folder / "ordinary.csv"
    job = RestoreJob(**names_of(model), learning="-", inference=INFERENCE)
    inputs = inputs_of(files, weights, model, test=test)
    restore.run(job, inputs, Files({"restored": [restored]}))
    names = {name: getattr(job, name) for name in ("dataset", "setting", "method", "replicate")}
    compared = Files({"restored": [restored], "test": [inputs.one("test")]})
    score.run(
        ScoreJob(**names, learning="-", evaluation=EVALUATION), compared, Files({"scores": [scores]})
    )
    return scores


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def of(path, condition):
    """The rows of one T1, without that column, as the lines of a score file."""
    head, *lines = path.read_text().splitlines(keepends=True)
    start = f"{condition},"
    kept = [line.removeprefix(start) for line in lines if line.startswith(start)]
    return "".join([head.removeprefix("t1,"), *kept])


def principal(scores):
    """Of a score file, the head and the rows of the metrics that the table of a wrong T1 has."""
    head, *lines = scores.read_text().splitlines(keepends=True)
    named = [f",{metric.name},{metric.variant.name}," for metric in PRINCIPAL]
    kept = [line for line in lines if any(name in line for name in named)]
    assert 0 < len(kept) < len(lines)
    return "".join([head, *kept])


@pytest.mark.parametrize("name", MODELS)
def test_with_its_own_t1_a_method_has_its_ordinary_scores_byte_for_byte(files, weights, tmp_path, name):
    """Also after other T1: no condition leaves anything behind, and noise is seeded by the slice."""
    wrong = run_robustness(files, weights, tmp_path, MODELS[name], ("shift_4mm", "own"))
    ordinary = ordinary_scores(files, weights, tmp_path, MODELS[name])
    assert of(wrong, "own") == principal(ordinary)
    assert (of(wrong, "shift_4mm") == principal(ordinary)) == (name == "lpet")


def without_any_t1(test, target):
    """A copy of the test set in which no slice has a T1."""
    shutil.copy(test, target)
    with h5py.File(target, "r+") as file:
        file["t1"][...] = np.nan
        file["t1_scale"][...] = 1.0
        file["has_t1"][...] = False
    return target


@pytest.fixture
def nomri(files, weights, tmp_path):
    """What the variant of m2diff without T1 restores and scores, with the weights of m2diff."""
    model = {**M2DIFF, "t1": "none"}
    names = {**names_of(model), "method": "m2diff_nomri", "trained_as": "m2diff"}
    job = RestoreJob(**names, learning="-", inference=INFERENCE)
    restored, scores = tmp_path / "nomri.h5", tmp_path / "nomri.csv"
    inputs = inputs_of(files, weights, model)
    restore.run(job, inputs, Files({"restored": [restored]}))
    asked = {name: getattr(job, name) for name in ("dataset", "setting", "method", "replicate")}
    compared = Files({"restored": [restored], "test": [inputs.one("test")]})
    score.run(
        ScoreJob(**asked, learning="-", evaluation=EVALUATION), compared, Files({"scores": [scores]})
    )
    return restored, scores


def test_without_t1_a_method_and_the_variant_of_its_training_draw_the_same(
    files, weights, nomri, tmp_path
):
    """Byte for byte: on slices that have no T1, and where it is taken away."""
    lacking = without_any_t1(files["test"], tmp_path / "lacking.h5")
    job = RestoreJob(**names_of(M2DIFF), learning="-", inference=INFERENCE)
    outputs = Files({"restored": [tmp_path / "own.h5"]})
    restore.run(job, inputs_of(files, weights, M2DIFF, test=lacking), outputs)
    with h5py.File(outputs.one("restored")) as own, h5py.File(nomri[0]) as without:
        assert own["single"][()].tobytes() == without["single"][()].tobytes()
    taken_away = of(run_robustness(files, weights, tmp_path, M2DIFF, ("own", "none")), "none")
    assert taken_away == principal(nomri[1]).replace(",m2diff_nomri,", ",m2diff,")


@pytest.fixture(scope="module")
def scored(files, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    return run_robustness(files, weights, folder, UNET, ("own", *MOVED))


def test_every_condition_has_all_rows_and_no_image_is_kept(scored):
    rows = read(scored)
    assert tuple(rows[0]) == ROBUSTNESS_SCORE_COLUMNS
    assert list(dict.fromkeys(row["t1"] for row in rows)) == ["own", *MOVED]
    assert len(rows) == 5 * 4 * len(PRINCIPAL)
    assert sorted(path.name for path in scored.parent.iterdir()) == ["unet.provenance", "unet.scores"]
    origin = read_json(scored.parent / "unet.provenance")
    assert origin["stage"] == "robustness"
    assert origin["settings"]["conditions"] == ["own", *MOVED]


def test_no_two_conditions_have_the_same_scores(scored):
    """The network looks at T1: each wrong one changes what it restores."""
    assert len({of(scored, condition) for condition in ("own", *MOVED)}) == 5


def test_the_order_of_the_conditions_changes_nothing(files, weights, scored, tmp_path):
    turned = run_robustness(files, weights, tmp_path, UNET, (*reversed(MOVED), "own"))
    for condition in ("own", *MOVED):
        assert of(turned, condition) == of(scored, condition)


def test_the_number_of_slices_in_a_batch_changes_nothing(files, weights, scored, tmp_path):
    inference = InferenceSettings(pixels=48, batch_size=3)
    other = run_robustness(files, weights, tmp_path, UNET, ("own", *MOVED), inference=inference)
    for one, same in zip(read(scored), read(other), strict=True):
        assert (one["t1"], one["key"], one["metric"]) == (same["t1"], same["key"], same["metric"])
        if one["value"]:
            assert float(one["value"]) == pytest.approx(float(same["value"]), rel=1e-3, abs=1e-3)


def test_the_method_is_loaded_once(files, weights, tmp_path, monkeypatch):
    loaded = []

    def counted(path, settings):
        loaded.append(path)
        return load_weights(path, settings)

    monkeypatch.setattr(restoring, "load_weights", counted)
    run_robustness(files, weights, tmp_path, UNET, ("own", *MOVED))
    assert loaded == [weights["unet"]]


def test_the_t1_of_the_other_subject_is_that_of_a_data_set_in_which_they_changed_places(
    files, weights, scored, tmp_path
):
    """The same slices packed with the T1 of each other: their ordinary scores."""
    exchanged = write_packed(tmp_path / "test.h5", split="test", slices=4, seed=2)
    in_two(exchanged)
    with h5py.File(exchanged, "r+") as file:
        for name in ("t1", "t1_scale"):
            file[name][...] = np.roll(file[name][()], 2, axis=0)
    other = run_robustness(files, weights, tmp_path, UNET, ("own",), test=exchanged)

    def fidelity(path, condition):
        """Metrics that compare with the standard dose; those of lesions name them by T1."""
        return [row["value"] for row in read(path) if row["t1"] == condition]

    assert fidelity(other, "own") == fidelity(scored, "other_subject")


def test_without_t1_a_method_that_never_looks_at_it_restores_alike(files, weights, tmp_path):
    path = run_robustness(files, weights, tmp_path, LPET, ("own", "none"))
    assert of(path, "none") == of(path, "own")


def test_none_is_what_a_data_set_without_t1_gives(files, weights, tmp_path):
    """Of a method whose slices may lack it; lesions are named by T1, so their metrics need one."""
    wrong = run_robustness(files, weights, tmp_path, M2DIFF, ("own", "none"))
    lacking = without_any_t1(files["test"], tmp_path / "test.h5")
    ordinary = principal(ordinary_scores(files, weights, tmp_path, M2DIFF, test=lacking))
    # Score files say whether the data set has a T1, whatever the method was given.
    assert {row["has_t1"] for row in read(wrong)} == {"True"}
    assert ",0.0,False," in ordinary
    assert of(wrong, "none") == ordinary.replace(",0.0,False,", ",0.0,True,")
    assert of(wrong, "own") != of(wrong, "none")


def test_without_t1_a_method_that_needs_it_is_refused(files, weights, tmp_path):
    with pytest.raises(InputError, match=r"4 of 4 slices have no T1, .* method unet needs one"):
        run_robustness(files, weights, tmp_path, UNET, ("own", "none"))
    assert not list(tmp_path.iterdir())


def test_slices_without_t1_cannot_have_a_wrong_one(files, weights, tmp_path):
    test = write_packed(tmp_path / "test.h5", split="test", slices=4, seed=2)
    with h5py.File(test, "r+") as file:
        file["has_t1"][1] = False
        file["t1"][1] = np.nan
    message = r"test\.h5: 1 of 4 slices have no T1, the first is '02_s1_r0', .* robustness\.data"
    with pytest.raises(InputError, match=message):
        run_robustness(files, weights, tmp_path, LPET, ("shift_2mm",), test=test)


def test_one_subject_has_no_other(files, weights, tmp_path):
    test = write_packed(tmp_path / "test.h5", split="test", slices=4, seed=2)
    with pytest.raises(InputError, match=r"test\.h5: holds one subject, '02', .*robustness\.conditions"):
        run_robustness(files, weights, tmp_path, UNET, ("own", "other_subject"), test=test)


def test_weights_are_asked_for(files, tmp_path):
    with pytest.raises(InputError, match="unet: --in lacks weights=PATH"):
        run_robustness(files, {}, tmp_path, UNET, ("own",))


def table_of(folder, wrong, right):
    job = RobustnessTableJob(
        methods=("lpet", "unet"), low_dose=("lpet",), without_t1=("lpet",),
        evaluation=EVALUATION,
    )  # fmt: skip
    targets = {name: [folder / name] for name in ("table", "section", "figure", "svg", "provenance")}
    robustness_table.run(job, Files({"robustness": [wrong], "scores": [right]}), Files(targets))
    return {name: path for name, (path,) in targets.items()}


def test_scores_become_a_table_a_page_and_a_figure(files, weights, scored, tmp_path):
    low_dose = ordinary_scores(files, weights, tmp_path, LPET)
    made = table_of(tmp_path, scored, low_dose)
    rows = read(made["table"])
    assert tuple(rows[0]) == ROBUSTNESS_COLUMNS
    assert len(rows) == (1 + 5) * 2 * 3, "methods with each T1, variants, metrics"

    def mean(path, **wanted):
        values = [
            float(row["value"])
            for row in read(path)
            if all(row[name] == text for name, text in wanted.items())
        ]
        return np.mean(values)

    psnr = {"metric": "psnr_db", "variant": "quantitative"}
    own, moved = (mean(scored, t1=each, **psnr) for each in ("own", "shift_4mm"))
    low = mean(low_dose, **psnr)
    (row,) = [r for r in rows if r["t1"] == "shift_4mm" and psnr.items() <= r.items()]
    assert float(row["difference"]) == pytest.approx(moved - own, abs=1e-4)
    assert float(row["gain"]) == pytest.approx(own - low, abs=1e-4)
    assert row["best_without_t1"] == "lpet"
    assert "shifted by 4 mm" in made["section"].read_text()
    assert made["figure"].read_bytes().startswith(b"\x89PNG")
    assert read_json(made["provenance"])["stage"] == "robustness_table"


def test_ordinary_scores_are_no_scores_with_wrong_t1(files, weights, scored, tmp_path):
    low_dose = ordinary_scores(files, weights, tmp_path, LPET)
    with pytest.raises(InputError, match=r"ordinary\.csv: its columns are not those of a score file"):
        table_of(tmp_path, low_dose, low_dose)
    assert not (tmp_path / "table").exists()
