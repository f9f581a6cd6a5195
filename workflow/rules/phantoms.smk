# Labels -> phantoms -> rotated slices.


def earlier_decision():
    """What an earlier run decided for the same source and folder, or None."""
    path = Path("results/phantoms/source.json")
    if not path.exists():
        return None
    decision = read_json(path)
    asked = decision["provenance"]["settings"]
    same = (asked["source"], asked["cache_dir"]) == (FETCH.source, FETCH.cache_dir)
    return decision if same else None


FETCH = FetchJob.of(STUDY)
DECIDED = earlier_decision()


# Decides between BrainWeb and the template once for all subjects, so that a study never mixes them. The
# decision stands until the source or the folder changes, or its file is deleted.
checkpoint fetch:
    input:
        sources=SOURCES,
    output:
        decision="results/phantoms/source.json",
    log:
        "logs/fetch.log",
    threads: 2
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=FETCH.model_dump_json(),
        code=code("fetch"),
    shell:
        "quietpet fetch --threads {threads} --settings {params.settings:q}"
        " --in sources={input.sources:q} --out decision={output.decision}"
        # On the terminal too: using the template instead of BrainWeb must not go unnoticed.
        " 2>&1 | tee {log} >&2"


def label_volume(wildcards):
    """The subject's BrainWeb volume, or nothing when the study uses the template."""
    if FETCH.source == "template":
        return []
    decision = DECIDED
    if decision is None or (decision["volumes"] and wildcards.subject not in decision["volumes"]):
        decision = read_json(Path(checkpoints.fetch.get().output.decision))
    return decision["volumes"].get(wildcards.subject, [])


rule phantom:
    input:
        labels=label_volume,
    output:
        phantom="results/phantoms/{subject}.h5",
    log:
        "logs/phantom/{subject}.log",
    benchmark:
        "logs/phantom/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=15,
    params:
        settings=settings("phantom"),
        code=code("phantom"),
        labels=lambda wildcards, input: f"--in labels={input.labels}" if input.labels else "",
    shell:
        "quietpet phantom --threads {threads} --settings {params.settings:q}"
        " {params.labels} --out phantom={output.phantom} 2> {log}"


rule slices:
    input:
        phantom="results/phantoms/{subject}.h5",
    output:
        slices="results/slices/{subject}.h5",
    log:
        "logs/slices/{subject}.log",
    benchmark:
        "logs/slices/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings("slices"),
        code=code("slices"),
    shell:
        "quietpet slices --threads {threads} --settings {params.settings:q}"
        " --in phantom={input.phantom} --out slices={output.slices} 2> {log}"
