# Packed data sets -> trained methods -> restored test slices.


def sinograms_of(split):
    """Input function: the low-dose sinograms of a split, for methods that reconstruct; else none."""

    def paths(wildcards):
        if not STUDY.methods[wildcards.method].reconstructs:
            return []
        return expand(
            "results/sinograms/{subject}/{dose}.h5",
            subject=getattr(STUDY.splits, split),
            dose=wildcards.setting,
        )

    return paths


def sinogram_arguments(wildcards, input):
    """Params function: the sinograms as arguments of the command."""
    return [f"sinograms={path}" for path in input.sinograms]


rule fit:
    input:
        train="results/datasets/{dataset}/{setting}/train.h5",
        validation="results/datasets/{dataset}/{setting}/validation.h5",
        sinograms=sinograms_of("validation"),
    output:
        weights="results/models/{dataset}/{setting}/{method}/{replicate}/weights.safetensors",
        log="results/models/{dataset}/{setting}/{method}/{replicate}/training.csv",
        card="results/models/{dataset}/{setting}/{method}/{replicate}/card.md",
    log:
        "logs/fit/{dataset}-{setting}-{method}-{replicate}.log",
    benchmark:
        "logs/fit/{dataset}-{setting}-{method}-{replicate}.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=2880,
        gpu=0,
    params:
        settings=settings("fit"),
        code=method_code("fit"),
        sinograms=sinogram_arguments,
    shell:
        "quietpet fit --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in train={input.train} validation={input.validation} {params.sinograms}"
        " --out weights={output.weights} log={output.log} card={output.card} 2> {log}"


rule restore:
    input:
        weights="results/models/{dataset}/{setting}/{method}/{replicate}/weights.safetensors",
        test="results/datasets/{dataset}/{setting}/test.h5",
        sinograms=sinograms_of("test"),
    output:
        restored="results/restored/{dataset}/{setting}/{method}/{replicate}.h5",
    log:
        "logs/restore/{dataset}-{setting}-{method}-{replicate}.log",
    benchmark:
        "logs/restore/{dataset}-{setting}-{method}-{replicate}.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=0,
    params:
        settings=settings("restore"),
        code=method_code("restore"),
        sinograms=sinogram_arguments,
    shell:
        "quietpet restore --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in weights={input.weights} test={input.test} {params.sinograms}"
        " --out restored={output.restored} 2> {log}"
