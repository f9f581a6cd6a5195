"""The stage ``learning_rate``, and the trainings that take what it chose."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from packed import write_splits
from small_networks import UNET

from quietpet.config.networks import TrainingSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.rates import RateTrial, RateTrials, read_rate_trials
from quietpet.files.tensors import read_tensors
from quietpet.jobs.methods import FitJob, LearningRateJob
from quietpet.stages import fit, learning_rate

pytestmark = pytest.mark.usefixtures("on_the_cpu")

TRAINING = TrainingSettings(
    iterations=4, batch_size=2, patch_pixels=32, validate_every=2, learning_rate=1e-2, select_by="last",
    learning_rate_trials={"factors": [1e-4, 1, 0.1], "iterations": 3},
)  # fmt: skip
NAMES = {"dataset": "phantom", "setting": "low", "method": "m"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_splits(tmp_path_factory.mktemp("packed"), slices=3)


def inputs(files, **others):
    return Files({"train": [files["train"]], "validation": [files["validation"]], **others})


def tried(files, folder, training=TRAINING):
    job = LearningRateJob(study_seed=1, **NAMES, replicate="trial", model=UNET, training=training)
    learning_rate.run(job, inputs(files), Files({"rate": [folder / "rate.json"]}))
    return folder / "rate.json"


def fitted(files, folder, *, training=TRAINING, replicate="trial", **others):
    folder.mkdir()
    job = FitJob(study_seed=1, **NAMES, replicate=replicate, model=UNET, training=training)
    outputs = {name: [folder / name] for name in ("weights", "log", "card")}
    fit.run(job, inputs(files, **others), Files(outputs))
    with (folder / "log").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def rate(files, tmp_path_factory, on_the_cpu):
    return tried(files, tmp_path_factory.mktemp("rate"))


def test_each_trial_is_a_training_of_its_own_rate_from_the_same_start(files, rate, tmp_path):
    found = read_rate_trials(rate)
    assert [trial.learning_rate for trial in found.trials] == pytest.approx([1e-6, 1e-2, 1e-3])
    for number, trial in enumerate(found.trials):
        rows = fitted(
            files,
            tmp_path / str(number),
            training=TRAINING.trial(TRAINING.learning_rate_trials.factors[number]),
        )
        assert rows[-1]["step"] == "3"
        assert trial.nmse == min(float(row["nmse"]) for row in rows)
    least = min(found.trials, key=lambda trial: trial.nmse)
    assert json.loads(rate.read_text())["chosen"]["learning_rate"] == least.learning_rate
    assert [path.name for path in rate.parent.iterdir()] == ["rate.json"]


def test_trainings_take_the_chosen_rate_and_say_so(files, rate, tmp_path):
    chosen = read_rate_trials(rate)
    rows = fitted(files, tmp_path / "chosen", replicate="r0", rate=[rate])
    given = fitted(
        files, tmp_path / "given", training=TRAINING.at_factor(chosen.chosen.factor), replicate="r0"
    )
    assert [float(row["learning_rate"]) for row in rows] == [chosen.chosen.learning_rate] * 2
    assert [row["loss"] for row in rows] == [row["loss"] for row in given]
    card = (tmp_path / "chosen" / "card").read_text()
    assert chosen.describe()[1:] in card
    record = read_tensors(tmp_path / "chosen" / "weights")[1]
    assert record["provenance"]["learning_rate"] == chosen.chosen.learning_rate


@pytest.fixture
def begun(monkeypatch):
    """Learning rates of the trainings that began; the second is interrupted."""
    found = []

    def counted(job, inputs, outputs, run=fit.run):
        found.append(job.training.learning_rate)
        if len(found) == 2:
            raise KeyboardInterrupt
        run(job, inputs, outputs)

    monkeypatch.setattr(fit, "run", counted)
    return found


def test_an_interrupted_choice_goes_on_where_it_was(files, rate, tmp_path, begun):
    with pytest.raises(KeyboardInterrupt):
        tried(files, tmp_path)
    assert not (tmp_path / "rate.json").exists()
    again = tried(files, tmp_path)
    assert begun == pytest.approx([1e-6, 1e-2, 1e-2, 1e-3])
    assert read_rate_trials(again) == read_rate_trials(rate)


def test_a_trial_whose_log_was_changed_is_made_anew(files, rate, tmp_path, monkeypatch, begun):
    monkeypatch.chdir(tmp_path)
    folder = Path("results")
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        tried(files, folder)
    (log,) = folder.glob(".rate.json.trials-*/*/log.csv")
    log.write_text(log.read_text().replace(",0.", ",0.0"))
    assert read_rate_trials(tried(files, folder)) == read_rate_trials(rate)
    assert begun == pytest.approx([1e-6, 1e-2, 1e-6, 1e-2, 1e-3])
    assert not [path for path in folder.rglob("*") if path.is_file() and path.name != "rate.json"]


def test_what_another_job_left_is_not_taken_and_is_cleared(files, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            tried(files, tmp_path, TRAINING.model_copy(update={"flip": True}))
    assert len(list(tmp_path.iterdir())) == 1
    tried(files, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rate.json"]


def test_a_rate_that_diverges_is_one_that_is_not_chosen(files, tmp_path):
    trials = {"factors": [1e32, 1], "iterations": 3}
    training = TRAINING.model_validate({**TRAINING.model_dump(), "learning_rate_trials": trials})
    diverged, fine = read_rate_trials(tried(files, tmp_path, training)).trials
    assert diverged.nmse is None
    assert fine.nmse is not None
    assert read_rate_trials(tmp_path / "rate.json").chosen == fine


def test_no_rate_that_works_is_an_error(files, tmp_path):
    trials = {"factors": [1e32, 1e33], "iterations": 3}
    training = TRAINING.model_validate({**TRAINING.model_dump(), "learning_rate_trials": trials})
    with pytest.raises(
        InputError, match=r"m: no trial of the learning rates 1e\+30, 1e\+31 gave a finite"
    ):
        tried(files, tmp_path, training)


def test_several_processes_are_refused(files, tmp_path, monkeypatch):
    monkeypatch.setenv("QUIETPET_PROCESSES", "2")
    with pytest.raises(InputError, match=r"QUIETPET_PROCESSES=2: trials of a learning rate run in one"):
        tried(files, tmp_path)


def test_a_file_of_another_choice_is_refused(files, rate, tmp_path):
    plain = TRAINING.model_copy(update={"learning_rate_trials": None})
    other = TRAINING.model_copy(
        update={
            "learning_rate_trials": TRAINING.learning_rate_trials.model_copy(update={"factors": (7, 8)})
        }
    )
    for number, (training, given, message) in enumerate(
        [
            (TRAINING, {}, r"fit of m: .*chooses its learning rate; --in lacks rate=PATH"),
            (plain, {"rate": [rate]}, r"rate\.json: the learning rate of m is given, not chosen; leave"),
            (other, {"rate": [rate]}, r"rate\.json: chose .* but the factors are now 7, 8; run"),
            (TRAINING, {"rate": [files["train"]]}, r"train\.h5: not readable as JSON"),
        ]
    ):
        with pytest.raises(InputError, match=message):
            fitted(files, tmp_path / str(number), training=training, **given)
    with pytest.raises(
        InputError, match=r"rate\.json: is of the method 'm', not 'n'; give its own file"
    ):
        read_rate_trials(rate, method="n")
    damaged = tmp_path / "damaged.json"
    damaged.write_text('{"method": "m"}')
    with pytest.raises(InputError, match=r"damaged\.json: not a file of `learning_rate`"):
        read_rate_trials(damaged)


def trials(*errors):
    rates = [1e-3 * 3**number for number in range(len(errors))]
    return RateTrials(
        method="m",
        iterations=150,
        trials=tuple(
            RateTrial(factor=1, learning_rate=rate, nmse=nmse)
            for rate, nmse in zip(rates, errors, strict=True)
        ),
    )


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ((0.3, 0.1, 0.2), "learning rate 0.003, chosen from 0.001, 0.003, 0.009 by"),
        ((0.1, 0.3, 0.2), "learning rate 0.001, the smallest tried, chosen from"),
        ((0.3, 0.2, 0.1), "learning rate 0.009, the largest tried, chosen from"),
        ((0.1, 0.1, None), "learning rate 0.001, the smallest tried, chosen from"),
        ((0.0, 0.1, None), "learning rate 0.001, the smallest tried, chosen from"),
    ],
)
def test_the_choice_in_words(errors, words):
    assert trials(*errors).describe().startswith(words)
