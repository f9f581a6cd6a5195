# Scores -> the tables.


def scores_of(runs, folder="scores"):
    """Files of the scores of ``runs``."""
    return [
        f"results/{folder}/{run.dataset}/{run.setting}/{run.method}/"
        f"{f'{run.regime}/' if run.regime else ''}{run.replicate}.csv"
        for run in runs
    ]


ALL_SCORES = scores_of(STUDY.scored)
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


# The scores of methods that never look at T1 stand beside those of the others: no job of their own.
rule robustness_table:
    input:
        robustness=wanted_with_wrong_t1(scores_of(WITH_WRONG_T1, folder="robustness")),
        scores=scores_of(run for run in STUDY.in_robustness if run not in WITH_WRONG_T1),
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


rule tables:
    input:
        scores=ALL_SCORES,
        plan=REPORTED_PLANS,
        robustness=["results/robustness.md"] if STUDY.robustness else [],
        rate=[path for method in STUDY.methods for path in rate_of(method)],
        sampling=["results/sampling.png"] if REPORTED_PLANS else [],
    output:
        tables="results/tables.csv",
        readable="results/tables.md",
        figure="results/tables.png",
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
