"""Steps that read scans of people, and lay T1 on them."""

from __future__ import annotations

from quietpet.jobs.invivo import (
    FetchInvivoJob,
    ImportPairJob,
    ImportScanJob,
    RegisterJob,
    RegistrationEngineJob,
)
from quietpet.steps.shared_files import DECISION
from quietpet.steps.step import NamedFile, Step

FETCH_INVIVO = Step(
    name="fetch_invivo",
    job=FetchInvivoJob,
    inputs=(
        NamedFile(
            "description", "dataset_description.json of a tree that the study makes", optional=True
        ),
    ),
    outputs=(NamedFile("located", "JSON: where the participant's images and side-cars are"),),
)

IMPORT_SCAN = Step(
    name="import_scan",
    job=ImportScanJob,
    inputs=(NamedFile("located", "JSON of `fetch_invivo`"),),
    outputs=(
        NamedFile("standard", "NIfTI: mean of the frames of the long window"),
        NamedFile("low", "NIfTI of each short window, called <window>.nii.gz", several=True),
        NamedFile("t1", "NIfTI: T1, axes in RAS order"),
        NamedFile("scan", "JSON: frames, doses and findings behind the images"),
    ),
)

IMPORT_PAIR = Step(
    name="import_pair",
    job=ImportPairJob,
    inputs=(NamedFile("table", "pairs.tsv of a folder of pairs, beside the images that it names"),),
    outputs=(
        NamedFile("standard", "NIfTI: the standard dose"),
        NamedFile("low", "NIfTI of each low dose, called <dose>.nii.gz", several=True),
        NamedFile("t1", "NIfTI: T1, axes in RAS order"),
        NamedFile("scan", "JSON: files, units, doses and findings behind the images"),
    ),
)

REGISTRATION_ENGINE = Step(name="registration_engine", job=RegistrationEngineJob, outputs=(DECISION,))

REGISTER = Step(
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
        NamedFile("low", "NIfTI of each short window, in the order given", optional=True, several=True),
        NamedFile("itk", "transform from T1 to PET for ITK"),
        NamedFile("matrix", "the same: 4 x 4 matrix in RAS mm"),
        NamedFile("fsl", "transform from PET to T1 for FSL"),
        NamedFile("figure", "PNG: edges of T1 over PET, before and after"),
        NamedFile("registration", "JSON: engine, transform and checks"),
    ),
)
