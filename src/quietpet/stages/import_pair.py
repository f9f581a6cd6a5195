"""``import_pair``: the standard and low doses of one participant of a folder of pairs, and its T1."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quietpet.config.invivo import STANDARD, scan_name
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.series import frames
from quietpet.files.text import write_json
from quietpet.files.volumes import in_ras_order, write_volume
from quietpet.geometry.volume import Volume, missing_t1
from quietpet.invivo.audit_pairs import (
    header_findings,
    level_findings,
    require_sound,
    t1_findings,
    value_findings,
)
from quietpet.invivo.facts import BQ_PER_ML, require_cohort
from quietpet.invivo.findings import Finding
from quietpet.invivo.pair_units import to_bq_per_ml
from quietpet.invivo.pair_values import pair_findings
from quietpet.invivo.pairs import PairImage, Pairs
from quietpet.invivo.pairs_folder import open_images, pet_in_bq_per_ml, read_pairs
from quietpet.invivo.pairs_table import TABLE
from quietpet.invivo.scans import Image
from quietpet.jobs.invivo import ImportPairJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.credible import Registration, require_credible
from quietpet.registration.register import register_rigid

logger = logging.getLogger(__name__)

_NEAR_NAME = 0.6
_NAMED = 5


def run(job: ImportPairJob, inputs: Files, outputs: Files) -> None:
    """``table`` -> ``standard``, ``low`` (one per dose, named after it), ``t1``, ``scan``.

    Images lie in the folder of the table. What is written is what ``import_scan`` writes: NIfTI in RAS
    order, PET in Bq/mL, a missing ``t1`` as NaN on the grid of the standard dose, and ``scan`` (JSON,
    written last), which tells how each was made.
    """
    try:
        _import(job, inputs, outputs)
    except InputError as error:
        raise InputError(f"{scan_name(job.source, job.participant)}: {error}") from None


def _import(job: ImportPairJob, inputs: Files, outputs: Files) -> None:
    watch, root = Stopwatch(), inputs.one("table").parent
    targets = {STANDARD: outputs.one(STANDARD), **_low_targets(job, outputs)}
    pair = _read_pair(job, root)
    rows = {dose: pair.rows[dose] for dose in targets}
    require_cohort(job.requirements, pair.tracer)
    images, moved = _images_in_one_world(job, pair, rows)
    for each in pair.warnings:
        logger.warning("%s: %s is %s; %s", each.file, each.key, each.value, each.evidence)
    for dose, image in images.items():
        write_volume(targets[dose], in_ras_order(image), description=f"{dose}, {BQ_PER_ML}")
    head = _t1(pair.root, pair.t1) if pair.t1 else missing_t1(images[STANDARD])
    write_volume(outputs.one("t1"), in_ras_order(head), description="T1w" if pair.t1 else "no T1")
    t1 = rows[STANDARD].t1
    opened = [*(row.pet for row in rows.values()), *([t1] if t1 else [])]
    read = [*inputs.all(), *(root / path for path in opened)]
    write_json(
        outputs.one("scan"),
        {
            "source": job.source,
            "participant": job.participant,
            "data_source": rows[STANDARD].simulated_data or job.source,
            "units": BQ_PER_ML,
            **asdict(pair.tracer),
            "decay_corrected_to_s": pair.at_s,
            "corrections": [asdict(each) for each in pair.warnings],
            "windows": {dose: _recorded(row, pair.at_s, moved.get(dose)) for dose, row in rows.items()},
            "t1": t1,
            "provenance": provenance("import_pair", settings=job.model_dump(), inputs=read, watch=watch),
            "complete": True,
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Tracer:
    """What a setting may ask of its test participants, by the row of the standard dose."""

    radionuclide: str | None
    header_dose_mbq: float | None
    administration: str | None
    administration_from: str
    dose_from: str = f"injected_mbq of {TABLE}"


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """What is known of a participant before its images are read: rows by dose, and their files.

    ``t1`` is None of a participant that has none.
    """

    root: Path
    rows: Mapping[str, PairImage]
    images: Mapping[str, Image]
    t1: Image | None
    warnings: list[Finding]

    @property
    def at_s(self) -> float | None:
        """Time to which all images are decay-corrected, after the injection [s]; None: not told."""
        return self.rows[STANDARD].reference_s

    @property
    def tracer(self) -> _Tracer:
        standard = self.rows[STANDARD]
        return _Tracer(
            radionuclide=standard.radionuclide,
            header_dose_mbq=standard.injected_mbq,
            administration=standard.administration,
            administration_from=f"column 'administration' of {TABLE}",
        )


def _low_targets(job: ImportPairJob, outputs: Files) -> dict[str, Path]:
    """Output file of every low dose."""
    low = {path.name.removesuffix(".nii.gz"): path for path in outputs.many("low")}
    if sorted(low) != sorted(job.doses):
        raise InputError(f"outputs called 'low' are {sorted(low)}, but the doses are {list(job.doses)}.")
    return low


def _read_pair(job: ImportPairJob, root: Path) -> _Pair:
    """Rows and headers of the participant.

    Raises:
        InputError: they leave something open, or a dose is not there.
    """
    pairs = read_pairs(root)
    used = pairs.only(job.participant, (STANDARD, *job.doses))
    require_sound(used.findings, job.participant)
    _require_rows(job, root, pairs)
    images = open_images(root, used.images)
    found = [*used.findings, *header_findings(used.images, images)]
    require_sound(found, job.participant)
    path = used.images[0].t1
    if path is None and job.t1_presence == "required":
        raise InputError(
            f"{TABLE}: t1 is n/a in every row of {job.participant}, but PET is registered to it. Name a "
            f"T1 image, leave {job.participant} out of invivo.datasets, or write invivo.sources."
            f"{job.source}.t1_presence: if_there."
        )
    warnings = [each for each in found if each.severity == "warning"]
    rows = {row.dose: row for row in used.images}
    return _Pair(
        root=root, rows=rows, images=images, t1=images[path] if path else None, warnings=warnings
    )


def _require_rows(job: ImportPairJob, root: Path, pairs: Pairs) -> None:
    rows = pairs.of(job.participant)
    there = [row.dose for row in rows]
    if not rows:
        raise InputError(
            f"{root / TABLE}: has no participant {job.participant!r}{_others(job, pairs)}; correct "
            "invivo.datasets, or add its rows."
        )
    require_sound(level_findings(rows), job.participant)
    if absent := [dose for dose in (STANDARD, *job.doses) if dose not in there]:
        raise InputError(
            f"{root / TABLE}: has no row of {job.participant} with the dose {absent[0]!r}; there are "
            f"{', '.join(there)}. Correct the setting's dose in invivo.datasets, or add the row."
        )


def _others(job: ImportPairJob, pairs: Pairs) -> str:
    """Who else is there, those of like names before all."""
    names = pairs.participants
    near = difflib.get_close_matches(job.participant, names, n=3, cutoff=_NEAR_NAME)
    if near:
        return f", but {' and '.join(map(repr, near))}"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; there are {', '.join(names[:_NAMED])}{more}" if names else ", and no other"


def _images_in_one_world(
    job: ImportPairJob, pair: _Pair, rows: Mapping[str, PairImage]
) -> tuple[dict[str, Volume], dict[str, Registration]]:
    """Every image [Bq/mL] at one time and in the standard one's world, and how those moved that were.

    Raises:
        InputError: an image is damaged, holds what no image of a person does, or contradicts another.
    """
    images: dict[str, Volume] = {}
    moved: dict[str, Registration] = {}
    for dose, row in rows.items():
        image = pet_in_bq_per_ml(pair.root, row, pair.images[row.pet], at_s=pair.at_s)
        standard = images.get(STANDARD)
        found = [*value_findings(row, image, standard, at_s=pair.at_s)]
        require_sound(found, job.participant)
        if standard is not None and not row.same_position:
            image, moved[dose] = _registered(job, row, image, standard, rows[STANDARD])
            found += pair_findings(row, image, standard)
            require_sound(found, job.participant)
        pair.warnings.extend(each for each in found if each.severity == "warning")
        images[dose] = image
    return images, moved


def _registered(
    job: ImportPairJob, row: PairImage, image: Volume, standard: Volume, other: PairImage
) -> tuple[Volume, Registration]:
    """``image`` in the world of the standard dose: its voxels keep their values and get other positions.

    Raises:
        InputError: the registration is not credible.
    """
    names = (other.pet, row.pet)
    found = register_rigid(standard, image, engine="embedded", correct_bias=False, names=names)
    found.tell(f"{scan_name(job.source, job.participant)}, {row.dose} to {STANDARD}")
    require_credible(found, job.registration, names=names)
    to_standard = found.transform.inverse.fixed_to_moving @ image.affine_ras_mm
    return Volume(values=image.values, affine_ras_mm=to_standard), found


def _t1(root: Path, image: Image) -> Volume:
    header = image.opened()
    ((_, values),) = frames(root / header.file, header)
    require_sound(t1_findings(image, values), image.participant)
    return Volume(values=values, affine_ras_mm=header.affine_ras_mm)


def _recorded(row: PairImage, at_s: float | None, moved: Registration | None) -> dict[str, Any]:
    timing = row.timing
    return {
        "file": row.pet,
        "unit": row.unit,
        "to_bq_per_ml": to_bq_per_ml(row, at_s=at_s),
        "weight_kg": row.weight_kg,
        "injected_mbq": row.injected_mbq,
        "start_s": row.start_s,
        "seconds": None if timing is None else float(timing.ends_s[-1] - timing.starts_s[0]),
        "to_standard": None if moved is None else moved.record(),
    }
