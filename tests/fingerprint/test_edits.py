"""What an edit runs again: all that it can change, and nothing else."""

from __future__ import annotations

import ast
import shutil

import pytest
from pydantic import TypeAdapter

from quietpet.config.method_kinds import AnyMethodSettings, method_kinds
from quietpet.config.planner import PlannerSettings
from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of, reach
from quietpet.methods.registry import code_of
from quietpet.projection.engines import code_of as code_of_projector
from quietpet.projection.engines import osem_code_of
from quietpet.steps import STEPS

OF_A_METHOD = ("learning_rate", "fit", "restore", "robustness", "plan")
TRAININGS = ("learning_rate", "fit")
RESTORATIONS = ("restore", "robustness")
KINDS = method_kinds()


SETTINGS = {kind: TypeAdapter(AnyMethodSettings).validate_python({"kind": kind}) for kind in KINDS}


def models(step, kind):
    """The settings of the methods that a job builds."""
    settings = SETTINGS[kind]
    planned = PlannerSettings().candidates(settings) if step == "plan" else ()
    return (settings.for_training() if step in TRAININGS else settings, *planned)


def engine(settings):
    """The code of the projector that a method reconstructs with."""
    return code_of_projector("embedded") if settings.reconstructs else ()


def of(step, *kinds):
    return {f"{step} {kind}" for kind in kinds or KINDS if step != "plan" or kind == "mfdiff"}


OF_AN_ENGINE = ("simulate", "reconstruct", "realise")
"""Steps that name the code of a projector."""

ROOTS = {
    **{name: (f"stages.{name}",) for name in STEPS if name not in (*OF_A_METHOD, *OF_AN_ENGINE)},
    **{
        f"{step} {projector}".removesuffix(" embedded"): (
            f"stages.{step}",
            *code_of_projector(projector),
            *(osem_code_of(projector) if step != "simulate" else ()),
        )
        for step in OF_AN_ENGINE
        for projector in ("embedded", "sirf")
    },
    **{
        f"{step} {kind}": (f"stages.{step}", *code_of(*models(step, kind)), *engine(SETTINGS[kind]))
        for step in OF_A_METHOD
        for kind in KINDS
        if f"{step} {kind}" in of(step)
    },
}
ALL = set(ROOTS)
TRAINING = of("learning_rate") | of("fit")
RESTORING = of("restore") | of("robustness")
LEARNING = TRAINING | RESTORING | of("plan")
LEARNING_OF_MFDIFF = {f"{step} mfdiff" for step in OF_A_METHOD}
LEARNING_OF_M2DIFF = {f"{step} m2diff" for step in (*TRAININGS, *RESTORATIONS)}
LEARNING_OF_DIFFUSION = LEARNING_OF_MFDIFF | LEARNING_OF_M2DIFF
TRAINING_OF_SAMPLERS = {f"{step} {kind}" for step in TRAININGS for kind in ("csrd", "mfdiff", "m2diff")}
LEARNING_OF_CSRD = {f"{step} csrd" for step in (*TRAININGS, *RESTORATIONS)}
RECONSTRUCTING = {
    f"{step} {kind}" for step in (*TRAININGS, *RESTORATIONS) for kind in ("bowsher", "fbsem")
}
OF_SIRF = {f"{step} sirf" for step in OF_AN_ENGINE}
OF_SCORES = {"score", "tables", "export", "truth", "robustness_table", "dose_response"}
DRAWING_OF_DIFFUSION = {
    "plan mfdiff",
    *(f"{step} {kind}" for step in RESTORATIONS for kind in ("mfdiff", "m2diff")),
}


@pytest.fixture(scope="module")
def copied(repository, tmp_path_factory):
    """A copy of the package, and its fingerprints."""
    folder = tmp_path_factory.mktemp("copy") / "quietpet"
    shutil.copytree(repository / "src/quietpet", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder, fingerprints(folder)


def fingerprints(folder):
    sources = Sources(folder)
    return {name: fingerprint_of(sources, *roots) for name, roots in ROOTS.items()}


def rerun_by(copied, *edits):
    """What runs again after all of these edits (file, what stood there, what stands there now)."""
    folder, before = copied
    texts = {file: (folder / file).read_text() for file, _, _ in edits}
    for file, old, new in edits:
        text = (folder / file).read_text()
        assert old in text, f"{file} no longer has {old!r}"
        (folder / file).write_text(text.replace(old, new, 1))
    try:
        after = fingerprints(folder)
    finally:
        for file, text in texts.items():
            (folder / file).write_text(text)
    return {name for name in ROOTS if after[name] != before[name]}


HARMLESS = [
    # docstrings, comments, layout
    ("phantom/maps.py", '"""Relative activity', '"""Activity'),
    ("config/methods.py", '"""Samples per slice', '"""Samples of a slice'),
    ("geometry/grid.py", "\n\n\n", "\n\n\n# A comment.\n\n\n"),
    # functions for notebooks, which call steps and are called by none
    ("api/scanning.py", "unit=1.0", "unit=2.0"),
    ("__init__.py", "import_module(", "import_module(*[], "),
    # descriptions, limits and defaults of settings: a step gets values, as its parameters
    ("config/scanner.py", "parallel rays averaged over", "rays averaged over"),
    ("config/scanner.py", "1, ge=1, le=64", "2, ge=1, le=32"),
    ("config/phantoms.py", "air: NonNegative = 0.0", "air: NonNegative = 1.0"),
    ("config/doses.py", "isinstance(counts, int | float)", "isinstance(counts, int)"),
    ("config/invivo.py", "length [min], rounded", "length in minutes, rounded"),
    ("config/diffusion.py", "T, diffusion times a network", "diffusion times a network"),
    ("config/diffusion.py", "1000, ge=2", "500, ge=1"),
    ("methods/unet/settings.py", "Field(", 'Field(title="x", '),
    ("diffusion/samplers/heun.py", "of second order with two", "of second order and two"),
    # what is told of mistakes, and to whom
    ("errors.py", "Make room there", "Make space"),
    ("errors.py", "no such file; run the step", "missing; run the step"),
    ("files/hdf5.py", 'raise InputError(f"', 'raise InputError(f"No: '),
    ("projection/gather.py", 'raise ValueError(f"{drifts', 'raise ValueError(f"wrong: {drifts'),
    ("config/methods.py", "normalises by batches", "has batch normalisation"),
    ("runtime/learning_data.py", '"is the first of its kind"', '"is the first"'),
    ("stages/fit.py", 'logger.info("%s: %d parameters", job.method', 'logger.info("%d, %s", job.kind'),
    ("files/hdf5.py", "damaged or not an HDF5 file", "not a whole HDF5 file"),
    ("runtime/restoring.py", "restored {name!r}", "{name!r} restored"),
    ("recon/slices.py", 'f"OSEM of ', 'f"Images of '),
    ("runtime/fitting.py", 'key="training.precision"', 'key="precision"'),
    # types
    ("phantom/maps.py", ") -> LesionMap:", ') -> "LesionMap | None":'),
    ("phantom/maps.py", "hot, cold = ", "hot: float\n    hot, cold = "),
    (
        "phantom/maps.py",
        "import numpy as np\n",
        "import numpy as np\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from quietpet.projection.gather import gather\n",
    ),
    # what no step runs: the study, which jobs hold values of; the command line; the page of origins
    ("study/trainings.py", "if OWN in references", "if OWN not in references"),
    ("study/data_sets.py", "def learning_word", "def word_of"),
    ("study/select_simulation.py", "subject=subject", "subject=str(subject)"),
    ("cli.py", '"--threads"', '"--cores"'),
    ("steps/learning.py", "optional=True", "optional=False"),
    ("provenance.py", "[:12]", "[:11]"),
    ("outputs/digests.py", "return kept == ", "return not kept or kept == "),
    ("commands/audit.py", "def audit_tree(", "def audit("),
    ("phantom/maps.py", "\n\n\ndef t1_map(", "\n\n\ndef unused():\n    return 1\n\n\ndef t1_map("),
]

RERUN = [
    # a file of the table of edits: what stood there, what stands there now, what runs again
    ("phantom/maps.py", "settings.pet_hot *", "2 * settings.pet_hot *", {"phantom"}),
    ("phantom/template.py", "\n\n\ndef ", '\n\n\nprint("made")\n\n\ndef ', {"phantom", "standin"}),
    (
        "projection/gather.py", "torch.empty((rows.n_rows", "torch.zeros((rows.n_rows",
        {*OF_AN_ENGINE, "standin"} | RECONSTRUCTING
        | OF_SIRF,  # the point spread is a sparse map, too
    ),
    (
        "recon/osem.py", "LEAST_PROJECTION = ", "LEAST_PROJECTION = 2 * ",
        {"reconstruct", "reconstruct sirf", "realise", "realise sirf", "standin"} | RECONSTRUCTING,
    ),
    # engines of the system model: that of the settings alone
    ("projection/sirf.py", "np.ascontiguousarray(values", "np.array(values", OF_SIRF),
    ("projection/backends/sirf.py", "rays=settings.rays", "rays=1 + settings.rays", OF_SIRF),
    ("recon/sirf_osem.py", "sensitivity > 0", "sensitivity >= 0", {"reconstruct sirf", "realise sirf"}),
    (
        "projection/backends/embedded.py", "rays=settings.rays", "rays=1 + settings.rays",
        {*OF_AN_ENGINE} | RECONSTRUCTING,
    ),
    ("acquisition/psf.py", "image.split(1)", "image.split(2)", RECONSTRUCTING),
    ("recon/bowsher.py", "def ", "def _", {f"{step} bowsher" for step in (*TRAININGS, *RESTORATIONS)}),
    # behaviour of settings
    ("jobs/methods.py", '== "bf16-mixed"', '== "16-mixed"', RESTORING | of("plan")),
    ("config/invivo.py", "(self.axis_slices - 1) / 2", "self.axis_slices / 2", {"pack_scans"}),
    (
        "config/invivo.py", "self.start_minutes * SECONDS", "2 * self.start_minutes * SECONDS",
        {"import_scan"},
    ),
    (
        "geometry/scanner.py", '": small_test,', '": small_test, "toy": small_test,',
        {"phantom", *OF_AN_ENGINE, "pack", "standin"} | RECONSTRUCTING | OF_SIRF,
    ),
    (
        "config/scanner.py", "DATA_RAYS = 10", "DATA_RAYS = 12",
        {"simulate", "simulate sirf", "realise", "realise sirf", "standin"},
    ),
    ("config/networks.py", "round(self.iterations", "int(self.iterations", TRAINING),
    ("config/methods.py", "slices // processes <", "slices // processes <=", TRAINING),
    ("tasks.py", "int(alike[2] or 1)", "int(alike[2] or 2)", TRAINING),
    (
        "config/diffusion.py", '"sampler": "dpmpp_2m"', '"sampler": "ddim"',
        LEARNING_OF_DIFFUSION,
    ),
    (
        "methods/unet/settings.py", "def least_batch", "def least_batches",
        {"learning_rate unet", "fit unet"},
    ),
    # methods
    (
        "diffusion/walk.py", "self.there.noisy", "2 * self.there.noisy",
        LEARNING_OF_DIFFUSION | LEARNING_OF_CSRD,
    ),
    # samplers: that of the settings, that of all trainings, that of the plan alone
    ("diffusion/samplers/ddpm.py", "noisy = draw()", "noisy = 2 * draw()", DRAWING_OF_DIFFUSION),
    (
        "diffusion/samplers/dpmpp_2m.py", "(2 * earlier_rise)", "(3 * earlier_rise)",
        TRAINING_OF_SAMPLERS | {"plan mfdiff"},
    ),
    (
        "diffusion/samplers/heun.py", "+ 0.5 * length", "+ length",
        {"plan mfdiff", "restore csrd", "robustness csrd"},
    ),
    ("methods/mfdiff/model.py", "return ", "return 2 * ", LEARNING_OF_MFDIFF),
    ("methods/m2diff/model.py", "return ", "return 2 * ", LEARNING_OF_M2DIFF),
    (
        "methods/unet/model.py", "return ", "return 2 * ",
        {"learning_rate unet", "fit unet", "restore unet", "robustness unet"},
    ),
    (
        "methods/lpet/model.py", "return ", "return 2 * ",
        {"learning_rate lpet", "fit lpet", "restore lpet", "robustness lpet"},
    ),
    ("methods/base.py", "self.restore(batch, each)", "2 * self.restore(batch, each)", LEARNING),
    ("training/steps.py", "_READ_EVERY = ", "_READ_EVERY = 1 + ", TRAINING),
    # tables, and the package's own
    (
        "evaluation/lesions.py", "MIN_PIXELS = ", "MIN_PIXELS = 1 + ",
        OF_SCORES,
    ),
    # another metric restores nothing again: neither with a wrong T1, nor to plan sampling
    (
        "evaluation/metrics.py", "METRICS = (\n",
        'METRICS = (\n    Metric(name="x", label="x", function=psnr_db, variant=PAPER, mask=HEAD),\n',
        OF_SCORES,
    ),
    ("evaluation/metrics.py", "data_range**2 / ", "data_range / ",
        OF_SCORES | of("plan") | of("robustness")),
    ("data/wrong_t1.py", "2.0 * np.pi", "np.pi", of("robustness")),
    ("phantom/discs.py", "_SAMPLES = 16", "_SAMPLES = 32", {"realise", "realise sirf"}),
    (
        "evaluation/recovery.py", "absent.std(ddof=1", "absent.std(ddof=0",
        {"recovery", "recovery_table"},
    ),
    ("evaluation/recovery_table.py", "FILTERS_MM = (2.0", "FILTERS_MM = (3.0", {"recovery_table"}),
    ("evaluation/leakage.py", "math.sqrt(abs(value))", "abs(value)", {"score"}),
    ("evaluation/challenge.py", "WITHIN = (0.05, ", "WITHIN = (0.04, ", {"score"}),
    ("evaluation/subjects_table.py", "FEW_SUBJECTS = 5", "FEW_SUBJECTS = 6", {"subjects"}),
    ("evaluation/observer.py", "OCTAVE = 2.0", "OCTAVE = 1.5", {"observe", "detection"}),
    ("evaluation/ratings.py", "REACH_WIDTHS = 1.5", "REACH_WIDTHS = 2.0", {"observe", "detection"}),
    ("evaluation/auc.py", "LEAST_WRONG = 5.0", "LEAST_WRONG = 4.0", {"detection"}),
    ("evaluation/calibration.py", "1.0 + 1.0 / samples", "1.0 + 2.0 / samples", {"uncertainty"}),
    ("evaluation/sparsification.py", "0.95, 20", "0.95, 10", {"uncertainty"}),
    ("evaluation/dose_equivalent.py", "_ROUNDING = 1e-9", "_ROUNDING = 1e-8", {"dose_response"}),
    ("evaluation/robustness.py", '"nmse": -1', '"nmse": 1', {"robustness_table"}),
    ("evaluation/published.csv", "21.13", "21.14", {"tables", "export"}),
    ("evaluation/doubts.csv", ",", ",perhaps ", {"tables", "export"}),
    ("invivo/pair_units.py", "G_PER_KG = 1000.0", "G_PER_KG = 1.0", {"import_pair"}),
    ("invivo/pair_values.py", "_POSSIBLE = (0.5", "_POSSIBLE = (0.4", {"import_pair"}),
    ("invivo/openneuro.csv", "ds002898", "ds002899", {"fetch_invivo"}),
    # what many reach
    ("files/named.py", "tuple(self._paths)", "tuple(sorted(self._paths))", ALL),
    (
        "registration/spm_process.py", 'request["do"] == "probe"', 'request["do"] != "probe"',
        # What this module does as a program counts for all that import it.
        {"register", "registration_engine", "import_pair"},
    ),
]  # fmt: skip


def test_edits_that_change_no_result_run_nothing_again(copied):
    guilty = rerun_by(copied, *HARMLESS) and [each for each in HARMLESS if rerun_by(copied, each)]
    assert not guilty


@pytest.mark.parametrize(
    ("file", "old", "new", "rerun"), RERUN, ids=[f"{file}-{old}" for file, old, *_ in RERUN]
)
def test_an_edit_runs_again_what_it_can_change(copied, file, old, new, rerun):
    assert rerun_by(copied, (file, old, new)) == rerun


def test_every_table_of_the_package_counts_somewhere(copied):
    folder, _ = copied
    sources = Sources(folder)
    read = {path for roots in ROOTS.values() for path in reach(sources, *roots)[1]}
    tables = {path for paths in sources.tables.values() for path in paths}
    of_plans = {path for path in tables if "forecast" in path.parts}
    assert of_plans, "costs are read before a study runs, by no step"
    assert read == tables - of_plans


def test_computed_imports_are_told_to_the_fingerprint(repository):
    """An import that the fingerprint cannot see is one of these, which ``code_of`` or the CLI names."""
    package = repository / "src/quietpet"
    found = {
        (str(path.relative_to(package)), ast.unparse(call.args[0]))
        for path in package.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith(("import_module", "__import__"))
        and not isinstance(call.args[0], ast.Constant)
    }
    assert found == {
        ("chain.py", "f'quietpet.stages.{name}'"),
        ("diffusion/samplers/__init__.py", "f'quietpet.{FOLDER}.{name}'"),
        ("config/method_kinds.py", "f'quietpet.methods.{kind}.settings'"),
        ("methods/registry.py", "f'quietpet.methods.{settings.kind}.model'"),
        ("projection/backends/__init__.py", "f'quietpet.{FOLDER}.{name}'"),
        ("recon/system.py", "f'quietpet.{module}'"),
        ("runtime/measuring.py", "f'quietpet.{MEASURING}'"),
    }
