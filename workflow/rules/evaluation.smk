# Scores -> the tables.


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
        section="results/sections/sampling.json",
        figure=report(
            "results/figures/sampling.png", caption="../report/sampling.rst", category="Sampling"
        ),
        svg="results/figures/sampling.svg",
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
        section="results/sections/cohorts.json",
        figure=report("results/figures/cohorts.png", caption="../report/cohorts.rst", category="Cohorts"),
        svg="results/figures/cohorts.svg",
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
        section="results/sections/robustness.json",
        figure=report(
            "results/figures/robustness.png", caption="../report/robustness.rst", category="Robustness"
        ),
        svg="results/figures/robustness.svg",
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


# Names of the files of each table that the study has rows of.
TABLES = [file_stem(table) for table in tables_of(STUDY)]


def gallery_of(dataset, setting, suffix):
    """A file of the figure of images of one test set."""
    return f"results/gallery/{dataset}-{setting}.{suffix}"


def shown_in_gallery(wildcards):
    """Input function: what a figure of images shows, a restoration of each method."""
    runs = STUDY.gallery.get((wildcards.dataset, wildcards.setting))
    if not runs:
        raise WorkflowError(
            f"report.gallery does not name {wildcards.dataset}/{wildcards.setting}; add it there"
        )
    return [scores_of(run, "h5", folder="restored") for run in runs]


rule gallery:
    input:
        restored=shown_in_gallery,
        test="results/datasets/{dataset}/{setting}/test.h5",
    output:
        figure=report(
            "results/gallery/{dataset}-{setting}.png",
            caption="../report/gallery.rst",
            category="Images",
            labels={"data set": "{dataset}", "setting": "{setting}"},
        ),
        svg="results/gallery/{dataset}-{setting}.svg",
        section="results/gallery/{dataset}-{setting}.json",
    log:
        "logs/gallery/{dataset}-{setting}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        **job("gallery"),
    shell:
        command("gallery")


rule tables:
    input:
        scores=ALL_SCORES,
        rate=[path for method in STUDY.methods for path in rate_of(method)],
    output:
        tables=report("results/tables.csv", caption="../report/tables.rst", category="Tables"),
        readable="results/tables.md",
        section="results/sections/tables.json",
        claim="results/sections/claim.json",
        figure=report(
            expand("results/figures/{table}.png", table=TABLES),
            caption="../report/table_figures.rst",
            category="Tables",
        ),
        svg=expand("results/figures/{table}.svg", table=TABLES),
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


# What the report shows, in the order of the page: sections, and the figures that they name. A step that has something
# to show adds its files here.
SECTIONS = [
    "results/sections/tables.json",
    *[gallery_of(*place, "json") for place in STUDY.gallery],
    *(["results/sections/robustness.json"] if STUDY.robustness else []),
    *(["results/sections/cohorts.json"] if STUDY.compared else []),
    *(["results/sections/sampling.json"] if REPORTED_PLANS else []),
    "results/sections/claim.json",
]
FIGURES = [
    f"{figure}.{suffix}"
    for figure in (
        *[f"results/figures/{table}" for table in TABLES],
        *[gallery_of(*place, "png").removesuffix(".png") for place in STUDY.gallery],
        *(["results/figures/robustness"] if STUDY.robustness else []),
        *(["results/figures/cohorts"] if STUDY.compared else []),
        *(["results/figures/sampling"] if REPORTED_PLANS else []),
    )
    for suffix in ("png", "svg")
]


def trainings_scored():
    """Logs of all trainings that led to a score, each once."""
    found = {}
    for run in STUDY.scored:
        if not STUDY.methods[run.method].trained:
            continue
        training = STUDY.weights_for(dataset=run.dataset, setting=run.setting, regime=run.regime)
        while training:
            weights = weights_of(training, run)
            found[weights.replace("weights.safetensors", "training.csv")] = None
            training = STUDY.training_before(training)
    return [*found]


def scans_scored(name):
    """A file of each scan that is packed."""
    return [
        scan_path(dataset.cohort.source, name).format(participant=participant)
        for dataset in STUDY.scanned.values()
        for setting in dataset.settings
        for participant in dataset.splits_of(setting).subjects
    ]


def each_once(paths):
    return [*dict.fromkeys(paths)]


# Logs are no inputs: what jobs used is told of those that are there.
rule report:
    input:
        section=SECTIONS,
        figure=FIGURES,
        training=trainings_scored(),
        scan=each_once(scans_scored("scan.json")),
        registration=each_once(scans_scored("registered/registration.json")),
        qc=each_once(scans_scored("registered/qc.png")),
        provenance=[scores_of(run, "json") for run in STUDY.scored] + ["results/tables.json"],
        citation=os.path.relpath(Path(workflow.basedir) / "CITATION.cff"),
    output:
        report=report("results/report.html", caption="../report/report.rst", category="Report"),
    log:
        "logs/report.log",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        **job("report"),
    shell:
        command("report")
