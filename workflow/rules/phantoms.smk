# Labels -> phantoms -> rotated slices.


def earlier_decision():
    """What an earlier run decided and what still holds, or None.

    A decision for BrainWeb holds while its volumes exist; one for the template, while the configuration
    asks for the same thing in the same folder.
    """
    try:
        decision = read_json(Path("results/phantoms/source.json"))
        asked = decision["provenance"]["settings"]
        volumes = decision["volumes"].values()
        if decision["source"] == "brainweb":
            holds = FETCH.source != "template" and all(
                Path(path).exists() for path in volumes
            )
        else:
            holds = (asked["source"], asked["cache_dir"]) == (
                FETCH.source,
                FETCH.cache_dir,
            )
    except (InputError, KeyError, TypeError, AttributeError):
        return None
    return decision if holds else None


# Jobs of a cluster read the configuration again, in another folder: they get the variable as it is here.
if os.environ.get(CACHE_VARIABLE):
    os.environ[CACHE_VARIABLE] = absolute_cache(os.environ[CACHE_VARIABLE])

    envvars:
        CACHE_VARIABLE,


FETCH = job_of(STUDY, "fetch")
DECIDED = earlier_decision()
if DECIDED:
    # A subject that is added later joins the others' source, or is an error: sources are never mixed.
    FETCH = FETCH.model_copy(update={"source": DECIDED["source"]})


# Decides between BrainWeb and the template once for all subjects, so that a study never mixes them. The
# decision stands until the source or the folder changes, or its file is deleted. It runs where Snakemake does: nodes
# of a cluster often see no network.
checkpoint fetch:
    localrule: True
    input:
        sources=SOURCES,
    output:
        decision="results/phantoms/source.json",
    log:
        "logs/fetch.log",
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
        gpu=0,
    params:
        **(job("fetch") | {"fetch_settings": FETCH.model_dump_json()}),
    shell:
        # On the terminal too: using the template instead of BrainWeb must not go unnoticed.
        command("fetch", told=True)


def label_files(subject):
    """A subject's BrainWeb volume and its checksum, or nothing when the study uses the template."""
    if FETCH.source == "template":
        return {}
    decision = DECIDED
    if decision is None or (decision["volumes"] and subject not in decision["volumes"]):
        decision = read_json(Path(checkpoints.fetch.get().output.decision))
    volume = decision["volumes"].get(subject)
    return {"labels": volume, "sources": SOURCES} if volume else {}


rule phantom:
    input:
        unpack(lambda wildcards: label_files(wildcards.subject)),
    output:
        phantom=update("results/phantoms/{dataset}/{subject}.h5"),
        slices="results/slices/{dataset}/{subject}.h5",
    priority: BEFORE_SCANS
    log:
        "logs/phantom/{dataset}-{subject}.log",
    wildcard_constraints:
        dataset=one_of(STUDY.simulated),
    group:
        one_job("subject")
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
        gpu=0,
    params:
        **job("phantom", "slices"),
    shell:
        command("phantom", "slices")
