# Slices without lesions -> noise realisations with and without known lesions -> restored realisations.

from quietpet.study.realisations import (
    REALISATIONS,
    realised_data,
    realised_subjects,
    restored_realisations,
)


REALISED = realised_data(STUDY)
REALISED_DATASETS = tuple(dict.fromkeys(dataset for dataset, _ in REALISED))


# The heads of the study's phantoms again, without the lesions of these, and without turning them.
rule realised_slices:
    input:
        unpack(lambda wildcards: label_files(wildcards.subject)),
    output:
        phantom=update("results/realisations/phantoms/{dataset}/{subject}.h5"),
        slices="results/realisations/slices/{dataset}/{subject}.h5",
    log:
        "logs/realised_slices/{dataset}-{subject}.log",
    wildcard_constraints:
        dataset=one_of(REALISED_DATASETS),
    threads: 1
    resources:
        mem_mb=3000,
        runtime=25,
        gpu=0,
    params:
        **job("phantom", "slices", purpose=REALISATIONS),
    shell:
        command("phantom", "slices")


def realised_sinograms(dataset, setting):
    """The low-dose sinograms of the realisations, one file per subject."""
    return [
        f"results/realisations/sinograms/{dataset}/{setting}/{subject}.h5"
        for subject in realised_subjects(STUDY, dataset)
    ]


# A data set has subjects of its own, and with them outputs. Sinograms are kept for methods that need them.
def define_realise(dataset):
    kept = {
        "sinograms": realised_sinograms(dataset, "{setting}")
    } if any(each.reconstructs for each in STUDY.methods.values()) else {}

    rule:
        name:
            f"realise-{dataset}"
        input:
            slices=[
                f"results/realisations/slices/{dataset}/{subject}.h5"
                for subject in realised_subjects(STUDY, dataset)
            ],
            engine="results/engine.json" if STUDY.scanner.projector == "auto" else [],
        output:
            dataset=f"results/realisations/data/{dataset}/{{setting}}.h5",
            **kept,
        log:
            f"logs/realise/{dataset}-{{setting}}.log",
        wildcard_constraints:
            setting=one_of([setting for name, setting in REALISED if name == dataset]),
        threads: 1
        resources:
            mem_mb=4000,
            runtime=240,
            gpu=0,
        params:
            **job("realise", dataset=dataset),
        shell:
            command("realise")


for dataset in REALISED_DATASETS:
    define_realise(dataset)


def sinograms_of_realisations(wildcards):
    """Input function: their low-dose sinograms, for methods that reconstruct; else none."""
    if not STUDY.methods[wildcards.method].reconstructs:
        return []
    return realised_sinograms(wildcards.dataset, wildcards.setting)


# One job per method: it restores the realisations with its first training, and measures them.
rule recovery:
    input:
        weights=learned_weights,
        test="results/realisations/data/{dataset}/{setting}.h5",
        sinograms=sinograms_of_realisations,
    output:
        restored=update(
            "results/realisations/restored/{dataset}/{setting}/{method}/{regime}{replicate}.h5"
        ),
        lesions="results/realisations/recovery/{dataset}/{setting}/{method}/{regime}{replicate}.lesions.csv",
        noise="results/realisations/recovery/{dataset}/{setting}/{method}/{regime}{replicate}.noise.csv",
        maps="results/realisations/recovery/{dataset}/{setting}/{method}/{regime}{replicate}.maps.h5",
        ratings="results/realisations/recovery/{dataset}/{setting}/{method}/{regime}{replicate}.ratings.csv",
        provenance="results/realisations/recovery/{dataset}/{setting}/{method}/{regime}{replicate}.json",
    log:
        "logs/recovery/{dataset}-{setting}-{method}-{regime}{replicate}.log",
    wildcard_constraints:
        dataset=one_of(REALISED_DATASETS),
    threads: network_threads
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=network_gpus,
    params:
        **job("restore", "recovery", "observe"),
    shell:
        command("restore", "recovery", "observe")


RESTORED_REALISATIONS = list(restored_realisations(STUDY))


def measured_realisations(suffix):
    """Input function: what is measured of all methods' realisations; an error in a study without any."""

    def paths(wildcards):
        if STUDY.realisations is None:
            raise WorkflowError(
                "this study has no section realisations, which names the test slices whose noise is measured again "
                f"and again; add realisations: {{data: [{STUDY.tried_on.dataset}/{STUDY.tried_on.setting}]}}"
            )
        return [scores_of(run, suffix, folder="realisations/recovery") for run in RESTORED_REALISATIONS]

    return paths


rule recovery_table:
    input:
        lesions=measured_realisations("lesions.csv"),
        noise=measured_realisations("noise.csv"),
        maps=measured_realisations("maps.h5"),
        test=[f"results/realisations/data/{dataset}/{setting}.h5" for dataset, setting in REALISED],
    output:
        recovery="results/recovery.csv",
        noise="results/bias_variance.csv",
        section="results/sections/recovery.json",
        figure=multiext("results/figures/recovery", ".png", ".svg"),
        maps=multiext("results/figures/bias_and_noise", ".png", ".svg"),
        provenance="results/recovery.json",
    log:
        "logs/recovery_table.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=0,
    params:
        **job("recovery_table"),
    shell:
        command("recovery_table")


rule detection:
    input:
        ratings=measured_realisations("ratings.csv"),
        test=[f"results/realisations/data/{dataset}/{setting}.h5" for dataset, setting in REALISED],
    output:
        table="results/detection.csv",
        section="results/sections/detection.json",
        figure=multiext("results/figures/detection", ".png", ".svg"),
        provenance="results/detection.json",
    log:
        "logs/detection.log",
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=0,
    params:
        **job("detection"),
    shell:
        command("detection")
