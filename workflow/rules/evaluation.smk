# Scores -> the tables.

from quietpet.evaluation.layouts import file_stem
from quietpet.study.select_tables import exported_tables


def scores_of(run, suffix="csv", folder="scores"):
    """What is measured of one restoration: a file of this suffix."""
    regime = f"{run.regime}/" if run.regime else ""
    return f"results/{folder}/{run.dataset}/{run.setting}/{run.method}/{regime}{run.replicate}.{suffix}"


ALL_SCORES = [scores_of(run) for run in STUDY.scored]
ALL_REGIONS = [
    scores_of(run, "regions.csv")
    for run in STUDY.scored
    if run.dataset in STUDY.compared
]
ALL_SUBJECTS = [
    scores_of(run, "subjects.csv")
    for run in STUDY.scored
    if run.dataset in STUDY.simulated
]
WITH_WRONG_T1 = STUDY.restored_with_wrong_t1


# A sampler is a setting of its method, whatever data are restored: it is planned on the first data set.
PLANS = [
    f"results/sampling/{PHANTOM}/{setting}/{method}.json"
    for setting in STUDY.doses.low
    for method in STUDY.diffusion_methods
]
REPORTED_PLANS = PLANS if STUDY.planner.report else []


rule sampling:
    input:
        plan=PLANS,
    output:
        table="results/sampling.csv",
        readable="results/sampling.md",
        figure="results/sampling.png",
    log:
        "logs/sampling.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("sampling"),
    shell:
        command("sampling")


rule subjects:
    input:
        subjects=ALL_SUBJECTS,
    output:
        table="results/subjects.csv",
        section="results/sections/subjects.json",
        provenance="results/subjects.json",
    log:
        "logs/subjects.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("subjects"),
    shell:
        command("subjects")


def compared_regions(wildcards):
    """Input function: regional activity of all that is compared; an error in a study that compares nothing."""
    if STUDY.cohorts is None:
        raise WorkflowError(
            "this study has no section cohorts, which names the data sets whose regions are compared; add "
            "cohorts: {healthy: DATA_SET, diseased: [DATA_SET]}"
        )
    return ALL_REGIONS


rule cohorts:
    input:
        regions=compared_regions,
    output:
        bias="results/cohorts.csv",
        effects="results/effects.csv",
        readable="results/cohorts.md",
        figure="results/cohorts.png",
        provenance="results/cohorts.json",
    log:
        "logs/cohorts.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("cohorts"),
    shell:
        command("cohorts")


# The scores of methods that never look at T1 stand beside those of the others: no job of their own.
rule robustness_table:
    input:
        robustness=wanted_with_wrong_t1(
            [scores_of(run, folder="robustness") for run in WITH_WRONG_T1]
        ),
        scores=[scores_of(run) for run in STUDY.in_robustness if run not in WITH_WRONG_T1],
    output:
        table="results/robustness.csv",
        readable="results/robustness.md",
        figure="results/robustness.png",
        provenance="results/robustness.json",
    log:
        "logs/robustness.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("robustness_table"),
    shell:
        command("robustness_table")


# The standard dose is an estimate, too: errors to the true activity, which phantoms have.
rule truth:
    input:
        scores=[scores_of(run) for run in STUDY.scored if run.dataset in STUDY.simulated],
        test=[
            f"results/datasets/{name}/{setting}/test.h5"
            for name, dataset in STUDY.simulated.items()
            for setting in dataset.settings
        ],
    output:
        table="results/truth.csv",
        standard="results/truth_standard.csv",
        section="results/sections/truth.json",
        provenance="results/truth.json",
    log:
        "logs/truth.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("truth"),
    shell:
        command("truth")


EXPORTED = [file_stem(table) for table in exported_tables(STUDY)]


rule tables:
    input:
        scores=ALL_SCORES,
        plan=REPORTED_PLANS,
        robustness=["results/robustness.md"] if STUDY.robustness else [],
        cohorts=["results/cohorts.md"] if STUDY.compared else [],
        rate=[path for method in STUDY.methods for path in rate_of(method)],
        sampling=["results/sampling.png"] if REPORTED_PLANS else [],
    output:
        tables="results/tables.csv",
        readable="results/tables.md",
        figure="results/tables.png",
        with_without_t1="results/with_without_t1.csv",
        paired="results/paired.csv",
        section="results/sections/paired.json",
        csv=[f"results/tables/{each}.csv" for each in EXPORTED],
        latex=[f"results/tables/{each}.tex" for each in EXPORTED],
        workbook="results/tables.xlsx",
        provenance="results/tables.json",
    log:
        "logs/tables.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("tables"),
    shell:
        command("tables")
