"""Doses, units and constants of PET side-cars, and values unlike those of the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from quietpet.invivo.agreement import SAME_DOSE_FRACTION, same_dose
from quietpet.invivo.decay import decay_word
from quietpet.invivo.exchange import find_exchanges
from quietpet.invivo.facts import TO_BQ_PER_ML, stated_unit
from quietpet.invivo.findings import NO_CORRECTION, Finding, Severity, shown
from quietpet.invivo.injection import injection_of
from quietpet.invivo.plausible import PERSON_MBQ, doubts, is_a_dose
from quietpet.invivo.scans import (
    MBQ_PER_UNIT,
    Dataset,
    Image,
    administration,
    group_administration,
)
from quietpet.invivo.sidecar import NUMBERS, PER_FRAME, REQUIRED, SCALARS, number, numbers
from quietpet.invivo.timing import listed, timing_or_none

_OUTLIERS, _LEAST_SCANS = 0.1, 5
_SAME_IN_ALL = (
    *("Units", "TracerName", "TracerRadionuclide", "ImageVoxelSize", "ReconMatrixSize"),
    *("ReconMethodName", "ReconFilterType", "ReconFilterSize", "ImageDecayCorrected"),
)
_LISTED_PER_FRAME = frozenset(
    (
        *(*PER_FRAME, "ScatterFractionFactor", "FrameReferenceTime", "PromptRate", "SinglesRate"),
        *("RandomRate", "ScaleFactor", "RescaleSlope", "ActualFrameDuration", "AcquisitionTime"),
    )
)
"""Keys of a list with one value per frame, in BIDS, dcm2niix or dcmstack."""

_NOT_KNOWN = ("n/a", "none")
"""Words that BIDS allows in place of a number that nobody noted."""


def missing_key_findings(dataset: Dataset) -> Iterator[Finding]:
    """Keys that BIDS requires; an error where an import cannot do without."""
    for runs in (series for participant in dataset.participants for series in participant.series):
        for image in runs:
            lacking = [key for key in REQUIRED if image.values.get(key) is None]
            if not lacking or image.sidecar_fault:
                continue
            null = ", ".join(key for key in lacking if key in image.values)
            stand_ins = {key: _STAND_INS[key](runs) for key in lacking if key in _STAND_INS}
            severity: Severity = (
                "note" if not stand_ins else "warning" if all(stand_ins.values()) else "error"
            )
            yield image.origin.finding(
                "missing-keys",
                severity,
                ", ".join(lacking),
                value=f"missing; null: {null}" if null else "missing",
                expected=f"{len(REQUIRED)} keys that BIDS requires of PET",
                evidence=_evidence(image, lacking, stand_ins),
                correction="; ".join(filter(None, dict.fromkeys(stand_ins.values()))) or NO_CORRECTION,
            )


def _evidence(image: Image, lacking: Sequence[str], stand_ins: Mapping[str, str | None]) -> str:
    if not image.has_sidecar:
        return "there is no side-car at all"
    alone = ", ".join(key for key, stand_in in stand_ins.items() if stand_in is None)
    counted = f"{len(lacking)} of them are not there"
    return f"{counted}, and nothing stands in for {alone}" if alone else counted


def _unit_stand_in(runs: Sequence[Image]) -> str | None:
    stated = any(image.dicom.get("Units") is not None for image in runs)
    return "unit from DICOM's Units, where dcmstack kept it for any run" if stated else None


def _injection_stand_in(runs: Sequence[Image]) -> str:
    return f"injection from {injection_of(runs).source}"


def _times_stand_in(runs: Sequence[Image]) -> str | None:
    timings = [timing for run in range(len(runs)) if (timing := timing_or_none(runs, run))]
    sources = " and ".join(dict.fromkeys(timing.source for timing in timings))
    return f"frame times from {sources}" if len(timings) == len(runs) else None


def _half_life_stand_in(runs: Sequence[Image]) -> str | None:
    stated = any(number(image.values, "RadionuclideHalfLife") for image in runs)
    return "half-life from RadionuclideHalfLife" if stated else None


_STAND_INS: Mapping[str, Callable[[Sequence[Image]], str | None]] = {
    "Units": _unit_stand_in,
    "ImageDecayCorrected": lambda runs: (
        "decay correction from DICOM's word" if any(map(decay_word, runs)) else None
    ),
    "FrameTimesStart": _times_stand_in,
    "FrameDuration": _times_stand_in,
    "TracerRadionuclide": _half_life_stand_in,
    "InjectionStart": _injection_stand_in,
}
"""Keys an import cannot do without -> what of a scan's runs stands in, None where nothing does."""


def type_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that are not of the kind that their key has."""
    for image in dataset.pet:
        for key in sorted(NUMBERS & image.values.keys()):
            found = image.values[key]
            unknown = found is None or str(found).strip().lower() in _NOT_KNOWN
            a_list = key not in SCALARS and numbers(image.values, key)
            read = number(image.values, key) is not None or a_list
            if read or unknown or key in ("FrameTimesStart", "FrameDuration"):  # see frame_findings
                continue
            yield image.origin.finding(
                "no-number",
                "warning",
                key,
                value=shown(found),
                expected="a finite number",
                evidence="BIDS wants a number here",
                correction="not read",
            )
        unit = image.values.get("InjectedRadioactivityUnits")
        dose = number(image.values, "InjectedRadioactivity")
        if dose is not None and unit is not None and image.stated_sidecar_dose_mbq is None:
            yield image.origin.finding(
                "dose-unit",
                "warning",
                "InjectedRadioactivityUnits",
                value=shown(unit),
                expected=", ".join(MBQ_PER_UNIT),
                evidence=f"InjectedRadioactivity is {dose:g}",
                correction="the dose is not read",
            )
        zero = image.values.get("TimeZero")
        if zero is not None and image.time_zero_clock_s is None:
            yield image.origin.finding(
                "no-time",
                "warning",
                "TimeZero",
                value=shown(zero),
                expected="hh:mm:ss",
                evidence="BIDS wants a time of day here",
                correction="not read",
            )


def repair_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that were written against BIDS, but have one meaning."""
    for image in dataset.pet:
        yield from image.repairs


def dose_findings(dataset: Dataset) -> Iterator[Finding]:
    """Doses that no person gets, and the dose noted against that of the scanner."""
    exchanged = find_exchanges(dataset.pet)
    for image in dataset.pet:
        yield from _doubted_doses(image)
        yield from _more_infused_than_injected(image)
        header, noted = image.header_dose_mbq, image.sidecar_dose_mbq
        if header is None or noted is None or image.participant in exchanged:
            continue
        if not same_dose(noted, header):
            yield image.origin.finding(
                "dose",
                "warning",
                "InjectedRadioactivity",
                value=f"{noted:g} MBq",
                expected=f"{header:g} MBq",
                evidence="RadionuclideTotalDose, typed in at the scanner, differs",
                correction="RadionuclideTotalDose is read",
            )


def _doubted_doses(image: Image) -> Iterator[Finding]:
    unit = str(image.values.get("InjectedRadioactivityUnits"))
    for key, stated_mbq, in_unit in (
        ("RadionuclideTotalDose", image.stated_header_dose_mbq, "Bq"),
        ("InjectedRadioactivity", image.stated_sidecar_dose_mbq, unit),
    ):
        if stated_mbq is None or is_a_dose(stated_mbq):
            continue
        dose = number(image.values, key) or 0.0
        others = [other for other, mbq in MBQ_PER_UNIT.items() if is_a_dose(dose * mbq)]
        evidence = "no person is given so much, or so little"
        if stated_mbq <= 0:
            evidence = "there is activity in the image of whoever got a tracer"
        elif others:
            evidence += f"; it would be a dose in {' or in '.join(others)}"
        yield image.origin.finding(
            "dose",
            "warning" if stated_mbq <= 0 else "error",
            key,
            value=f"{dose:g} {in_unit}" + ("" if in_unit == "MBq" else f", {stated_mbq:g} MBq"),
            expected=f"{PERSON_MBQ[0]:g} to {PERSON_MBQ[1]:g} MBq",
            evidence=evidence,
            correction="not read",
        )


def _more_infused_than_injected(image: Image) -> Iterator[Finding]:
    """InfusionRadioactivity is part of InjectedRadioactivity, in its unit (BIDS 1.11.2)."""
    infused, injected = (
        number(image.values, key) for key in ("InfusionRadioactivity", "InjectedRadioactivity")
    )
    if infused is None or injected is None:
        return
    if infused > (1 + SAME_DOSE_FRACTION) * injected > 0:
        yield image.origin.finding(
            "dose",
            "warning",
            "InfusionRadioactivity",
            value=f"{infused:g}",
            expected=f"at most {injected:g}, as InjectedRadioactivity",
            evidence="what was infused is part of what was injected, in the same unit",
            correction="not read",
        )


def range_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that lie outside any plausible range."""
    for image in dataset.pet:
        for doubt in doubts(image.values):
            yield image.origin.finding(
                "implausible",
                "warning",
                doubt.key,
                value=f"{doubt.value:g}",
                expected=doubt.expected,
                evidence="no examination of a person has a value outside",
                correction="not read",
            )


def list_length_findings(dataset: Dataset) -> Iterator[Finding]:
    """Lists of one value per frame that have another length than the frames."""
    for image in dataset.pet:
        timing = listed(image)
        n_frames = timing.n_frames if timing else image.n_frames
        for where in (image.values, image.dicom_by_frame):
            for key in sorted(_LISTED_PER_FRAME & where.keys()):
                found = where[key]
                if n_frames is None or not isinstance(found, list) or len(found) == n_frames:
                    continue
                yield image.origin.finding(
                    "list-length",
                    "warning",
                    key,
                    value=f"{len(found)} values",
                    expected=f"{n_frames} values, one per frame",
                    evidence="frames of FrameTimesStart" if timing else "frames of the image",
                    correction="not read",
                )


def unit_findings(dataset: Dataset) -> Iterator[Finding]:
    """PET that is no activity concentration."""
    for image in dataset.pet:
        units = stated_unit(image)
        if units is not None and units not in TO_BQ_PER_ML:
            yield image.origin.finding(
                "units",
                "error",
                "Units",
                value=shown(units),
                expected=" or ".join(TO_BQ_PER_ML),
                evidence="activity concentration is what windows of a scan are averaged in",
            )


def copied_constant_findings(dataset: Dataset) -> Iterator[Finding]:
    """One number pasted into every frame, where each frame has its own."""
    for image in dataset.pet:
        scatter = numbers(image.values, "ScatterFraction")
        if scatter and len(scatter) > 2 and len(set(scatter)) == 1:
            yield image.origin.finding(
                "copied-constant",
                "note",
                "ScatterFraction",
                value=shown(scatter),
                expected="one estimate per frame",
                evidence="an estimate from counts never repeats to all digits",
                correction="not read",
            )


def administration_findings(dataset: Dataset) -> Iterator[Finding]:
    """Mode of administration against the group of the participant."""
    for participant in dataset.participants:
        for image in participant.pet:
            if (stated := group_administration(participant.row_of(image))) is None:
                continue
            column, mode = stated
            group = f"column {column!r} of participants.tsv is {participant.row_of(image)[column]!r}"
            written = image.values.get("ModeOfAdministration")
            if administration(written) not in (None, mode):
                yield image.origin.finding(
                    "mode-of-administration",
                    "error",
                    "ModeOfAdministration",
                    value=shown(written),
                    expected=mode.replace("_", "-"),
                    evidence=group,
                    correction=f"column {column!r} is read",
                )
            if image is not participant.pet[0]:
                continue
            described = str(image.sidecar.get("SeriesDescription", ""))
            if re.search(r"bol[a-z]*[ _/+-]+inf", described, re.IGNORECASE) and mode != "bolus_infusion":
                yield image.origin.finding(
                    "mode-of-administration",
                    "warning",
                    "SeriesDescription",
                    value=shown(described),
                    expected=f"nothing of bolus and infusion: {mode}",
                    evidence=group,
                    correction=f"column {column!r} is read",
                )


def outlier_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that a few scans have and nearly all others have not."""
    images = [image for image in dataset.pet if image.has_sidecar]
    known: dict[str, Callable[[Image], Any]] = {
        key: partial(_plain_value, key=key) for key in _SAME_IN_ALL
    }
    known["number of frames in FrameTimesStart"] = lambda image: (
        len(starts) if (starts := numbers(image.values, "FrameTimesStart")) else None
    )
    for key, value_of in known.items():
        values = [value_of(image) for image in images]
        counts = Counter(shown(value) for value in values if value is not None)
        if len(images) < _LEAST_SCANS or not counts:
            continue
        usual, most = counts.most_common(1)[0]
        if most < (1 - 2 * _OUTLIERS) * len(images):
            continue
        rare = {text for text, count in counts.items() if count <= max(1, _OUTLIERS * len(images))}
        for image, value in zip(images, values, strict=True):
            if value is not None and shown(value) in rare - {usual}:
                yield image.origin.finding(
                    "unlike-the-others",
                    "warning",
                    key,
                    value=shown(value),
                    expected=usual,
                    evidence=f"{most} of {len(images)} scans have that",
                )


def _plain_value(image: Image, *, key: str) -> Any:
    """A list of one as its element, so that [4] and 4 are alike."""
    value = image.values.get(key)
    return value[0] if isinstance(value, list) and len(value) == 1 else value
