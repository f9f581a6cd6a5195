# Slices -> sinograms -> images -> packed data sets.


# With `scanner.projector: auto`, the engine is decided once for all subjects. The decision stands until
# that setting changes or its file is deleted; an edit of the code does not make it again.
rule engine:
    output:
        decision="results/engine.json",
    log:
        "logs/engine.log",
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        **job("engine", rerun=False),
    container:
        SIRF_IMAGE
    shell:
        # On the terminal too: which engine computes the projections must not go unnoticed.
        command("engine", told=True)


rule simulate:
    input:
        slices="results/slices/{dataset}/{subject}.h5",
        engine="results/engine.json" if STUDY.scanner.projector == "auto" else [],
    output:
        sinograms=intermediate(
            update("results/sinograms/{dataset}/{subject}/{dose}.h5")
        ),
        images=intermediate("results/images/{dataset}/{subject}/{dose}.h5"),
    priority: BEFORE_SCANS
    log:
        "logs/simulate/{dataset}-{subject}-{dose}.log",
    wildcard_constraints:
        dose=one_of(
            {
                level
                for each in STUDY.simulated.values()
                for level in each.study.doses.simulated
            }
        ),
    group:
        one_job("subject")
    threads: 1
    resources:
        mem_mb=growing(2000, 10),
        runtime=growing(30, 2),
        gpu=0,
    params:
        **job("simulate", "reconstruct"),
    container:
        SIRF_IMAGE
    shell:
        command("simulate", "reconstruct")


rule thin:
    input:
        standard="results/sinograms/{dataset}/{subject}/standard.h5",
    output:
        sinograms=intermediate(
            update("results/sinograms/{dataset}/{subject}/{dose}.h5")
        ),
        images=intermediate("results/images/{dataset}/{subject}/{dose}.h5"),
    priority: BEFORE_SCANS
    log:
        "logs/thin/{dataset}-{subject}-{dose}.log",
    wildcard_constraints:
        dose=one_of(
            {
                level
                for each in STUDY.simulated.values()
                for level in each.study.doses.thinned
            }
        ),
    group:
        one_job("subject")
    threads: 1
    resources:
        mem_mb=growing(2000, 10),
        runtime=growing(30, 2),
        gpu=0,
    params:
        **job("thin", "reconstruct"),
    container:
        SIRF_IMAGE
    shell:
        command("thin", "reconstruct")


ALL_SINOGRAMS = expand(
    "results/sinograms/{dataset}/{subject}/{dose}.h5",
    dataset=PHANTOM,
    subject=STUDY.splits.subjects,
    dose=STUDY.doses.levels,
)


rule counts:
    input:
        sinograms=ALL_SINOGRAMS,
    output:
        counts="results/counts.csv",
    log:
        "logs/counts.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("counts"),
    shell:
        command("counts")


def of_split(pattern):
    """Input function: ``pattern`` for every subject of the split, at the wildcard's dose."""
    return lambda wildcards: expand(
        pattern,
        dataset=wildcards.dataset,
        subject=getattr(
            DATASETS[wildcards.dataset].splits_of(wildcards.setting), wildcards.split
        ),
        setting=wildcards.setting,
    )


rule pack:
    input:
        slices=of_split("results/slices/{dataset}/{subject}.h5"),
        standard=of_split("results/images/{dataset}/{subject}/standard.h5"),
        low=of_split("results/images/{dataset}/{subject}/{setting}.h5"),
    output:
        dataset="results/datasets/{dataset}/{setting}/{split}.h5",
    priority: BEFORE_SCANS
    log:
        "logs/pack/{dataset}-{setting}-{split}.log",
    wildcard_constraints:
        dataset=one_of(STUDY.simulated),
    threads: 1
    resources:
        mem_mb=growing(1000, 50),
        runtime=growing(10, 1),
        gpu=0,
    params:
        **job("pack"),
    shell:
        command("pack")
