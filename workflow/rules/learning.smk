# Packed data sets -> trained methods -> restored test slices.


rule fit:
    input:
        train="results/datasets/{dataset}/{setting}/train.h5",
        validation="results/datasets/{dataset}/{setting}/validation.h5",
    output:
        weights="results/models/{dataset}/{setting}/{method}/{replicate}/weights.safetensors",
        log="results/models/{dataset}/{setting}/{method}/{replicate}/training.csv",
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
    shell:
        "quietpet fit --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in train={input.train} validation={input.validation}"
        " --out weights={output.weights} log={output.log} 2> {log}"


rule restore:
    input:
        weights="results/models/{dataset}/{setting}/{method}/{replicate}/weights.safetensors",
        test="results/datasets/{dataset}/{setting}/test.h5",
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
    shell:
        "quietpet restore --threads {threads} --gpus {resources.gpu} --settings {params.settings:q}"
        " --in weights={input.weights} test={input.test}"
        " --out restored={output.restored} 2> {log}"
