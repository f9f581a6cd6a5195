"""The table of steps: what each is called, what its job must know, and which files it takes and makes.

A step is a verb of the command line, a module of ``stages`` and one or more rules of the workflow; all
three take the names of files from here.
"""

from __future__ import annotations

from quietpet.steps import (
    acquisition,
    datasets,
    evaluation,
    invivo,
    learning,
    phantoms,
    realisations,
    reporting,
    robustness,
)
from quietpet.steps.step import NamedFile, Step

__all__ = ["STEPS", "NamedFile", "Step"]

# In the order of `quietpet --help` and of the documentation.
_IN_ORDER = (
    phantoms.FETCH,
    invivo.FETCH_INVIVO,
    invivo.IMPORT_SCAN,
    invivo.IMPORT_PAIR,
    phantoms.PHANTOM,
    phantoms.SLICES,
    acquisition.ENGINE,
    acquisition.SIMULATE,
    acquisition.THIN,
    realisations.REALISE,
    acquisition.COUNTS,
    acquisition.RECONSTRUCT,
    invivo.REGISTRATION_ENGINE,
    invivo.REGISTER,
    datasets.PACK,
    datasets.PACK_SCANS,
    learning.LEARNING_RATE,
    learning.FIT,
    learning.RESTORE,
    learning.PLAN,
    learning.SAMPLING,
    evaluation.SCORE,
    evaluation.UNCERTAINTY,
    evaluation.DOSE_RESPONSE,
    evaluation.SUBJECTS,
    evaluation.COHORTS,
    robustness.ROBUSTNESS,
    robustness.ROBUSTNESS_TABLE,
    realisations.RECOVERY,
    realisations.RECOVERY_TABLE,
    evaluation.TRUTH,
    realisations.OBSERVE,
    realisations.DETECTION,
    reporting.TABLES,
    reporting.EXPORT,
    reporting.GALLERY,
    reporting.REPORT,
    phantoms.STANDIN,
    phantoms.STANDIN_COHORT,
)

STEPS = {step.name: step for step in _IN_ORDER}
"""Every step, by its name."""
