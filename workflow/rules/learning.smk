# Packed data sets -> trained methods -> restored test slices.

import functools


def sinograms_of(split):
    """Input function: the low-dose sinograms of a split, for methods that reconstruct; else none."""

    def paths(wildcards):
        if not STUDY.methods[wildcards.method].reconstructs:
            return []
        return expand(
            "results/sinograms/{dataset}/{subject}/{dose}.h5",
            dataset=wildcards.dataset,
            subject=getattr(
                DATASETS[wildcards.dataset].splits_of(wildcards.setting), split
            ),
            dose=wildcards.setting,
        )

    return paths


def training_sinograms(wildcards):
    """Input function: the low-dose sinograms of all that a training learns from, for methods that need them."""
    if not STUDY.methods[wildcards.method].learns_from_sinograms:
        return []
    return [
        f"results/sinograms/{dataset}/{subject}/{setting}.h5"
        for dataset, setting in training_data(STUDY.learning, training_named(wildcards))
        for subject in DATASETS[dataset].splits_of(setting).train
    ]


def training_named(wildcards):
    """The training whose weights these wildcards name."""
    return Training.named(
        dataset=wildcards.dataset,
        setting=wildcards.setting,
        stages=Path(wildcards.get("stages", "")).name,
    )


def weights_of(training, wildcards):
    """The file of the weights of ``training``, for the wildcards' method and replicate.

    A variant without T1 that is the same trained network as its method shares it.
    """
    method = STUDY.trained_as(wildcards.method)
    stages = f"{training.stages_name}/" if training.stages else ""
    return (
        f"results/models/{training.dataset}/{training.setting}/{method}/"
        f"{stages}{wildcards.replicate}/weights.safetensors"
    )


def training_sets(wildcards):
    """Input function: what a training learns from."""
    data = training_data(STUDY.learning, training_named(wildcards))
    return [
        f"results/datasets/{dataset}/{setting}/train.h5" for dataset, setting in data
    ]


def starting_weights(wildcards):
    """Input function: the weights of the stage before, if there is one."""
    before = STUDY.training_before(training_named(wildcards))
    return [weights_of(before, wildcards)] if before else []


def learned_weights(wildcards, **names):
    """Input function: the weights that restore under the wildcards' regime; none if there is nothing to fit.

    ``names`` are the data set and setting that no wildcard has.
    """
    if not STUDY.methods[wildcards.method].fitted:
        return []
    found = {**names_of(wildcards), **names}
    training = STUDY.weights_for(**{name: found[name] for name in ("dataset", "setting", "regime")})
    return weights_of(training, wildcards)


def weights_learned_elsewhere(wildcards):
    """Input function: the weights that restore another dose of the wildcards' data set."""
    return learned_weights(wildcards, setting=wildcards.trained_on)


def planned_weights(wildcards):
    """Input function: the weights whose sampling is planned."""
    method = STUDY.trained_as(wildcards.method)
    return (
        f"results/models/{wildcards.dataset}/{wildcards.setting}/{method}/"
        f"{PLANNED_REPLICATE}/weights.safetensors"
    )


def rate_of(method):
    """The file of the trials that choose the learning rate of ``method``.

    None where it is given, and of methods that share the training of another one.
    """
    on = STUDY.tried_on
    path = f"results/learning_rates/{on.dataset}/{on.setting}/{method}.json"
    tried = STUDY.chooses_rate(method) and STUDY.trained_as(method) == method
    return [path] if tried else []


def length_of_training(wildcards):
    """Priority function: what trains longest starts first, so that nothing long is left for the end.

    A step of a diffusion model takes about ten times that of a U-Net of the same study.
    """
    if not STUDY.methods[wildcards.method].trained:
        return 0
    job = job_of(STUDY, "fit", **names_of(wildcards))
    return job.training.iterations * (
        10 if wildcards.method in STUDY.diffusion_methods else 1
    )


rule learning_rate:
    input:
        train="results/datasets/{dataset}/{setting}/train.h5",
        validation="results/datasets/{dataset}/{setting}/validation.h5",
        train_sinograms=training_sinograms,
        sinograms=sinograms_of("validation"),
    output:
        rate="results/learning_rates/{dataset}/{setting}/{method}.json",
    priority: 10**7  # all trainings of the method wait for it
    log:
        "logs/learning_rate/{dataset}-{setting}-{method}.log",
    threads: network_threads
    resources:
        mem_mb=growing(3000, 100),
        runtime=growing(120, 30),
        gpu=network_gpus,
    params:
        **job("learning_rate"),
    container:
        image_of_method
    shell:
        command("learning_rate")


rule fit:
    input:
        train=training_sets,
        validation="results/datasets/{dataset}/{setting}/validation.h5",
        start=starting_weights,
        train_sinograms=training_sinograms,
        rate=lambda wildcards: rate_of(wildcards.method),
        sinograms=sinograms_of("validation"),
    output:
        weights="results/models/{dataset}/{setting}/{method}/{stages}{replicate}/weights.safetensors",
        log="results/models/{dataset}/{setting}/{method}/{stages}{replicate}/training.csv",
        card="results/models/{dataset}/{setting}/{method}/{stages}{replicate}/card.md",
    priority: length_of_training
    log:
        "logs/fit/{dataset}-{setting}-{method}-{stages}{replicate}.log",
    group:
        with_its_training()
    threads: network_threads
    resources:
        mem_mb=growing(3000, 100),
        runtime=training_minutes,
        gpu=network_gpus,
    params:
        **job("fit"),
        srun=srun_of_training,
    container:
        image_of_method
    shell:
        command("fit", start="{params.srun}")


rule plan:
    input:
        weights=planned_weights,
        validation="results/datasets/{dataset}/{setting}/validation.h5",
    output:
        plan="results/sampling/{dataset}/{setting}/{method}.json",
    log:
        "logs/plan/{dataset}-{setting}-{method}.log",
    threads: network_threads
    resources:
        mem_mb=growing(3000, 100),
        runtime=growing(60, 60),
        gpu=network_gpus,
    params:
        **job("plan"),
    container:
        image_of_method
    shell:
        command("plan")


# A new metric scores anew what was restored.
rule restore:
    input:
        weights=learned_weights,
        test="results/datasets/{dataset}/{setting}/test.h5",
        sinograms=sinograms_of("test"),
    output:
        restored=update(
            "results/restored/{dataset}/{setting}/{method}/{regime}{replicate}.h5"
        ),
        scores="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.csv",
        subjects="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.subjects.csv",
        provenance="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.json",
    log:
        "logs/restore/{dataset}-{setting}-{method}-{regime}{replicate}.log",
    wildcard_constraints:
        dataset=one_of([name for name in STUDY.simulated if name not in STUDY.compared]),
    group:
        with_its_training()
    threads: network_threads
    resources:
        mem_mb=growing(3000, 100),
        runtime=growing(60, 60),
        gpu=network_gpus,
    params:
        **job("restore", "score"),
    container:
        image_of_method
    shell:
        command("restore", "score")


# Regions are measured in the data sets that `cohorts` compares alone.
use rule restore as cohort_restore with:
    output:
        restored=update(
            "results/restored/{dataset}/{setting}/{method}/{regime}{replicate}.h5"
        ),
        scores="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.csv",
        subjects="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.subjects.csv",
        regions="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.regions.csv",
        provenance="results/scores/{dataset}/{setting}/{method}/{regime}{replicate}.json",
    wildcard_constraints:
        dataset=one_of(STUDY.compared),


# With what was learned at another dose of the same data set. Scores lie where no table looks for them.
use rule restore as crossed_restore with:
    input:
        weights=weights_learned_elsewhere,
        test="results/datasets/{dataset}/{setting}/test.h5",
        sinograms=sinograms_of("test"),
    output:
        restored=update(
            "results/crossed/{dataset}/{setting}/{method}/{trained_on}/{regime}{replicate}.h5"
        ),
        scores="results/crossed/{dataset}/{setting}/{method}/{trained_on}/{regime}{replicate}.csv",
        provenance="results/crossed/{dataset}/{setting}/{method}/{trained_on}/{regime}{replicate}.json",
    log:
        "logs/crossed/{dataset}-{setting}-{method}-{trained_on}-{regime}{replicate}.log",
    wildcard_constraints:
        dataset=one_of(STUDY.simulated),
        trained_on=one_of(
            {name for each in STUDY.simulated.values() for name in each.settings}
        ),


def wanted_with_wrong_t1(paths):
    """Input function: ``paths``, or those that it gives, in a study that asks for a wrong T1; else an error."""

    def those_of(wildcards):
        if STUDY.robustness is None:
            raise WorkflowError(
                "this study has no section robustness, which names the test slices that are restored with a wrong "
                "T1; add robustness: {data: [" + f"{STUDY.tried_on.dataset}/{STUDY.tried_on.setting}" + "]}"
            )
        return paths(wildcards) if callable(paths) else paths

    return those_of


# The same slices with a wrong T1: scores alone. One training of each method, because it is about what networks
# do, and not about their spread.
rule robustness:
    input:
        weights=wanted_with_wrong_t1(learned_weights),
        test="results/datasets/{dataset}/{setting}/test.h5",
        sinograms=sinograms_of("test"),
    output:
        scores="results/robustness/{dataset}/{setting}/{method}/{regime}{replicate}.csv",
        provenance="results/robustness/{dataset}/{setting}/{method}/{regime}{replicate}.json",
    log:
        "logs/robustness/{dataset}-{setting}-{method}-{regime}{replicate}.log",
    group:
        with_its_training()
    threads: network_threads
    resources:
        mem_mb=growing(3000, 100),
        runtime=growing(120, 120),
        gpu=network_gpus,
    params:
        **job("robustness"),
    container:
        image_of_method
    shell:
        command("robustness")


# All settings of a data set of scans are restored by one job, because each is seconds and Python starts in as many.
# A dose of phantoms is a job of its own, so that another one repeats nothing. A function, because Snakemake makes
# the command again when a job runs, and a loop's variables are then those of its last turn.
def define_restore(called, dataset, restored):
    rule:
        name:
            called
        input:
            **{
                f"{setting}_weights": functools.partial(
                    learned_weights, dataset=dataset, setting=setting
                )
                for setting in restored.settings
            },
            **{
                f"{setting}_test": f"results/datasets/{dataset}/{setting}/test.h5"
                for setting in restored.settings
            },
        output:
            **{
                f"{setting}_{file}": flagged(
                    f"results/{folder}/{dataset}/{setting}/{{method}}/{{regime}}{{replicate}}.{suffix}"
                )
                for setting in restored.settings
                for file, folder, suffix, flagged in (
                    ("restored", "restored", "h5", update),
                    ("scores", "scores", "csv", str),
                    ("provenance", "scores", "json", str),
                )
            },
        log:
            f"logs/restore/{dataset}-{{method}}-{{regime}}{{replicate}}.log",
        wildcard_constraints:
            method=one_of(restored.methods),
            # In a group: Snakemake takes an empty constraint, of methods that learn nothing, for none.
            regime=f"(?:{'|'.join(f'{regime}/' if regime else '' for regime in restored.regimes)})",
        group:
            with_its_training()
        threads: network_threads
        resources:
            mem_mb=growing(3000, 100),
            runtime=growing(60 * len(restored.settings), 60),
            gpu=network_gpus,
        params:
            **job("restore", "score", of=restored.settings, dataset=dataset),
        shell:
            command("restore", "score", of=restored.settings)


for called, together in RESTORED_TOGETHER.items():
    define_restore(called, *together)
