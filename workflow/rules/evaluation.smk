# Scores -> the tables.


ALL_SCORES = [
    f"results/scores/{run.dataset}/{run.setting}/{run.method}/"
    f"{f'{run.regime}/' if run.regime else ''}{run.replicate}.csv"
    for run in STUDY.scored
]


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


rule tables:
    input:
        scores=ALL_SCORES,
        plan=REPORTED_PLANS,
        rate=[path for method in STUDY.methods for path in rate_of(method)],
        sampling=["results/sampling.png"] if REPORTED_PLANS else [],
    output:
        tables="results/tables.csv",
        readable="results/tables.md",
        figure="results/tables.png",
        with_without_t1="results/with_without_t1.csv",
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
