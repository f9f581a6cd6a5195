# Slices without lesions -> noise realisations with and without known lesions -> restored realisations.

from quietpet.study.realisations import REALISATIONS, realised_data, realised_subjects


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
