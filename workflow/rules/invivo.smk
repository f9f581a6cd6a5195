# Scans -> windows, or pairs -> registered to T1 -> packed data sets, for the data sets of the section `invivo`.

import functools

from quietpet.config.invivo import STANDARD, scan_name
from quietpet.config.section import BRACES
from quietpet.files.sampled import sampled_digest
from quietpet.invivo.pairs_table import TABLE, missing_table
from quietpet.standin.layout import participant_files, runs_of

SOURCES_INVIVO = STUDY.invivo.sources if STUDY.invivo else {}


def scan_path(source, name):
    """Path of a file of one scan of ``source``."""
    return f"results/invivo/{scan_name(source, '{participant}')}/{name}"


def standin_tree(cohort):
    """Folder of the BIDS data set of a simulated cohort."""
    return f"results/standin/{cohort}/bids"


def standin_images(cohort):
    """Images and side-cars of one participant of a cohort, by the names that the stage gives them."""
    settings, folder = STUDY.standin.cohorts[cohort], standin_tree(cohort)
    files = participant_files(
        settings.layout, "{participant}", runs=len(runs_of(STUDY.standin.scan))
    )
    return {
        "pet": [f"{folder}/{path}" for path in files.pet],
        "pet_json": [f"{folder}/{path}" for path in files.pet_sidecars],
        "t1": f"{folder}/{files.t1}",
        "t1_json": f"{folder}/{files.t1_sidecar}",
    }


rule standin_cohort:
    output:
        description="results/standin/{cohort}/bids/dataset_description.json",
        readme="results/standin/{cohort}/bids/README",
        participants="results/standin/{cohort}/bids/participants.tsv",
        participants_json="results/standin/{cohort}/bids/participants.json",
        ignored="results/standin/{cohort}/bids/.bidsignore",
    log:
        "logs/standin/{cohort}.log",
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        gpu=0,
    params:
        **job("standin_cohort"),
    shell:
        command("standin_cohort")


# A rule for each cohort, because the names of its files depend on its layout.
for cohort in STUDY.standin.cohorts if STUDY.standin else ():

    rule:
        name:
            f"standin_{cohort}"
        input:
            unpack(
                lambda wildcards, members=STUDY.standin.cohorts[cohort].participants: (
                    label_files(members[wildcards.participant].anatomy)
                )
            ),
        output:
            **standin_images(cohort),
            truth=f"results/standin/{cohort}/truth/{{participant}}.json",
        log:
            f"logs/standin/{cohort}-{{participant}}.log",
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(120),
            gpu=0,
        params:
            **job("standin", cohort=cohort),
        shell:
            command("standin")


def tree_of(source):
    """Files that must be there before a scan of ``source`` can be located: its whole simulated cohort."""
    cohort = SOURCES_INVIVO[source].cohort
    if cohort is None:
        return []
    files = standin_images(cohort)
    patterns = [*files["pet"], *files["pet_json"], files["t1"], files["t1_json"]]
    return [
        f"{standin_tree(cohort)}/dataset_description.json",
        f"{standin_tree(cohort)}/participants.tsv",
        *expand(patterns, participant=STUDY.standin.cohorts[cohort].participants),
    ]


def files_in_folder(source):
    """Input function: all that is read of a participant's scan in a folder of the user's, who may correct
    it: images and, in a tree of BIDS, every side-car that applies, wherever it lies, and the table of
    participants.

    Side-cars of others are among them where one of them may have been exchanged with the own one. Files of
    OpenNeuro are not: they are pinned by their checksums.
    """
    settings = SOURCES_INVIVO[source]
    if not settings.is_of_the_user:
        return []
    root, read = Path(settings.root), images_of_pairs if settings.has_pairs else files_read_of
    return lambda wildcards: [
        path
        for path in read(root, wildcards.participant)
        if not set(path) & set(BRACES)  # no wildcard is meant; the step refuses the name
    ]


@functools.cache
def files_read_of(root, participant):
    from quietpet.invivo.bids import files_of_scan  # reads images, so it is slow to import

    return [str(path) for path in files_of_scan(root, f"sub-{participant}")]


@functools.cache
def pairs_in(root):
    from quietpet.invivo.pairs_folder import pairs_if_readable  # slow to import

    return pairs_if_readable(root)


def images_of_pairs(root, participant):
    from quietpet.invivo.pairs_folder import files_of_pairs

    return [str(path) for path in files_of_pairs(root, pairs_in(root).of(participant))]


def table_of_pairs(source):
    """The table of a folder of pairs. When it was written says nothing: see :func:`rows_of_pairs`."""
    root = Path(SOURCES_INVIVO[source].root)
    if missing := missing_table(root):
        raise WorkflowError(f"invivo.sources.{source}.root: {missing}")
    return ancient(str(root / TABLE))


def rows_of_pairs(source):
    """Params function: what the table says of a participant, and what is wrong with that. Another word of it
    imports the pair again, and a row of somebody else's does not.
    """
    root = Path(SOURCES_INVIVO[source].root)

    def told(wildcards):
        pairs, participant = pairs_in(root), wildcards.participant
        wrong = [
            (each.check, each.key, each.value)
            for each in pairs.findings
            if each.participant == participant
        ]
        return repr((pairs.of(participant), wrong))

    return told


@functools.cache
def digest_of(paths):
    return sampled_digest(map(Path, paths))


def content_of_own(steps, source):
    """Param: what tells the user's files of a participant from others, such as older ones put in their place,
    which are no newer than what was made of the first. Not their times, which change where a study is copied.
    """
    if not (
        SOURCES_INVIVO[source].is_of_the_user
        and {"fetch_invivo", "import_scan", "import_pair"}.intersection(steps)
    ):
        return {}
    own = files_in_folder(source)
    return {"content": lambda wildcards: digest_of(tuple(own(wildcards)))}


def own_manifest(source):
    """The user's table of the files of an OpenNeuro data set, where there is one."""
    return SOURCES_INVIVO[source].manifest or []


def given_transform(source):
    """Input function: the transform that the user gives for a scan, with `registration.engine: file`."""
    if STUDY.registration.engine != "file":
        return []
    return lambda wildcards: STUDY.registration.transform_of(
        source, wildcards.participant
    )


# With `registration.engine: auto`, the engine is decided once for all scans. The decision stands until that
# setting changes or its file is deleted; an edit of the code does not make it again.
rule registration_engine:
    output:
        decision="results/registration_engine.json",
    log:
        "logs/registration_engine.log",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
        gpu=0,
    params:
        **job("registration_engine", rerun=False),
    shell:
        # On the terminal too: which engine registers the scans must not go unnoticed.
        command("registration_engine", told=True)


def steps_together(source):
    """Steps from a scan's files to its registered images, in groups of those that one job runs.

    Of a scan that the study makes, all are seconds. Others are downloaded one after the other, and gigabytes:
    another registration does not read them again.
    """
    steps = SOURCES_INVIVO[source].steps
    return [steps] if SOURCES_INVIVO[source].cohort else [(step,) for step in steps]


def read_by(step, source):
    """Files of one scan that a step takes from others."""
    if step == "register":
        return {
            **images_of_windows(source),
            "t1": scan_path(source, "T1w.nii.gz"),
            "engine": (
                "results/registration_engine.json"
                if STUDY.registration.engine == "auto"
                else []
            ),
            "transform": given_transform(source),
        }
    if step == "import_pair":
        return {"table": table_of_pairs(source), "own": files_in_folder(source)}
    before = {"tree": tree_of(source), "own": files_in_folder(source)}
    if step == "import_scan":
        return {"located": scan_path(source, "located.json"), **before}
    return {
        **before,
        "description": tree_of(source)[:1],
        "manifest": own_manifest(source),
    }


def made_by(step, source):
    """Files of one scan that a step makes."""
    if step == "fetch_invivo":
        return {"located": scan_path(source, "located.json")}
    if step in ("import_scan", "import_pair"):
        return {
            **images_of_windows(source),
            "t1": scan_path(source, "T1w.nii.gz"),
            "scan": scan_path(source, "scan.json"),
        }
    windows = images_of_windows(source, folder="registered/")
    return {
        **{f"register_{name}": paths for name, paths in windows.items()},
        "itk": scan_path(source, "registered/t1_to_pet.tfm"),
        "matrix": scan_path(source, "registered/t1_to_pet_ras_mm.txt"),
        "fsl": scan_path(source, "registered/pet_to_t1_flirt.mat"),
        "figure": scan_path(source, "registered/qc.png"),
        "registration": scan_path(source, "registered/registration.json"),
    }


def images_of_windows(source, folder=""):
    """Images of the standard and of the low doses of one scan."""
    return {
        "standard": scan_path(source, f"{folder}{STANDARD}.nii.gz"),
        "low": [
            scan_path(source, f"{folder}{name}.nii.gz") for name in STUDY.invivo.low_of(source)
        ],
    }


def all_made(steps, source):
    """Files of one scan that ``steps`` make."""
    return {name: files for step in steps for name, files in made_by(step, source).items()}


def all_read(steps, source):
    """Files of one scan that ``steps`` take from others, and not from each other."""
    made = all_made(steps, source)
    return {
        name: files
        for step in steps
        for name, files in read_by(step, source).items()
        if name not in made
    }


# Rules for each source, because its windows, or doses, decide the names of the files. They are made in a function, because
# Snakemake makes the command again when a job runs, and a loop's variables are then those of its last turn. Downloads
# run where Snakemake does: nodes of a cluster often see no network.
def define_steps(steps, source):
    downloads = steps == ("fetch_invivo",)

    rule:
        name:
            f"{steps[-1].partition('_')[0]}_{source}"
        input:
            **all_read(steps, source),
        output:
            **all_made(steps, source),
        log:
            f"logs/invivo/{source}-{{participant}}-{steps[-1].partition('_')[0]}.log",
        localrule: downloads
        group:
            None if downloads else one_job("scan")
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(720 if downloads else 120),
            gpu=0,
            downloads=1 if downloads else 0,
        params:
            **job(*steps, source=source),
            **({"rows": rows_of_pairs(source)} if "import_pair" in steps else {}),
            **content_of_own(steps, source),
        shell:
            command(*steps)


for source in SOURCES_INVIVO:
    for steps in steps_together(source):
        define_steps(steps, source)


def scans_of_split(wildcards):
    """Input function: the registered scans of a split, by the names that `pack_scans` gives them."""
    dataset = STUDY.scanned[wildcards.dataset]
    setting = dataset.cohort.settings[wildcards.setting]
    return {
        name: expand(
            scan_path(dataset.cohort.source, path),
            participant=getattr(dataset.splits_of(wildcards.setting), wildcards.split),
        )
        for name, path in (
            ("scan", "scan.json"),
            ("registration", "registered/registration.json"),
            ("t1", "T1w.nii.gz"),
            ("standard", f"{STANDARD}.nii.gz"),
            ("low", f"{setting.low}.nii.gz"),
        )
    }


rule pack_scans:
    input:
        unpack(scans_of_split),
    output:
        dataset="results/datasets/{dataset}/{setting}/{split}.h5",
    log:
        "logs/pack/{dataset}-{setting}-{split}.log",
    wildcard_constraints:
        dataset=one_of(STUDY.scanned),
    threads: 1
    resources:
        mem_mb=growing(4000, 50),
        runtime=growing(30, 1),
        gpu=0,
    params:
        **job("pack_scans"),
    shell:
        command("pack_scans")
