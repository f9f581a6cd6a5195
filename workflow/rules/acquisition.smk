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
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        settings=settings("engine"),
    shell:
        "quietpet engine --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --out decision={output.decision}"
        # On the terminal too: which engine computes the projections must not go unnoticed.
        " 2>&1 | tee {log} >&2"


rule simulate:
    input:
        slices="results/slices/{dataset}/{subject}.h5",
        engine="results/engine.json" if STUDY.scanner.projector == "auto" else [],
    output:
        sinograms="results/sinograms/{dataset}/{subject}/{dose}.h5",
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
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        gpu=0,
    params:
        settings=settings("simulate"),
        code=code("simulate"),
        engine=lambda wildcards, input: f"engine={input.engine}" if input.engine else "",
    shell:
        "quietpet simulate --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in slices={input.slices} {params.engine} --out sinograms={output.sinograms} 2> {log}"


rule thin:
    input:
        standard="results/sinograms/{dataset}/{subject}/standard.h5",
    output:
        sinograms="results/sinograms/{dataset}/{subject}/{dose}.h5",
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
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        gpu=0,
    params:
        settings=settings("thin"),
        code=code("thin"),
    shell:
        "quietpet thin --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in standard={input.standard} --out sinograms={output.sinograms} 2> {log}"


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
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        settings=settings("counts"),
        code=code("counts"),
        sinograms=[f"sinograms={path}" for path in ALL_SINOGRAMS],
    shell:
        "quietpet counts --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in {params.sinograms} --out counts={output.counts} 2> {log}"


rule reconstruct:
    input:
        sinograms="results/sinograms/{dataset}/{subject}/{dose}.h5",
    output:
        images="results/images/{dataset}/{subject}/{dose}.h5",
    priority: BEFORE_SCANS
    log:
        "logs/reconstruct/{dataset}-{subject}-{dose}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
        gpu=0,
    params:
        settings=settings("reconstruct"),
        code=code("reconstruct"),
    shell:
        "quietpet reconstruct --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in sinograms={input.sinograms} --out images={output.images} 2> {log}"


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
        mem_mb=4000,
        runtime=20,
        gpu=0,
    params:
        settings=settings("pack"),
        code=code("pack"),
        slices=lambda wildcards, input: [f"slices={path}" for path in input.slices],
        standard=lambda wildcards, input: [
            f"standard={path}" for path in input.standard
        ],
        low=lambda wildcards, input: [f"low={path}" for path in input.low],
    shell:
        "quietpet pack --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in {params.slices} {params.standard} {params.low}"
        " --out dataset={output.dataset} 2> {log}"
