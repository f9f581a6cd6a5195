# Labels -> phantoms -> rotated slices.


# Decides between BrainWeb and the template once for all subjects, so that a study never mixes them.
checkpoint fetch:
    input:
        sources=SOURCES,
    output:
        decision="results/phantoms/source.json",
    params:
        settings=settings("fetch"),
        code=code("fetch"),
    log:
        "logs/fetch.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    shell:
        "quietpet fetch --threads {threads} --settings {params.settings:q}"
        " --in sources={input.sources} --out decision={output.decision} 2> {log}"


def label_volume(wildcards):
    """The subject's BrainWeb volume, once ``fetch`` has decided for BrainWeb; nothing for the template."""
    import json

    decision = json.loads(Path(checkpoints.fetch.get().output.decision).read_text())
    return decision["volumes"].get(wildcards.subject, [])


rule phantom:
    input:
        labels=label_volume,
    output:
        phantom="results/phantoms/{subject}.h5",
    params:
        settings=settings("phantom"),
        code=code("phantom"),
        labels=lambda wildcards, input: f"--in labels={input.labels}" if input.labels else "",
    log:
        "logs/phantom/{subject}.log",
    benchmark:
        "logs/phantom/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=15,
    shell:
        "quietpet phantom --threads {threads} --settings {params.settings:q}"
        " {params.labels} --out phantom={output.phantom} 2> {log}"


rule slices:
    input:
        phantom="results/phantoms/{subject}.h5",
    output:
        slices="results/slices/{subject}.h5",
    params:
        settings=settings("slices"),
        code=code("slices"),
    log:
        "logs/slices/{subject}.log",
    benchmark:
        "logs/slices/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "quietpet slices --threads {threads} --settings {params.settings:q}"
        " --in phantom={input.phantom} --out slices={output.slices} 2> {log}"
