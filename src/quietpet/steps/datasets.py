"""Steps that pack slices of subjects into the rows that methods learn from and restore."""

from __future__ import annotations

from quietpet.jobs.datasets import PackJob, PackScansJob
from quietpet.steps.step import NamedFile, Step

_DATASET = NamedFile("dataset", "HDF5: rows of standard dose, low dose and T1")

PACK = Step(
    name="pack",
    job=PackJob,
    inputs=(
        NamedFile("slices", "HDF5 of `slices` of each subject", several=True),
        NamedFile("standard", "HDF5 of `reconstruct` at the standard dose, same order", several=True),
        NamedFile("low", "HDF5 of `reconstruct` at the low dose, same order", several=True),
    ),
    outputs=(_DATASET,),
)

PACK_SCANS = Step(
    name="pack_scans",
    job=PackScansJob,
    inputs=(
        NamedFile("scan", "JSON of `import_scan` of each participant", several=True),
        NamedFile("registration", "JSON of `register`, same order", several=True),
        NamedFile("t1", "NIfTI of `import_scan`, same order", several=True),
        NamedFile("standard", "NIfTI of `import_scan`: long window, same order", several=True),
        NamedFile("low", "NIfTI of `import_scan`: short window, same order", several=True),
    ),
    outputs=(_DATASET,),
)
