"""Rules that make a comparison of methods fair: learning rates that are chosen, costs that are equal."""

from __future__ import annotations

import pytest

from quietpet.config.networks import OptimiserSettings, TrainingSettings
from quietpet.config.published import PublishedTraining
from quietpet.errors import InputError
from quietpet.methods.unet.settings import Settings as UNetSettings
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

TRIALS = {"factors": [0.3, 1, 3], "iterations": 20}
NAMES = {"dataset": "phantom", "setting": "low", "replicate": "r0"}
PUBLISHED = PublishedTraining(
    source="Wang et al. 2019, section IV-B",
    optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.999), weight_decay=0.0),
    learning_rate=2e-4,
    batch_size=6,
)


@pytest.fixture
def raw(repository):
    return read_yaml(repository / "config.yaml")


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setattr(UNetSettings, "published_training", property(lambda _: PUBLISHED))


def with_trials(raw, **training):
    raw["training"].update({"learning_rate": 1e-3, "learning_rate_trials": TRIALS, **training})
    return load_study(raw, origin="")


def training_of(study, method, **names):
    return job_of(study, "fit", **{**NAMES, **names}, method=method).training


def test_every_trained_method_tries_the_same_rates_for_as_long(raw):
    study = with_trials(raw)
    jobs = {
        name: job_of(study, "learning_rate", dataset="phantom", setting="low", method=name)
        for name, method in study.methods.items()
        if method.trained
    }
    assert {"unet", "munet_concat", "mfdiff"} <= set(jobs)
    for name, job in jobs.items():
        assert (job.trials.factors, job.trials.iterations) == ((0.3, 1, 3), 20)
        assert (job.method, job.replicate, job.stages) == (name, "trial", ())
        assert training_of(study, name).learning_rate_trials == job.trials
    assert training_of(study, "gaussian").learning_rate_trials is None
    assert not study.chooses_rate("gaussian")


def test_a_trial_is_a_whole_short_training_that_restoring_judges():
    common = TrainingSettings(
        iterations=500, warmup_iterations=50, schedule="cosine", learning_rate=1e-3, patch_pixels=64,
        whole_share=0.3, select_by="last", learning_rate_trials=TRIALS,
    )  # fmt: skip
    trial = common.trial(0.3)
    changed = {
        "iterations": 20,
        "warmup_iterations": 2,
        "learning_rate": pytest.approx(3e-4),
        "select_by": "nmse",
        "learning_rate_trials": None,
    }
    assert trial.model_dump() == {**common.model_dump(), **changed}
    assert trial.patch_steps == 14


def test_the_chosen_factor_holds_for_each_stage_of_learning(raw):
    raw["learning"]["stages"]["internal"]["learning_rate"] = 2e-4
    study = with_trials(raw)
    internal = training_of(study, "unet", dataset="ood1", setting="16s", stages="external-internal")
    assert internal.learning_rate_trials is not None
    assert internal.at_factor(3).learning_rate == pytest.approx(6e-4)
    assert training_of(study, "unet").at_factor(3).learning_rate == pytest.approx(3e-3)


@pytest.mark.usefixtures("published")
def test_published_settings_need_no_trial_and_stages_change_them_as_the_common_ones(raw):
    raw["methods"]["unet"] = {"inputs": ["low"], "optimiser": "published"}
    raw["learning"]["stages"]["internal"]["learning_rate"] = 1e-4
    study = with_trials(raw)
    own = training_of(study, "unet")
    assert (own.learning_rate, own.batch_size, own.learning_rate_trials) == (2e-4, 6, None)
    assert own.optimiser == PUBLISHED.optimiser
    assert own.iterations == study.training.iterations
    internal = training_of(study, "unet", dataset="ood1", setting="16s", stages="external-internal")
    assert internal.learning_rate == pytest.approx(2e-5)  # a tenth, as that of all others is
    assert internal.iterations == raw["learning"]["stages"]["internal"]["iterations"]
    assert training_of(study, "munet_concat").optimiser.kind == "adamw"
    assert "optimiser settings of its own publication: Adam with betas 0.5 and 0.999, learning rate " \
        "0.0002, batches of 6 (Wang et al. 2019" in job_of(study, "tables").methods["unet"]  # fmt: skip


def test_equal_time_gives_iterations_in_inverse_proportion_to_their_cost(raw):
    raw["methods"]["munet_long"] = {**raw["methods"]["munet_concat"], "cost_of": "mfdiff"}
    raw["training_costs"] = {"munet_long": 40, "mfdiff": 100}
    study = load_study(raw, origin="")
    for names in ({}, {"dataset": "ood1", "setting": "16s", "stages": "external-internal"}):
        common = training_of(study, "mfdiff", **names).iterations
        assert training_of(study, "munet_concat", **names).iterations == common
        assert training_of(study, "munet_long", **names).iterations == round(2.5 * common)
    tables = job_of(study, "tables")
    common = study.training.iterations
    assert tables.iterations["phantom"]["munet_concat"] == {"external": str(common)}
    assert tables.iterations["phantom"]["munet_long"] == {"external": str(round(2.5 * common))}
    assert tables.methods["munet_long"].endswith(
        "; as many iterations as take the time of those of mfdiff (40 and 100 core seconds per 1000)"
    )


def test_a_variant_that_shares_a_training_has_its_cost_and_its_iterations(repository):
    """Of one network with and without T1 the cost is asked for once, whoever names which of them."""
    raw = read_yaml(repository / "workflow/configs/tiny.yaml")
    raw["training"]["iterations"] = 1000
    small = {"kind": "m2diff", "channels": 8, "norm_groups": 4, "cost_of": "munet_concat"}
    raw["methods"] = {
        "lpet": {},
        "munet_concat": raw["methods"]["munet_concat"],
        "nomri": {**small, "t1": "none", "pet_only_of": "own"},
        "own": small,
    }
    raw["training_costs"] = {"own": 400, "munet_concat": 40}
    study = load_study(raw, origin="")
    common = training_of(study, "munet_concat").iterations
    assert training_of(study, "nomri") == training_of(study, "own")
    assert training_of(study, "own").iterations == round(common / 10)
    tables = job_of(study, "tables")
    assert tables.iterations["phantom"]["nomri"] == tables.iterations["phantom"]["own"]
    assert "munet_concat (400 and 40 core seconds per 1000)" in tables.methods["nomri"]
    del raw["methods"]["nomri"]["cost_of"], raw["methods"]["own"]["cost_of"]
    raw["methods"]["munet_concat"]["cost_of"] = "nomri"
    assert training_of(load_study(raw, origin=""), "munet_concat").iterations == 10 * common
    raw["training_costs"] = {"munet_concat": 40}
    with pytest.raises(InputError, match=r"cost_of = 'nomri': training_costs lacks 'own'; add"):
        load_study(raw, origin="")
    raw["training_costs"] = {"own": 400, "nomri": 300, "munet_concat": 40}
    with pytest.raises(
        InputError, match=r"training_costs\.nomri: .*the training of 'own'.*; name 'own'"
    ):
        load_study(raw, origin="")


@pytest.mark.parametrize(
    ("methods", "costs", "message"),
    [
        ({"cost_of": "mfdiff"}, {"mfdiff": 9}, r"cost_of = 'mfdiff': training_costs lacks 'extra'; add"),
        ({"cost_of": "mfdiff"}, {"extra": 9}, r"cost_of = 'mfdiff': training_costs lacks 'mfdiff'; add"),
        ({"cost_of": "other"}, {"extra": 9}, r"cost_of = 'other': no such method; there are lpet, "),
        (
            {"cost_of": "gaussian"},
            {"extra": 9, "gaussian": 1},
            r"'gaussian': a method that is not trained",
        ),
        ({"cost_of": "extra"}, {"extra": 9}, r"'extra': is this method itself; name another"),
        ({}, {"extr": 9}, r"training_costs: no method 'extr'; there are lpet, "),
        ({}, {"extra": 0}, r"training_costs\.extra: .*greater than 0, got 0"),
        (
            {"optimiser": "published"},
            {},
            r"methods\.extra: optimiser = published, but the method 'unet'",
        ),
        ({"optimiser": "adam"}, {}, r"optimiser: .*'common' or 'published', got 'adam'"),
    ],
)
def test_mistakes_are_explained(raw, methods, costs, message):
    raw["methods"]["extra"] = {"kind": "unet", "features": [8, 8, 8, 8, 8, 8], **methods}
    raw["training_costs"] = costs
    with pytest.raises(InputError, match=message):
        load_study(raw, origin="")


def test_a_cost_is_never_that_of_a_method_which_has_anothers(raw):
    plain = {"kind": "unet", "features": [8, 8, 8, 8, 8, 8]}
    raw["methods"] |= {"one": {**plain, "cost_of": "two"}, "two": {**plain, "cost_of": "mfdiff"}}
    raw["training_costs"] = {"one": 1, "two": 2, "mfdiff": 3}
    with pytest.raises(
        InputError, match=r"methods\.one\.cost_of = 'two': .*itself; name that, 'mfdiff'"
    ):
        load_study(raw, origin="")


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ({"factors": [1], "iterations": 5}, r"learning_rate_trials\.factors: "),
        (
            {"factors": [1, 1], "iterations": 5},
            r"factors: each factor may be given once, got \[1\.0, 1\.0\]",
        ),
        ({"factors": [1, 0], "iterations": 5}, r"factors\.1: .*greater than 0, got 0"),
        ({"factors": [1, 3]}, r"learning_rate_trials\.iterations: Field required"),
        ([1, 3], r"learning_rate_trials: keys with values are wanted"),
    ],
)
def test_trials_that_make_no_sense_are_explained(raw, trials, message):
    with pytest.raises(InputError, match=message):
        with_trials(raw, learning_rate_trials=trials)


def test_the_budget_says_that_rates_are_chosen(raw):
    assert (
        "peak learning rate 0.0003 or 0.001 or 0.003, for each network that which restored validation "
        "slices best in a trial of 20 iterations, falling as a cosine"
    ) in job_of(with_trials(raw), "tables").budget
