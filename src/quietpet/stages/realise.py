"""Stage ``realise``: slices without lesions -> realisations of their noise, with and without lesions."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from quietpet.data.packing import packed_subjects
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.phantoms import PhantomSlices
from quietpet.files.realisations import PackedRealisations
from quietpet.files.records import Record, read_record, write_record
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.realisations import RealiseJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.recon.system import decided, engine_versions
from quietpet.runtime.device import compute_device
from quietpet.simulation.realisations import SubjectRealisations, lesion_table, realised


def run(job: RealiseJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices`` of all subjects in order; write ``dataset`` and, if asked for, ``sinograms``.

    ``dataset`` is packed like others. ``sinograms`` are those of the low dose, one file per subject.
    ``engine``, if given, says which engine ``scanner.projector: auto`` means in this study.
    """
    watch, device = Stopwatch(), compute_device()
    settings = decided(job.scanner, inputs.get("engine"))
    slices = [read_record(path, PhantomSlices) for path in inputs.many("slices")]
    if (found := tuple(each.subject for each in slices)) != job.subjects:
        raise InputError(f"realise: the subjects are {job.subjects}, but slices of {found} were given.")
    for each in slices:
        if each.pet_lesions.any() or each.t1_lesions.any():
            raise InputError(
                f"{each.origin}: has lesions of its own, and those of noise realisations are painted "
                "into slices without any; make it with lesions.count 0."
            )
    sinograms = outputs.any("sinograms")
    if sinograms and len(sinograms) != len(slices):
        raise InputError(
            f"realise: {len(sinograms)} files are called 'sinograms' for {len(slices)} subjects; name "
            "one for each, in their order."
        )

    def written(path: Path, record: Record) -> None:
        origin = provenance(
            "realise",
            settings=job.model_dump(mode="json"),
            inputs=inputs.all(),
            watch=watch,
            device=str(device),
            also=job.named_code,
            engines=engine_versions(settings.projector),
        )
        write_record(path, record, provenance=origin)

    subjects = []
    for each, path in itertools.zip_longest(slices, sinograms):
        subject, low_scan = realised(job, each, settings, device)
        subjects.append(subject)
        if path:
            written(path, low_scan)
    written(outputs.one("dataset"), _packed(job, subjects))


def _packed(job: RealiseJob, subjects: list[SubjectRealisations]) -> PackedRealisations:
    packed = packed_subjects(
        [each.images for each in subjects],
        grid=scanner_grid(SCANNERS[job.scanner.model](), job.pixels),
        dataset=job.dataset,
        setting=job.setting,
        split="test",
    )
    lesions = itertools.chain.from_iterable(each.lesions for each in subjects)
    return PackedRealisations(
        **vars(packed),
        slice_index=np.concatenate([each.slice_index for each in subjects]),
        lesion_set=[name for each in subjects for name in each.lesion_set],
        realisation=np.concatenate([each.realisation for each in subjects]),
        lesions=lesion_table(list(lesions)),
    )
