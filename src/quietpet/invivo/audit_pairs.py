"""Every contradiction in a folder of pairs: its table, the headers of its images, their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from quietpet.config.invivo import STANDARD
from quietpet.errors import InputError
from quietpet.files.placement import header_faults
from quietpet.files.series import frames
from quietpet.geometry.volume import Volume
from quietpet.invivo import geometry
from quietpet.invivo.audit_images import geometry_finding, naming_findings
from quietpet.invivo.findings import DATA_SET, Finding, Severity, merged
from quietpet.invivo.pair_columns import NOT_KNOWN
from quietpet.invivo.pair_units import conversion_findings
from quietpet.invivo.pair_values import image_findings, pair_findings
from quietpet.invivo.pairs import PairImage, Pairs
from quietpet.invivo.pairs_folder import open_images, pet_in_bq_per_ml
from quietpet.invivo.scans import Image

_UNREADABLE = "unreadable-image"
"""Check whose value is a whole sentence."""

_AS_ROUNDED = 0.01
"""Part by which two numbers of one thing may differ."""


def audit_pairs(
    root: Path, pairs: Pairs, *, each: Callable[[Iterable[str]], Iterable[str]] = iter
) -> list[Finding]:
    """All findings of a folder of pairs, errors first; every image is read to its end.

    ``each`` goes through the participants, with a bar of progress for instance.
    """
    findings = [*pairs.findings]
    for participant in each(pairs.participants):
        rows = pairs.of(participant)
        images = open_images(root, rows)
        found = [*header_findings(rows, images)]
        told = [*found, *(each for each in pairs.findings if each.participant == participant)]
        findings += found
        if not any(each.severity == "error" for each in told):
            findings += _value_findings(root, rows, images)
    return merged(findings)


def require_sound(findings: Iterable[Finding], participant: str) -> None:
    """Stop at the first error that concerns a participant.

    Raises:
        InputError: one sentence on it.
    """
    for finding in findings:
        if finding.severity != "error" or finding.participant not in (participant, DATA_SET):
            continue
        said = finding.value
        if finding.check != _UNREADABLE:
            said = f"{finding.key} is {said}, but should be {finding.expected} ({finding.evidence})"
        raise InputError(
            f"{finding.file}: {said}. Correct that, or leave {participant} out of invivo.datasets."
        )


def header_findings(rows: Sequence[PairImage], images: Mapping[str, Image]) -> Iterator[Finding]:
    """What the rows of a participant and the headers of its ``images`` say before any value is read."""
    yield from level_findings(rows)
    yield from _of_one_person(rows)
    for row in rows:
        yield from conversion_findings(row, rows)
        yield from _pet(row, images[row.pet])
    path = rows[0].t1
    if path is None:
        yield rows[0].origin.finding(
            "missing-t1",
            "warning",
            "t1",
            value=NOT_KNOWN,
            expected="a T1 image",
            evidence="PET is registered to it, and has no other place than its own without",
            correction="none: with invivo.sources.*.t1_presence: if_there, PET stays on its own grid",
        )
        return
    yield from _one_image(images[path], column="t1", with_frames=False)
    for row in rows:
        pet, t1 = images[row.pet].header, images[path].header
        for fault in geometry.companion_faults(pet, t1) if pet and t1 else ():
            yield geometry_finding(row.pet_origin, fault)


def level_findings(rows: Sequence[PairImage]) -> Iterator[Finding]:
    """What the doses of a participant's ``rows`` lack, the standard one first."""
    if rows[0].dose != STANDARD:
        yield rows[0].origin.finding(
            "pair-doses",
            "error",
            "dose",
            value=", ".join(row.dose for row in rows),
            expected=f"{STANDARD} in one row",
            evidence="the standard dose is what low doses are restored to",
        )
    elif len(rows) == 1:
        yield rows[0].origin.finding(
            "pair-doses",
            "warning",
            "dose",
            value=STANDARD,
            expected="a low dose, too",
            evidence="a standard dose alone is no pair",
        )


def _of_one_person(rows: Sequence[PairImage]) -> Iterator[Finding]:
    """Weights that differ, and injections where there was one."""
    for name, evidence in (
        ("weight_kg", "a person has one weight; the SUV of one of the two is wrong"),
        ("injected_mbq", "with same_position: yes they are one scan, of one injection"),
    ):
        known = [row for row in rows if getattr(row, name) is not None]
        for row in known[1:]:
            severity: Severity = "error" if name == "injected_mbq" else "warning"
            first, own = getattr(known[0], name), getattr(row, name)
            one_scan = known[0].same_position and row.same_position
            if abs(own - first) > _AS_ROUNDED * first and (one_scan or name == "weight_kg"):
                warned = {"correction": "read as it is"} if severity == "warning" else {}
                yield row.origin.finding(
                    "pair-conversion",
                    severity,
                    f"{name} ({row.dose})",
                    value=f"{own:g}",
                    expected=f"{first:g}, as of {known[0].dose}",
                    evidence=evidence,
                    **warned,
                )


def _pet(row: PairImage, image: Image) -> Iterator[Finding]:
    n_frames = 1 if row.timing is None else row.timing.n_frames
    yield from _one_image(image, column="pet", with_frames=True)
    if image.header is None or image.n_frames == n_frames:
        return
    yield row.origin.finding(
        "pairs-frames",
        "error",
        f"frame_starts_s, frame_durations_s ({row.dose})",
        value=NOT_KNOWN if row.timing is None else f"times of {n_frames} frame(s)",
        expected=f"times of {image.n_frames} frame(s)",
        evidence=f"{row.pet} has as many; of one image of its own, no times are needed",
    )


def _one_image(image: Image, *, column: str, with_frames: bool) -> Iterator[Finding]:
    """``with_frames``: whether it may have several."""
    header = image.header
    if header is None:
        yield image.image_origin.finding(
            _UNREADABLE,
            "error",
            column,
            value=(image.fault or "").removeprefix(f"{image.file}: ").removesuffix("."),
            expected="a NIfTI image",
            evidence="opened",
        )
        return
    yield from naming_findings(header, image.image_origin)
    most_axes = 4 if with_frames or header.n_frames == 1 else 3
    if not 3 <= len(header.shape) <= most_axes or min(header.frame_shape) < 2:
        yield image.image_origin.finding(
            "dimensions",
            "error",
            "dim",
            value=f"{len(header.shape)}-D, {list(header.shape)}",
            expected="3-D, or 4-D with the times of its frames" if with_frames else "3-D",
            evidence="an image of a head is one volume, of several voxels along each axis",
        )
    for fault in header_faults(header):
        yield geometry_finding(image.image_origin, fault)


def _value_findings(
    root: Path, rows: Sequence[PairImage], images: Mapping[str, Image]
) -> Iterator[Finding]:
    """What a participant's images hold, where nothing is wrong with rows and headers."""
    at_s, path, standard = rows[0].reference_s, rows[0].t1, None
    for row in rows:
        try:
            volume = pet_in_bq_per_ml(root, row, images[row.pet], at_s=at_s)
        except InputError as error:
            yield _damaged(images[row.pet], "pet", error)
            continue
        found = [*value_findings(row, volume, standard, at_s=at_s)]
        yield from found
        if row is rows[0] and not any(each.severity == "error" for each in found):
            standard = volume
    if path:
        try:
            ((_, values),) = frames(root / path, images[path].opened())
        except InputError as error:
            yield _damaged(images[path], "t1", error)
        else:
            yield from t1_findings(images[path], values)


def value_findings(
    row: PairImage, image: Volume, standard: Volume | None, *, at_s: float | None
) -> Iterator[Finding]:
    """What an image [Bq/mL] holds, by itself and against the ``standard`` dose where it is a low one."""
    found = [*image_findings(row, image, at_s=at_s)]
    yield from found
    if (
        standard is not None
        and row.same_position
        and not any(each.severity == "error" for each in found)
    ):
        yield from pair_findings(row, image, standard)


def t1_findings(image: Image, values: np.ndarray) -> Iterator[Finding]:
    """A T1 in which nothing can be seen."""
    if not values.max() > values.min():
        yield image.image_origin.finding(
            "t1-values",
            "error",
            "t1",
            value=f"{values.max():g} in every voxel",
            expected="a head",
            evidence="there is nothing to register PET to",
        )


def _damaged(image: Image, column: str, error: InputError) -> Finding:
    return image.image_origin.finding(
        _UNREADABLE,
        "error",
        column,
        value=str(error).removeprefix(f"{image.file}: ").removesuffix("."),
        expected="a whole NIfTI image of finite numbers",
        evidence="read to its end",
    )
