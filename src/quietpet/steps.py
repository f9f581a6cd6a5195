"""The table of steps: what each is called, what its job must know, and which files it takes and makes.

A step is a verb of the command line, a module of ``stages`` and one or more rules of the workflow; all
three take the names of files from here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.jobs.acquisition import CountsJob, EngineJob, ReconstructJob, SimulateJob, ThinJob
from quietpet.jobs.datasets import PackJob, PackScansJob
from quietpet.jobs.detection import DetectionJob, ObserveJob
from quietpet.jobs.dose_response import DoseResponseJob
from quietpet.jobs.evaluation import (
    CohortsJob,
    ExportJob,
    GalleryJob,
    ReportJob,
    ScoreJob,
    TablesJob,
    TruthJob,
)
from quietpet.jobs.invivo import (
    FetchInvivoJob,
    ImportPairJob,
    ImportScanJob,
    RegisterJob,
    RegistrationEngineJob,
)
from quietpet.jobs.job import Job
from quietpet.jobs.methods import FitJob, LearningRateJob, PlanJob, RestoreJob, SamplingJob
from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.jobs.realisations import RealiseJob, RecoveryJob, RecoveryTableJob
from quietpet.jobs.robustness import RobustnessJob, RobustnessTableJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.jobs.subjects import SubjectsJob
from quietpet.jobs.uncertainty import UncertaintyJob


@dataclass(frozen=True)
class NamedFile:
    """One name of files that a step reads or writes.

    An ``optional`` one may be left out, unless the files called ``beside`` are given; of ``several``
    there may be more than one.
    """

    name: str
    content: str
    optional: bool = False
    several: bool = False
    beside: str | None = None

    @property
    def usage(self) -> str:
        """As in a synopsis: ``name=PATH``, with ``...`` for several, in brackets if optional."""
        usage = f"{self.name}=PATH{' ...' if self.several else ''}"
        return f"[{usage}]" if self.optional else usage


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: its name, the record of settings of its jobs, and the names of its files."""

    name: str
    job: type[Job]
    inputs: tuple[NamedFile, ...] = ()
    outputs: tuple[NamedFile, ...]

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.job.__doc__ or "").splitlines()[0]

    def require_names(self, inputs: Files, outputs: Files) -> None:
        """Refuse unknown, missing and repeated names of files.

        Raises:
            InputError: names each of them, and what the step takes.
        """
        problems = [
            *_problems(inputs, self.inputs, "--in"),
            *_problems(outputs, self.outputs, "--out"),
        ]
        if problems:
            raise InputError(f"{self.name}: {'; '.join(problems)}. {self._takes()}")

    def _takes(self) -> str:
        inputs, outputs = (
            " ".join(file.usage for file in files) or "no files" for files in (self.inputs, self.outputs)
        )
        return f"It takes --in {inputs} and --out {outputs}."


def _problems(given: Files, known: Sequence[NamedFile], option: str) -> Iterator[str]:
    names = [file.name for file in known]
    for name in given.names:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            yield f"{option} knows no {name!r}{f' (meant: {near[0]}?)' if near else ''}"
    for file in known:
        count = len(given.any(file.name))
        if not count and not file.optional:
            yield f"{option} lacks {file.name}=PATH ({file.content})"
        if not count and file.beside in given.names:
            yield f"{option} has {file.beside!r} without {file.name}=PATH ({file.content})"
        if count > 1 and not file.several:
            yield f"{option} has {count} files called {file.name!r} where one is taken"


_LABELS = (
    NamedFile(
        "labels",
        "BrainWeb's label volume; without it the head is made from the template",
        optional=True,
        beside="sources",
    ),
    NamedFile(
        "sources",
        "table with the checksum of that volume, as sources.tsv",
        optional=True,
        beside="labels",
    ),
)
_DECISION = NamedFile("decision", "JSON: what was decided, and why")
_PROVENANCE = NamedFile(
    "provenance", "JSON: settings, inputs, code and versions behind the rows", optional=True
)
_SVG = NamedFile("svg", "SVG: the same figure", optional=True)
_SECTION = NamedFile("section", "JSON: what the report shows of it")
_PLANS = "JSON of `plan`: quality against steps of one diffusion method"
_SINOGRAMS_OF_SLICES = "low-dose sinograms of all {} subjects, for methods that reconstruct"
_TRAIN_SINOGRAMS = NamedFile(
    "train_sinograms",
    "low-dose sinograms of each training subject, in the order of `train`, for methods that learn from "
    "them",
    optional=True,
    several=True,
)

_SECTION = NamedFile("section", "JSON: what the report shows of it")

_TO_RESTORE = (
    NamedFile("weights", "weights of `fit`; methods that fit nothing need none", optional=True),
    NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
    NamedFile("sinograms", _SINOGRAMS_OF_SLICES.format("test"), optional=True, several=True),
)

_TO_TABULATE = (
    NamedFile("scores", "CSV of `score`", several=True),
    NamedFile(
        "rate", "JSON of `learning_rate` of each method that has one", optional=True, several=True
    ),
)

_STEPS = (
    Step(
        name="fetch",
        job=FetchJob,
        inputs=(NamedFile("sources", "table of external files with their checksums, as sources.tsv"),),
        outputs=(_DECISION,),
    ),
    Step(
        name="fetch_invivo",
        job=FetchInvivoJob,
        inputs=(
            NamedFile(
                "description", "dataset_description.json of a tree that the study makes", optional=True
            ),
        ),
        outputs=(NamedFile("located", "JSON: where the participant's images and side-cars are"),),
    ),
    Step(
        name="import_scan",
        job=ImportScanJob,
        inputs=(NamedFile("located", "JSON of `fetch_invivo`"),),
        outputs=(
            NamedFile("standard", "NIfTI: mean of the frames of the long window"),
            NamedFile("low", "NIfTI of each short window, called <window>.nii.gz", several=True),
            NamedFile("t1", "NIfTI: T1, axes in RAS order"),
            NamedFile("scan", "JSON: frames, doses and findings behind the images"),
        ),
    ),
    Step(
        name="import_pair",
        job=ImportPairJob,
        inputs=(NamedFile("table", "pairs.tsv of a folder of pairs, beside the images that it names"),),
        outputs=(
            NamedFile("standard", "NIfTI: the standard dose"),
            NamedFile("low", "NIfTI of each low dose, called <dose>.nii.gz", several=True),
            NamedFile("t1", "NIfTI: T1, axes in RAS order"),
            NamedFile("scan", "JSON: files, units, doses and findings behind the images"),
        ),
    ),
    Step(
        name="phantom",
        job=PhantomJob,
        inputs=_LABELS,
        outputs=(NamedFile("phantom", "HDF5: activity, attenuation, T1, labels and lesions"),),
    ),
    Step(
        name="slices",
        job=SlicesJob,
        inputs=(NamedFile("phantom", "HDF5 of `phantom`"),),
        outputs=(NamedFile("slices", "HDF5: one row per slice and rotation"),),
    ),
    Step(name="engine", job=EngineJob, outputs=(_DECISION,)),
    Step(
        name="simulate",
        job=SimulateJob,
        inputs=(
            NamedFile("slices", "HDF5 of `slices`"),
            NamedFile(
                "engine",
                "JSON of `engine`, for scanner.projector: auto; without it, what is found decides",
                optional=True,
            ),
        ),
        outputs=(NamedFile("sinograms", "HDF5: prompts, and what models them"),),
    ),
    Step(
        name="thin",
        job=ThinJob,
        inputs=(NamedFile("standard", "HDF5 of `simulate` at the standard dose"),),
        outputs=(NamedFile("sinograms", "HDF5: a part of the prompts, and what models them"),),
    ),
    Step(
        name="realise",
        job=RealiseJob,
        inputs=(
            NamedFile("slices", "HDF5 of `slices` of each subject, without lesions", several=True),
            NamedFile(
                "engine",
                "JSON of `engine`, for scanner.projector: auto; without it, what is found decides",
                optional=True,
            ),
        ),
        outputs=(
            NamedFile("dataset", "HDF5: rows of standard dose, low dose and T1, one per realisation"),
            NamedFile(
                "sinograms",
                "HDF5 of each subject, same order: low-dose prompts, and what models them",
                optional=True,
                several=True,
            ),
        ),
    ),
    Step(
        name="counts",
        job=CountsJob,
        inputs=(NamedFile("sinograms", "HDF5 of `simulate` or `thin`", several=True),),
        outputs=(NamedFile("counts", "CSV: prompts and noise-equivalent counts of each slice"),),
    ),
    Step(
        name="reconstruct",
        job=ReconstructJob,
        inputs=(NamedFile("sinograms", "HDF5 of `simulate` or `thin`"),),
        outputs=(NamedFile("images", "HDF5: OSEM images of the slices"),),
    ),
    Step(name="registration_engine", job=RegistrationEngineJob, outputs=(_DECISION,)),
    Step(
        name="register",
        job=RegisterJob,
        inputs=(
            NamedFile("standard", "NIfTI of `import_scan`: the long window, which is registered"),
            NamedFile("low", "NIfTI of each short window", optional=True, several=True),
            NamedFile("t1", "NIfTI: T1"),
            NamedFile(
                "engine",
                "JSON of `registration_engine`, for registration.engine: auto; without it, what is "
                "found decides",
                optional=True,
            ),
            NamedFile("transform", "the transform, for registration.engine: file", optional=True),
        ),
        outputs=(
            NamedFile("standard", "NIfTI: the long window on the grid of T1"),
            NamedFile(
                "low", "NIfTI of each short window, in the order given", optional=True, several=True
            ),
            NamedFile("itk", "transform from T1 to PET for ITK"),
            NamedFile("matrix", "the same: 4 x 4 matrix in RAS mm"),
            NamedFile("fsl", "transform from PET to T1 for FSL"),
            NamedFile("figure", "PNG: edges of T1 over PET, before and after"),
            NamedFile("registration", "JSON: engine, transform and checks"),
        ),
    ),
    Step(
        name="pack",
        job=PackJob,
        inputs=(
            NamedFile("slices", "HDF5 of `slices` of each subject", several=True),
            NamedFile(
                "standard", "HDF5 of `reconstruct` at the standard dose, same order", several=True
            ),
            NamedFile("low", "HDF5 of `reconstruct` at the low dose, same order", several=True),
        ),
        outputs=(NamedFile("dataset", "HDF5: rows of standard dose, low dose and T1"),),
    ),
    Step(
        name="pack_scans",
        job=PackScansJob,
        inputs=(
            NamedFile("scan", "JSON of `import_scan` of each participant", several=True),
            NamedFile("registration", "JSON of `register`, same order", several=True),
            NamedFile("t1", "NIfTI of `import_scan`, same order", several=True),
            NamedFile("standard", "NIfTI of `import_scan`: long window, same order", several=True),
            NamedFile("low", "NIfTI of `import_scan`: short window, same order", several=True),
        ),
        outputs=(NamedFile("dataset", "HDF5: rows of standard dose, low dose and T1"),),
    ),
    Step(
        name="learning_rate",
        job=LearningRateJob,
        inputs=(
            NamedFile("train", "HDF5 of `pack`"),
            NamedFile("validation", "HDF5 of `pack`"),
            _TRAIN_SINOGRAMS,
            NamedFile(
                "sinograms", _SINOGRAMS_OF_SLICES.format("validation"), optional=True, several=True
            ),
        ),
        outputs=(NamedFile("rate", "JSON: the learning rates that were tried, and the chosen one"),),
    ),
    Step(
        name="fit",
        job=FitJob,
        inputs=(
            NamedFile(
                "train", "HDF5 of `pack` or `pack_scans`, in the order of trained_on", several=True
            ),
            NamedFile("validation", "HDF5 of `pack` or `pack_scans`"),
            _TRAIN_SINOGRAMS,
            NamedFile(
                "start", "weights of the stage before, for later stages of learning", optional=True
            ),
            NamedFile(
                "rate", "JSON of `learning_rate`, where training.learning_rate_trials is", optional=True
            ),
            NamedFile(
                "sinograms", _SINOGRAMS_OF_SLICES.format("validation"), optional=True, several=True
            ),
        ),
        outputs=(
            NamedFile("weights", "safetensors: weights, settings and provenance"),
            NamedFile("log", "CSV: losses, one row per validation"),
            NamedFile("card", "Markdown: what the weights are, and what not", optional=True),
        ),
    ),
    Step(
        name="restore",
        job=RestoreJob,
        inputs=_TO_RESTORE,
        outputs=(NamedFile("restored", "HDF5: restored slices, in the unit of the data"),),
    ),
    Step(
        name="plan",
        job=PlanJob,
        inputs=(
            NamedFile("weights", "weights of `fit`"),
            NamedFile("validation", "HDF5 of `pack` or `pack_scans`"),
        ),
        outputs=(NamedFile("plan", "JSON: quality against steps, and what is chosen"),),
    ),
    Step(
        name="sampling",
        job=SamplingJob,
        inputs=(NamedFile("plan", _PLANS, several=True),),
        outputs=(
            NamedFile("table", "CSV: quality against steps of all methods"),
            _SECTION,
            NamedFile("figure", "PNG: the same"),
            _SVG,
        ),
    ),
    Step(
        name="score",
        job=ScoreJob,
        inputs=(
            NamedFile("restored", "HDF5 of `restore`"),
            NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
        ),
        outputs=(
            NamedFile("scores", "CSV: metrics of each slice and volume"),
            NamedFile(
                "regions",
                "CSV: mean activity of each brain region and subject, of data sets that number regions",
                optional=True,
            ),
            NamedFile(
                "subjects",
                "CSV: leakage from T1, lost lesions and brain outliers of each subject",
                optional=True,
            ),
            _PROVENANCE,
        ),
    ),
    Step(
        name="uncertainty",
        job=UncertaintyJob,
        inputs=(
            NamedFile("restored", "HDF5 of `restore` of each method that samples", several=True),
            NamedFile("test", "HDF5 of `pack` or `pack_scans` that they restored", several=True),
        ),
        outputs=(
            NamedFile("table", "CSV: what samples say of their own errors"),
            _SECTION,
            NamedFile("png", "PNG: calibration and sparsification"),
            NamedFile("svg", "SVG: the same"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="dose_response",
        job=DoseResponseJob,
        inputs=(
            NamedFile("scores", "CSV of `score` at all doses", several=True),
            NamedFile(
                "crossed",
                "CSV of `score` of what methods restored that learned at another dose",
                optional=True,
                several=True,
            ),
        ),
        outputs=(
            NamedFile("response", "CSV: metrics against dose"),
            NamedFile("equivalent", "CSV: the untreated dose that each method equals"),
            _SECTION,
            NamedFile("png", "PNG: both"),
            NamedFile("svg", "SVG: the same"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="subjects",
        job=SubjectsJob,
        inputs=(NamedFile("subjects", "CSV of whole subjects of each `score`", several=True),),
        outputs=(
            NamedFile("table", "CSV: means over subjects of each measure and method"),
            NamedFile("section", "JSON: what the report shows of it"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="cohorts",
        job=CohortsJob,
        inputs=(NamedFile("regions", "CSV of `score`, of all compared data sets", several=True),),
        outputs=(
            NamedFile("bias", "CSV: errors of regional activity in each cohort"),
            NamedFile("effects", "CSV: effects between cohorts, and what methods change in them"),
            _SECTION,
            NamedFile("figure", "PNG: the effects"),
            _SVG,
            _PROVENANCE,
        ),
    ),
    Step(
        name="robustness",
        job=RobustnessJob,
        inputs=_TO_RESTORE,
        outputs=(NamedFile("scores", "CSV: metrics of each slice with each wrong T1"), _PROVENANCE),
    ),
    Step(
        name="robustness_table",
        job=RobustnessTableJob,
        inputs=(
            NamedFile("robustness", "CSV of `robustness` of each method that looks at T1", several=True),
            NamedFile("scores", "CSV of `score` of each method that never does", several=True),
        ),
        outputs=(
            NamedFile("table", "CSV: what each wrong T1 costs each method"),
            _SECTION,
            NamedFile("figure", "PNG: the same"),
            _SVG,
            _PROVENANCE,
        ),
    ),
    Step(
        name="recovery",
        job=RecoveryJob,
        inputs=(
            NamedFile("restored", "HDF5 of `restore` of noise realisations"),
            NamedFile("test", "HDF5 of `realise`"),
        ),
        outputs=(
            NamedFile("lesions", "CSV: contrast recovery and background variability of each lesion"),
            NamedFile("noise", "CSV: error of each slice and region, as bias and variance"),
            NamedFile("maps", "HDF5: bias and standard deviation of each pixel"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="recovery_table",
        job=RecoveryTableJob,
        inputs=(
            NamedFile("lesions", "CSV of `recovery` of each method", several=True),
            NamedFile("noise", "CSV of `recovery`, same order", several=True),
            NamedFile("maps", "HDF5 of `recovery`, same order", several=True),
            NamedFile("test", "HDF5 of `realise` of each data set and dose", several=True),
        ),
        outputs=(
            NamedFile("recovery", "CSV: contrast recovery by size and contrast of the lesions"),
            NamedFile("noise", "CSV: error by region, as bias and variance"),
            NamedFile("recovery_png", "PNG: contrast recovery against background variability"),
            NamedFile("recovery_svg", "SVG: the same"),
            NamedFile("maps_png", "PNG: maps of bias and noise"),
            NamedFile("maps_svg", "SVG: the same"),
            _SECTION,
            _PROVENANCE,
        ),
    ),
    Step(
        name="truth",
        job=TruthJob,
        inputs=(
            NamedFile("scores", "CSV of `score`, of simulated data sets", several=True),
            NamedFile("test", "HDF5 of `pack`, of the same data sets", several=True),
        ),
        outputs=(
            NamedFile("table", "CSV: errors of every method and of the standard dose to the truth"),
            NamedFile("standard", "CSV: scores of the standard dose against the truth, slice by slice"),
            NamedFile("section", "JSON: what the report shows of it"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="observe",
        job=ObserveJob,
        inputs=(
            NamedFile("restored", "HDF5 of `restore` of noise realisations"),
            NamedFile("test", "HDF5 of `realise`"),
        ),
        outputs=(
            NamedFile("ratings", "CSV: ratings of model observers that know the lesions"),
            NamedFile("ratings_provenance", "JSON: how the ratings were made", optional=True),
        ),
    ),
    Step(
        name="detection",
        job=DetectionJob,
        inputs=(
            NamedFile("ratings", "CSV of `observe` of each method", several=True),
            NamedFile("test", "HDF5 of `realise` of each data set and dose", several=True),
        ),
        outputs=(
            NamedFile("table", "CSV: areas under ROC curves by size and contrast of the lesions"),
            _SECTION,
            NamedFile("png", "PNG: the areas of all methods"),
            NamedFile("svg", "SVG: the same"),
            _PROVENANCE,
        ),
    ),
    Step(
        name="tables",
        job=TablesJob,
        inputs=_TO_TABULATE,
        outputs=(
            NamedFile("tables", "CSV: every row of every table"),
            NamedFile("readable", "Markdown: the tables in common units, with published values"),
            NamedFile("tables_section", "JSON: all tables, for the report", optional=True),
            NamedFile("claim", "JSON: claim and deviations, for the report", optional=True),
            NamedFile(
                "with_without_t1",
                "CSV: each method that uses T1 beside its variant without",
                optional=True,
            ),
            NamedFile(
                "paired", "CSV: each method minus the chosen one, subject by subject", optional=True
            ),
            NamedFile("paired_section", "JSON: what the report shows of `paired`", optional=True),
            NamedFile("workbook", "Excel: a sheet for each table", optional=True),
            _PROVENANCE,
        ),
    ),
    # A further table is further files of this step. They are no outputs of `tables`: Snakemake knows
    # nothing of a job of whose files some were never made, and would take the tables for up to date.
    Step(
        name="export",
        job=ExportJob,
        inputs=_TO_TABULATE,
        outputs=(
            NamedFile(
                "csv",
                "CSV of one table, a row for each method, called table1.csv for Table 1",
                optional=True,
                several=True,
            ),
            NamedFile("latex", "the same in LaTeX, called table1.tex", optional=True, several=True),
            NamedFile("figure", "PNG of one table, called table1.png", optional=True, several=True),
            NamedFile("svg", "SVG of one table, beside its PNG", optional=True, several=True),
            _PROVENANCE,
        ),
    ),
    Step(
        name="gallery",
        job=GalleryJob,
        inputs=(
            NamedFile("restored", "HDF5 of `restore` of each method, in the order shown", several=True),
            NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
        ),
        outputs=(
            NamedFile("png", "PNG: one test slice of every method, with errors and profiles"),
            _SVG,
            _SECTION,
            _PROVENANCE,
        ),
    ),
    Step(
        name="report",
        job=ReportJob,
        inputs=(
            NamedFile(
                "section",
                "JSON: what a step shows, in the order of the page",
                optional=True,
                several=True,
            ),
            NamedFile(
                "figure", "PNG or SVG that a section names, or both of them", optional=True, several=True
            ),
            NamedFile("training", "CSV of `fit`: losses", optional=True, several=True),
            NamedFile("scan", "JSON of `import_scan` or `import_pair`", optional=True, several=True),
            NamedFile("registration", "JSON of `register`", optional=True, several=True, beside="qc"),
            NamedFile(
                "qc", "PNG of `register`, in the order of `registration`", optional=True, several=True
            ),
            NamedFile(
                "provenance", "JSON: settings, inputs, code and versions", optional=True, several=True
            ),
            NamedFile("citation", "CITATION.cff: how to cite", optional=True),
        ),
        outputs=(NamedFile("report", "HTML: one page that needs no other file"),),
    ),
    Step(
        name="standin",
        job=StandinJob,
        inputs=_LABELS,
        outputs=(
            NamedFile("pet", "4-D NIfTI, one per run", several=True),
            NamedFile("pet_json", "its side-car, one per run", several=True),
            NamedFile("t1", "NIfTI: T1"),
            NamedFile("t1_json", "its side-car"),
            NamedFile("truth", "JSON: motion from T1 to PET, time-activity curves"),
        ),
    ),
    Step(
        name="standin_cohort",
        job=StandinCohortJob,
        outputs=(
            NamedFile("description", "dataset_description.json of BIDS"),
            NamedFile("readme", "README of BIDS"),
            NamedFile("participants", "participants.tsv of BIDS"),
            NamedFile("participants_json", "participants.json of BIDS"),
            NamedFile("ignored", ".bidsignore"),
        ),
    ),
)

STEPS = {step.name: step for step in _STEPS}
"""Every step, by its name."""
