# Scores -> the tables.

from quietpet.evaluation.layouts import file_stem
from quietpet.study.select_tables import exported_tables


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
ALL_SUBJECTS = [
    scores_of(run, "subjects.csv")
    for run in STUDY.scored
    if run.dataset in STUDY.simulated
]
WITH_WRONG_T1 = STUDY.restored_with_wrong_t1


SAMPLED = STUDY.scored_with_samples
DOSES = {(amount.dataset, amount.setting) for amount in dose_amounts(STUDY)}
CROSSED = list(crossed(STUDY))


def crossed_path(run, suffix):
    """What is restored, or measured, at one dose with what was learned at another."""
    regime = f"{run.regime}/" if run.regime else ""
    return f"results/crossed/{run.dataset}/{run.setting}/{run.method}/{run.trained_on}/{regime}{run.replicate}.{suffix}"


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
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("sampling"),
    shell:
        command("sampling")


def restored_with_samples(wildcards):
    """Input function: what methods that sample restored; an error in a study without such methods."""
    if not SAMPLED:
        raise WorkflowError(
            "no method of this study draws several samples of a slice, whose spread would say something of their "
            "error; set samples_per_slice of a diffusion method to 2 or more"
        )
    return [scores_of(run, "h5", folder="restored") for run in SAMPLED]


rule uncertainty:
    input:
        restored=restored_with_samples,
        test=list(
            dict.fromkeys(
                f"results/datasets/{run.dataset}/{run.setting}/test.h5" for run in SAMPLED
            )
        ),
    output:
        table="results/uncertainty.csv",
        section="results/sections/uncertainty.json",
        png="results/figures/uncertainty.png",
        svg="results/figures/uncertainty.svg",
        provenance="results/uncertainty.json",
    log:
        "logs/uncertainty.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(3000, 10),
        runtime=growing(60),
        gpu=0,
    params:
        **job("uncertainty"),
    shell:
        command("uncertainty")


def several_doses(paths):
    """Input function: ``paths``; an error in a study whose data sets have one dose each."""

    def those(wildcards):
        if not DOSES:
            raise WorkflowError(
                "no data set of this study has two doses or more of the same test subjects whose part of the standard "
                "dose is known; add a level to doses.low, or dose_response.fractions of settings of scans"
            )
        return paths

    return those


rule dose_response:
    input:
        scores=several_doses(
            [
                scores_of(run)
                for run in STUDY.scored
                if (run.dataset, run.setting) in DOSES
            ]
        ),
        crossed=[crossed_path(run, "csv") for run in CROSSED],
    output:
        response="results/dose_response.csv",
        equivalent="results/dose_equivalent.csv",
        section="results/sections/dose_response.json",
        png="results/figures/dose_response.png",
        svg="results/figures/dose_response.svg",
        provenance="results/dose_response.json",
    log:
        "logs/dose_response.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("dose_response"),
    shell:
        command("dose_response")


rule subjects:
    input:
        subjects=ALL_SUBJECTS,
    output:
        table=report(
            "results/subjects.csv", caption="../report/subjects.rst", category="Lesions and brain"
        ),
        section="results/sections/subjects.json",
        provenance="results/subjects.json",
    log:
        "logs/subjects.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("subjects"),
    shell:
        command("subjects")


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
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
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
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("robustness_table"),
    shell:
        command("robustness_table")


# The standard dose is an estimate, too: errors to the true activity, which phantoms have.
rule truth:
    input:
        scores=[scores_of(run) for run in STUDY.scored if run.dataset in STUDY.simulated],
        test=[
            f"results/datasets/{name}/{setting}/test.h5"
            for name, dataset in STUDY.simulated.items()
            for setting in dataset.settings
        ],
    output:
        table="results/truth.csv",
        standard="results/truth_standard.csv",
        section="results/sections/truth.json",
        provenance="results/truth.json",
    log:
        "logs/truth.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("truth"),
    shell:
        command("truth")


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
        png=report(
            "results/gallery/{dataset}-{setting}.png",
            caption="../report/gallery.rst",
            category="Images",
            labels={"data set": "{dataset}", "setting": "{setting}"},
        ),
        svg="results/gallery/{dataset}-{setting}.svg",
        section="results/gallery/{dataset}-{setting}.json",
        provenance="results/gallery/{dataset}-{setting}.provenance.json",
    log:
        "logs/gallery/{dataset}-{setting}.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(2000, 10),
        runtime=growing(10),
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
        tables_section="results/sections/tables.json",
        claim="results/sections/claim.json",
        with_without_t1="results/with_without_t1.csv",
        paired="results/paired.csv",
        paired_section="results/sections/paired.json",
        workbook="results/tables.xlsx",
        provenance="results/tables.json",
    log:
        "logs/tables.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("tables"),
    shell:
        command("tables")


EXPORTED = [file_stem(table) for table in exported_tables(STUDY)]


rule export:
    input:
        scores=ALL_SCORES,
        rate=[path for method in STUDY.methods for path in rate_of(method)],
    output:
        csv=[f"results/tables/{each}.csv" for each in EXPORTED],
        latex=[f"results/tables/{each}.tex" for each in EXPORTED],
        figure=report(
            [f"results/figures/{each}.png" for each in EXPORTED],
            caption="../report/table_figures.rst",
            category="Tables",
        ),
        svg=[f"results/figures/{each}.svg" for each in EXPORTED],
        provenance="results/tables/export.json",
    log:
        "logs/export.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("export"),
    shell:
        command("export")


# What the report shows, in the order of the page: sections, and the figures that they name. A step that has something
# to show adds its files here.
SECTIONS = [
    f"results/sections/{name}.json"
    for name, shown in {
        "tables": True,
        "paired": True,
        "robustness": STUDY.robustness is not None,
        "cohorts": bool(STUDY.compared),
        "truth": True,
        "recovery": STUDY.realisations is not None,
        "detection": STUDY.realisations is not None,
        "subjects": bool(ALL_SUBJECTS),
        "dose_response": bool(DOSES),
        "uncertainty": bool(SAMPLED),
        "sampling": bool(REPORTED_PLANS),
        "claim": True,
    }.items()
    if shown
]
# Records of how their tables were made; those of the pairs and the claim are in that of the tables.
ORIGINS = [
    path.replace("/sections/", "/")
    for path in SECTIONS
    if not path.endswith(("/paired.json", "/claim.json", "/sampling.json"))
]
GALLERY = [gallery_of(*place, "json") for place in STUDY.gallery]
FIGURES = [
    f"{path}.{suffix}"
    for path, shown in {
        **{f"results/figures/{table}": True for table in EXPORTED},
        **{gallery_of(*place, "png").removesuffix(".png"): True for place in STUDY.gallery},
        "results/figures/robustness": STUDY.robustness is not None,
        "results/figures/cohorts": bool(STUDY.compared),
        "results/figures/recovery": STUDY.realisations is not None,
        "results/figures/bias_and_noise": STUDY.realisations is not None,
        "results/figures/detection": STUDY.realisations is not None,
        "results/figures/dose_response": bool(DOSES),
        "results/figures/uncertainty": bool(SAMPLED),
        "results/figures/sampling": bool(REPORTED_PLANS),
    }.items()
    if shown
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


def weights_scored():
    """Weights of all trainings that led to a score, each once."""
    return [
        log.replace("training.csv", "weights.safetensors") for log in trainings_scored()
    ]


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
        section=SECTIONS[:2] + GALLERY + SECTIONS[2:],
        figure=FIGURES,
        training=trainings_scored(),
        scan=each_once(scans_scored("scan.json")),
        registration=each_once(scans_scored("registered/registration.json")),
        qc=each_once(scans_scored("registered/qc.png")),
        provenance=weights_scored()
        + REPORTED_PLANS
        + [scores_of(run, "json") for run in STUDY.scored]
        + ORIGINS,
        citation=os.path.relpath(Path(workflow.basedir) / "CITATION.cff"),
    output:
        report=report("results/report.html", caption="../report/report.rst", category="Report"),
    log:
        "logs/report.log",
    group:
        one_job("tables")
    threads: 1
    resources:
        mem_mb=growing(1000, 10),
        runtime=growing(10),
        gpu=0,
    params:
        **job("report"),
    shell:
        command("report")
