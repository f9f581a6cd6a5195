"""What an import must know of one scan, taken from wherever its side-cars tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.findings import DATA_SET, Finding
from quietpet.invivo.scans import Image, Participant, administration, group_administration
from quietpet.invivo.settings import CohortSetting
from quietpet.invivo.sidecar import number
from quietpet.invivo.timing import FrameTiming, decay_references_s, joined, timeline
from quietpet.invivo.windows import GAP_S, half_life_of

BQ_PER_ML = "Bq/mL"
_PER_BQ = {"bq/ml": 1.0, "bqml": 1.0, "kbq/ml": 1000.0}
_UNUSABLE = frozenset(("contradicting-sidecars", "dimensions", "geometry", "units", "frame-times"))


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """Tracer, dose and scaling of a scan; doses in MBq, None where nobody noted one.

    ``to_bq_per_ml`` multiplies the image's values. ``administration_from`` says which key or column
    told how the tracer was given.
    """

    tracer: str | None
    radionuclide: str | None
    half_life_s: float
    decay_corrected: bool
    to_bq_per_ml: float
    header_dose_mbq: float | None
    noted_dose_mbq: float | None
    administration: str | None
    administration_from: str


def require_usable(findings: Iterable[Finding], images: Sequence[Image]) -> None:
    """Stop at what makes ``images`` unusable: not readable, no frames, no unit, left for right.

    Raises:
        InputError: one sentence on the first such finding.
    """
    for image in images:
        if fault := image.fault or image.sidecar_fault:
            raise InputError(f"{fault} Mend that, or {_leave_out(image.participant)}.")
    stems = {image.stem for image in images}
    for finding in findings:
        blocking = finding.check in _UNUSABLE and finding.severity == "error"
        if blocking and finding.image in stems:
            raise InputError(
                f"{finding.file}: {finding.key} is {finding.value}, but should be {finding.expected} "
                f"({finding.evidence}). Correct the file, or {_leave_out(finding.participant)}."
            )


def _leave_out(participant: str) -> str:
    return f"leave {participant} out of invivo.datasets"


def applied(findings: Iterable[Finding], participant: str) -> list[Finding]:
    """The findings on one participant, and on the data set, whose correction an import makes."""
    return [
        finding
        for finding in findings
        if finding.participant in (participant, DATA_SET) and not finding.correction.startswith("none")
    ]


def scan_facts(
    participant: Participant, runs: Sequence[Image], *, noted_in: Sequence[Image]
) -> ScanFacts:
    """Facts on the scan ``runs`` of a participant; a fact that one run lacks is taken from another.

    ``noted_in`` are the images whose side-cars hold what people noted of this scan: ``runs``, unless
    side-cars were exchanged.

    Raises:
        InputError: unit, half-life or decay correction cannot be told.
    """
    first = runs[0]
    units = _first(runs, "Units", "Units")
    if str(units).lower() not in _PER_BQ:
        what = "lacks Units, and" if first.has_sidecar else "has no side-car (.json), so"
        raise InputError(
            f"{first.origin.file_of('Units')}: {what} nothing tells what its values mean"
            f"{'' if units is None else f' (DICOM: {units})'}. Add 'Units': '{BQ_PER_ML}' if they are "
            "activity concentrations."
        )
    corrected = _first(runs, "ImageDecayCorrected")
    if corrected is None:
        # DICOM PS3.3, C.8.9.1: START and ADMIN are corrected, to different times, NONE is not.
        word = _first(runs, "", "DecayCorrection")
        corrected = None if word is None else word != "NONE"
    if not isinstance(corrected, bool):
        file = first.origin.file_of("ImageDecayCorrected")
        raise InputError(f"{file}: ImageDecayCorrected is {corrected!r}; write true or false.")
    radionuclide = _first(runs, "TracerRadionuclide")
    half_lives = [number(image.values, "RadionuclideHalfLife") for image in runs]
    mode, told_by = _administration(participant, first, noted_in)
    return ScanFacts(
        tracer=_first(runs, "TracerName"),
        radionuclide=radionuclide,
        half_life_s=half_life_of(
            radionuclide,
            next((each for each in half_lives if each), None),
            file=first.origin.file_of("TracerRadionuclide"),
        ),
        decay_corrected=corrected,
        to_bq_per_ml=_PER_BQ[str(units).lower()],
        header_dose_mbq=next((dose for image in runs if (dose := image.header_dose_mbq)), None),
        noted_dose_mbq=next((dose for image in noted_in if (dose := image.sidecar_dose_mbq)), None),
        administration=mode,
        administration_from=told_by,
    )


def _first(runs: Sequence[Image], key: str, dicom_key: str = "") -> Any:
    """The first value of ``key`` in any run, else of ``dicom_key`` as dcmstack keeps it."""
    values = [
        *(image.values.get(key) for image in runs),
        *(image.dicom.get(dicom_key) for image in runs),
    ]
    return next((value for value in values if value is not None), None)


def _administration(
    participant: Participant, image: Image, noted_in: Sequence[Image]
) -> tuple[str | None, str]:
    if stated := group_administration(participant.row_of(image)):
        return stated[1], f"column {stated[0]!r} of participants.tsv"
    written = _first(noted_in, "ModeOfAdministration")
    return administration(written), "ModeOfAdministration"


def scan_timing(
    all_runs: Sequence[Image], present: Sequence[Image], owner: Participant | None
) -> FrameTiming:
    """Timing of the frames of the runs ``present``, one run after the other.

    ``all_runs`` are those that have a side-car: the first gives the time zero where none is noted.
    ``owner`` is the participant in whose folder this one's exchanged side-car lies.

    Raises:
        InputError: the timing of a run cannot be told, or contradicts its image.
    """
    parts = []
    for image in present:
        same_run = [each for each in owner.pet if _run(each) == _run(image)] if owner else []
        parts.append(
            timeline(
                all_runs,
                list(all_runs).index(image),
                n_frames=image.n_frames,
                listed_by=same_run[0] if same_run else None,
            )
        )
    timing = joined(parts)
    if (timing.gaps_s < -GAP_S).any():
        raise InputError(
            f"{present[-1].origin.file_of('FrameTimesStart')}: its frames do not begin after those of "
            "the run before; correct the frame times, or name one run in invivo.sources.*.runs."
        )
    return timing


def frames_corrected_to_s(
    all_runs: Sequence[Image], present: Sequence[Image], facts: ScanFacts
) -> np.ndarray | None:
    """The time to which each frame of ``present`` was decay-corrected [s], (frame,); None: to one time.

    Runs that were reconstructed one by one may each be corrected to its own start.
    """
    references = decay_references_s(all_runs, half_life_s=facts.half_life_s)
    if references is None or not facts.decay_corrected:
        return None
    return np.concatenate(
        [np.full(image.n_frames or 0, references[list(all_runs).index(image)]) for image in present]
    )


def _run(image: Image) -> dict[str, str]:
    return {name: value for name, value in image.entities.items() if name != "sub"}


def require_cohort(requirements: Mapping[str, CohortSetting], facts: ScanFacts) -> None:
    """Refuse a test participant whose dose or administration is not that of the setting.

    Raises:
        InputError: names ``dataset/setting``, the value and the range.
    """
    for name, setting in requirements.items():
        dose = facts.header_dose_mbq
        if setting.header_dose_mbq and not (
            dose is not None and setting.header_dose_mbq[0] <= dose <= setting.header_dose_mbq[1]
        ):
            low, high = setting.header_dose_mbq
            found = "no dose" if dose is None else f"{dose:.1f} MBq"
            or_none = ", or leave header_dose_mbq out" if dose is None else ""
            raise InputError(
                f"invivo.datasets, {name}: wants {low:g} to {high:g} MBq in the scanner's header "
                f"(RadionuclideTotalDose), but there is {found}; choose another test participant, or "
                f"another range{or_none}."
            )
        if setting.administration and facts.administration != setting.administration:
            raise InputError(
                f"invivo.datasets, {name}: wants {setting.administration}, but the tracer was given by "
                f"{facts.administration or 'an unknown protocol'} ({facts.administration_from}); choose "
                "another test participant."
            )
