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
        mem_mb=growing(2000),
        runtime=growing(20),
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
            mem_mb=growing(4000),
            runtime=growing(240),
            gpu=0,
        params:
            **job("realise", dataset=dataset),
        container:
            SIRF_IMAGE
        shell:
            command("realise")


for dataset in REALISED_DATASETS:
    define_realise(dataset)


def realisations_restored(run, suffix, folder="recovery"):
    """A file of what one method makes of the realisations."""
    return scores_of(run, suffix, folder=f"realisations/{folder}")


# Some methods in one job: each restores the realisations with its first training, and measures them. What is
# restored already stays when another method is added.
MEASURED = {
    "lesions": "lesions.csv",
    "noise": "noise.csv",
    "maps": "maps.h5",
    "ratings": "ratings.csv",
    "ratings_provenance": "ratings.json",
    "provenance": "json",
}


def define_recovery(called, runs):
    methods = {"-".join(filter(None, (run.method, run.regime))): run for run in runs}
    steps = {tag: {**run._asdict(), "purpose": REALISATIONS} for tag, run in methods.items()}

    def weights(run):
        training = STUDY.weights_for(dataset=run.dataset, setting=run.setting, regime=run.regime)
        return weights_of(training, run) if STUDY.methods[run.method].fitted else []

    def sinograms(run):
        reconstructs = STUDY.methods[run.method].reconstructs
        return realised_sinograms(run.dataset, run.setting) if reconstructs else []

    rule:
        name:
            called
        input:
            **{f"{tag}_weights": weights(run) for tag, run in methods.items()},
            **{
                f"{tag}_test": f"results/realisations/data/{run.dataset}/{run.setting}.h5"
                for tag, run in methods.items()
            },
            **{f"{tag}_sinograms": sinograms(run) for tag, run in methods.items()},
        output:
            **{
                f"{tag}_restored": update(realisations_restored(run, "h5", "restored"))
                for tag, run in methods.items()
            },
            **{
                f"{tag}_{file}": realisations_restored(run, suffix)
                for tag, run in methods.items()
                for file, suffix in MEASURED.items()
            },
        log:
            f"logs/recovery/{called}.log",
        threads: 1 + NETWORK_GPUS
        resources:
            mem_mb=growing(3000, 100),
            runtime=growing(720),
            gpu=NETWORK_GPUS,
        params:
            **job("restore", "recovery", "observe", of=steps),
        container:
            SIRF_IMAGE if any(STUDY.methods[run.method].reconstructs for run in runs) else None
        shell:
            command("restore", "recovery", "observe", of=steps)


for called, runs in REALISATIONS_TOGETHER.items():
    define_recovery(called, runs)


RESTORED_REALISATIONS = list(restored_realisations(STUDY))


def measured_realisations(suffix):
    """Input function: what is measured of all methods' realisations; an error in a study without any."""

    def paths(wildcards):
        if STUDY.realisations is None:
            raise WorkflowError(
                "this study has no section realisations, which names the test slices whose noise is measured again "
                f"and again; add realisations: {{data: [{STUDY.tried_on.dataset}/{STUDY.tried_on.setting}]}}"
            )
        return [realisations_restored(run, suffix) for run in RESTORED_REALISATIONS]

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
        recovery_png="results/figures/recovery.png",
        recovery_svg="results/figures/recovery.svg",
        maps_png="results/figures/bias_and_noise.png",
        maps_svg="results/figures/bias_and_noise.svg",
        provenance="results/recovery.json",
    log:
        "logs/recovery_table.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
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
        png=report(
            "results/figures/detection.png",
            caption="../report/detection.rst",
            category="Lesions and brain",
        ),
        svg="results/figures/detection.svg",
        provenance="results/detection.json",
    log:
        "logs/detection.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
        gpu=0,
    params:
        **job("detection"),
    shell:
        command("detection")
