"""What an import must know of one scan, taken from wherever its side-cars tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from quietpet.config.invivo import ScanRequirement
from quietpet.errors import InputError
from quietpet.invivo.agreement import disagreements
from quietpet.invivo.decay import decay_references_s, nuclide_and_half_life_s, stated_correction
from quietpet.invivo.findings import DATA_SET, Finding
from quietpet.invivo.frame_times import GAP_S, FrameTiming
from quietpet.invivo.scans import Image, Participant, administration, group_administration
from quietpet.invivo.sidecar import usual_unit
from quietpet.invivo.timing import joined, timeline
from quietpet.invivo.windows import half_life_of

BQ_PER_ML = "Bq/mL"
TO_BQ_PER_ML = {BQ_PER_ML: 1.0, "kBq/mL": 1000.0}
_UNUSABLE = frozenset(
    (
        *("contradicting-sidecars", "dimensions", "geometry", "units"),
        *("frame-times", "scan-start", "decay-correction"),
    )
)


class GivenTracer(Protocol):
    """How much tracer somebody got, and how; ``..._from`` say what told it."""

    @property
    def header_dose_mbq(self) -> float | None: ...
    @property
    def dose_from(self) -> str: ...
    @property
    def administration(self) -> str | None: ...
    @property
    def administration_from(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """Tracer and dose of a scan, on which all its runs agree; doses in MBq, None where nobody noted one.

    ``administration_from`` says which key or column told how the tracer was given.
    """

    tracer: str | None
    radionuclide: str | None
    half_life_s: float
    header_dose_mbq: float | None
    noted_dose_mbq: float | None
    administration: str | None
    administration_from: str

    @property
    def dose_from(self) -> str:
        return "the scanner's header (RadionuclideTotalDose)"


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What one run's values are, which need not be what another's are.

    ``to_bq_per_ml`` multiplies them. ``corrected_to_s`` is the time to which its frames were
    decay-corrected, on the clock of the scan; None where they were not, or all runs were to one time
    that none tells.
    """

    n_frames: int
    to_bq_per_ml: float
    decay_corrected: bool
    corrected_to_s: float | None


def require_usable(findings: Iterable[Finding], images: Sequence[Image]) -> None:
    """Stop at what makes ``images`` unusable: not readable, no frames, no unit, left for right.

    Raises:
        InputError: one sentence on the first such finding.
    """
    for image in images:
        if fault := image.fault or image.sidecar_fault or image.scans_fault:
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
    participant: Participant,
    all_runs: Sequence[Image],
    present: Sequence[Image],
) -> ScanFacts:
    """Facts on a scan whose runs ``present`` are read; one that they lack is taken from ``all_runs``.

    Raises:
        InputError: the runs contradict each other, or their unit or half-life cannot be told.
    """
    for image in present:
        _to_bq_per_ml(image, all_runs)
    require_agreement(present)
    runs = [*present, *(image for image in all_runs if image not in present)]
    radionuclide, half_life_s = nuclide_and_half_life_s(runs)
    mode, told_by = _administration(participant, present[0], all_runs)
    return ScanFacts(
        tracer=_first(runs, "TracerName"),
        radionuclide=radionuclide,
        half_life_s=half_life_of(
            radionuclide, half_life_s, file=present[0].origin.file_of("TracerRadionuclide")
        ),
        header_dose_mbq=next((dose for image in runs if (dose := image.header_dose_mbq)), None),
        noted_dose_mbq=next((dose for image in all_runs if (dose := image.sidecar_dose_mbq)), None),
        administration=mode,
        administration_from=told_by,
    )


def require_agreement(runs: Sequence[Image]) -> None:
    """Refuse runs that cannot be one scan, or one reconstruction of it.

    Raises:
        InputError: names both files, the key and the values.
    """
    for differing in disagreements(runs):
        if differing.settled_by:
            continue
        files = [each.origin.file_of(differing.key) for each in (differing.image, differing.other)]
        raise InputError(
            f"{files[0]}: {differing.key} is {differing.value}, but {differing.expected} in {files[1]}: "
            "these are no runs of one scan. Correct the side-car, or name the runs that belong together "
            "in invivo.sources.*.runs."
        )


def run_facts(
    all_runs: Sequence[Image], present: Sequence[Image], *, half_life_s: float
) -> list[RunFacts]:
    """Facts on each run of ``present``; one that a run lacks is that of all others, where they agree.

    Raises:
        InputError: unit or decay correction of a run cannot be told.
    """
    corrected = [_decay_corrected(image, all_runs) for image in present]
    references = decay_references_s(all_runs, half_life_s=half_life_s)
    if references is None and len(set(corrected)) > 1:
        files = {
            state: image.origin.file_of("ImageDecayCorrected")
            for state, image in zip(corrected, present, strict=True)
        }
        raise InputError(
            f"{files[True]}: its frames are decay-corrected, those of {files[False]} are not, and "
            "nothing tells to which time. "
            "Add ImageDecayCorrectionTime [s after TimeZero]."
        )
    return [
        RunFacts(
            n_frames=image.n_frames or 1,
            to_bq_per_ml=_to_bq_per_ml(image, all_runs),
            decay_corrected=is_corrected,
            corrected_to_s=references[list(all_runs).index(image)]
            if references is not None and is_corrected
            else None,
        )
        for image, is_corrected in zip(present, corrected, strict=True)
    ]


def _to_bq_per_ml(image: Image, all_runs: Sequence[Image]) -> float:
    units = _own_or_common(image, all_runs, stated_unit, what="Units")
    if units not in TO_BQ_PER_ML:
        what = "lacks Units, and" if image.has_sidecar else "has no side-car (.json), so"
        raise InputError(
            f"{image.origin.file_of('Units')}: {what} nothing tells what its values mean"
            f"{'' if units is None else f' (DICOM: {units})'}. Add 'Units': '{BQ_PER_ML}' if they are "
            "activity concentrations."
        )
    return TO_BQ_PER_ML[units]


def stated_unit(image: Image) -> str | None:
    """Unit of an image's values in its usual spelling, by BIDS, else by DICOM as dcmstack keeps it."""
    units = image.values.get("Units")
    units = image.dicom.get("Units") if units is None else units
    return None if units is None else usual_unit(str(units))


def _decay_corrected(image: Image, all_runs: Sequence[Image]) -> bool:
    corrected = image.values.get("ImageDecayCorrected")
    if corrected is None:
        corrected = _own_or_common(image, all_runs, stated_correction, what="ImageDecayCorrected")
    if not isinstance(corrected, bool):
        file = image.origin.file_of("ImageDecayCorrected")
        raise InputError(f"{file}: ImageDecayCorrected is {corrected!r}; write true or false.")
    return corrected


def _own_or_common(
    image: Image, runs: Sequence[Image], tell: Callable[[Image], Any], *, what: str
) -> Any:
    """What ``image`` tells, else what all other runs do that tell anything; None where none does."""
    own = tell(image)
    if own is not None:
        return own
    told = {value for other in runs if (value := tell(other)) is not None}
    if len(told) > 1:
        raise InputError(
            f"{image.origin.file}: lacks {what}, and other runs of the scan have "
            f"{' and '.join(sorted(map(str, told)))}. Add it."
        )
    return next(iter(told), None)


def _first(runs: Sequence[Image], key: str) -> Any:
    """The first value of ``key`` in any run."""
    return next((value for image in runs if (value := image.values.get(key)) is not None), None)


def _administration(
    participant: Participant, image: Image, runs: Sequence[Image]
) -> tuple[str | None, str]:
    if stated := group_administration(participant.row_of(image)):
        return stated[1], f"column {stated[0]!r} of participants.tsv"
    written = _first(runs, "ModeOfAdministration")
    return administration(written), "ModeOfAdministration"


def scan_timing(all_runs: Sequence[Image], present: Sequence[Image]) -> FrameTiming:
    """Timing of the frames of the runs ``present``, one run after the other.

    ``all_runs`` are those that have a side-car: the first gives the time zero where none is noted.

    Raises:
        InputError: the timing of a run cannot be told, or contradicts its image.
    """
    timing = joined(
        [timeline(all_runs, list(all_runs).index(image), n_frames=image.n_frames) for image in present]
    )
    if (timing.gaps_s < -GAP_S).any():
        raise InputError(
            f"{present[-1].origin.file_of('FrameTimesStart')}: its frames do not begin after those of "
            "the run before; correct the frame times, or name one run in invivo.sources.*.runs."
        )
    return timing


def per_frame(runs: Sequence[RunFacts], what: Sequence[Any]) -> np.ndarray:
    """One value per run of ``what`` as one per frame, (frame,)."""
    return np.repeat(np.array(what), [run.n_frames for run in runs])


def known_reference(runs: Sequence[RunFacts]) -> bool:
    """Whether the time to which decay-corrected runs were corrected is known: others are so here."""
    return all(run.corrected_to_s is not None for run in runs if run.decay_corrected)


def reference_s(runs: Sequence[RunFacts], *, otherwise: float) -> float:
    """The time to which windows are decay-corrected: that of the first run that was, or another."""
    return next((run.corrected_to_s for run in runs if run.corrected_to_s is not None), otherwise)


def require_cohort(requirements: Mapping[str, ScanRequirement], facts: GivenTracer) -> None:
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
            or_none = (
                ", or leave header_dose_mbq out; a dose that no person gets is not read"
                if dose is None
                else ""
            )
            raise InputError(
                f"invivo.datasets, {name}: wants {low:g} to {high:g} MBq in {facts.dose_from}, but "
                f"there is {found}; choose another test participant, or another range{or_none}."
            )
        if setting.administration and facts.administration != setting.administration:
            raise InputError(
                f"invivo.datasets, {name}: wants {setting.administration}, but the tracer was given by "
                f"{facts.administration or 'an unknown protocol'} ({facts.administration_from}); choose "
                f"another test participant{'' if facts.administration else ', or fill it in there'}."
            )
