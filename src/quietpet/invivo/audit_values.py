"""Doses, units and constants of PET side-cars, and values unlike those of the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from quietpet.invivo.exchange import find_exchanges
from quietpet.invivo.findings import Finding, shown
from quietpet.invivo.scans import Dataset, Image, administration, group_administration
from quietpet.invivo.sidecar import REQUIRED, frame_list, number
from quietpet.invivo.timing import decay_factors, listed

_DOSE_MBQ, _DOSE_FRACTION = 1.0, 0.01
_FACTOR_TOLERANCE = 0.01
_OUTLIERS, _LEAST_SCANS = 0.1, 5
_SAME_IN_ALL = (
    *("Units", "TracerName", "TracerRadionuclide", "ImageVoxelSize", "ReconMatrixSize"),
    *("ReconMethodName", "ReconFilterType", "ReconFilterSize", "ImageDecayCorrected"),
)
_NEEDED = {
    "Units": ("AcquisitionTime", "unit from DICOM's Units, where dcmstack kept it for any run"),
    "FrameTimesStart": ("AcquisitionTime", "frame times from AcquisitionTime and series description"),
    "InjectedRadioactivity": ("RadionuclideTotalDose", "dose from RadionuclideTotalDose"),
    "TracerRadionuclide": ("RadionuclideHalfLife", "half-life from RadionuclideHalfLife"),
}


"""Keys an import cannot do without -> the key that stands in, and how."""


def missing_key_findings(dataset: Dataset) -> Iterator[Finding]:
    """Keys that BIDS requires."""
    for image in dataset.pet:
        lacking = [key for key in REQUIRED if image.values.get(key) is None]
        if not lacking:
            continue
        null = ", ".join(key for key in lacking if key in image.values)
        needed = [key for key in lacking if key in _NEEDED]
        yield image.origin.finding(
            "missing-keys",
            "warning" if needed else "note",
            ", ".join(lacking),
            value=f"missing; null: {null}" if null else "missing",
            expected=f"{len(REQUIRED)} keys that BIDS requires of PET",
            evidence=f"{len(lacking)} of them are not there"
            if image.has_sidecar
            else "there is no side-car at all",
            correction=_stand_in(image, needed),
        )


def _stand_in(image: Image, needed: Iterable[str]) -> str:
    stand_ins = [how for key in needed for source, how in [_NEEDED[key]] if source in image.sidecar]
    return "; ".join(stand_ins) or "none"


def repair_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that were written against BIDS, but have one meaning."""
    for image in dataset.pet:
        yield from image.repairs


def dose_findings(dataset: Dataset) -> Iterator[Finding]:
    """The dose noted against that of the scanner."""
    exchanged = find_exchanges(dataset.pet)
    for image in dataset.pet:
        header, noted = image.header_dose_mbq, image.sidecar_dose_mbq
        if header is None or noted is None or image.participant in exchanged:
            continue
        if abs(header - noted) > max(_DOSE_MBQ, _DOSE_FRACTION * header):
            yield image.origin.finding(
                "dose",
                "warning",
                "InjectedRadioactivity",
                value=f"{noted:g} MBq",
                expected=f"{header:g} MBq",
                evidence="RadionuclideTotalDose, typed in at the scanner, differs",
                correction="RadionuclideTotalDose is read",
            )


def unit_findings(dataset: Dataset) -> Iterator[Finding]:
    """PET that is no activity concentration."""
    for image in dataset.pet:
        units = image.values.get("Units")
        if units is not None and str(units).lower() not in ("bq/ml", "kbq/ml"):
            yield image.origin.finding(
                "units",
                "error",
                "Units",
                value=shown(units),
                expected="Bq/mL or kBq/mL",
                evidence="activity concentration is what windows of a scan are averaged in",
            )


def copied_constant_findings(dataset: Dataset) -> Iterator[Finding]:
    """One number pasted into every frame, where each frame has its own."""
    for image in dataset.pet:
        timing = listed(image)
        half_life_s = number(image.values, "RadionuclideHalfLife")
        factors = frame_list(image.values, "DecayCorrectionFactor")
        if timing and factors and half_life_s and len(factors) == timing.n_frames > 1:
            physical = decay_factors(
                timing,
                half_life_s=half_life_s,
                reference_s=number(image.values, "ImageDecayCorrectionTime") or 0.0,
            )
            apart = np.abs(np.array(factors) / physical - 1).max()
            if apart > _FACTOR_TOLERANCE:
                yield image.origin.finding(
                    "decay-factors",
                    "warning",
                    "DecayCorrectionFactor",
                    value=shown(factors),
                    expected=f"from {physical[0]:.5f} to {physical[-1]:.5f}",
                    evidence=f"decay with a half-life of {half_life_s:g} s over the frames; "
                    f"{'one value stands for all' if len(set(factors)) == 1 else f'{apart:.0%} off'}",
                    correction="not read: factors are computed from the frame times",
                )
        scatter = frame_list(image.values, "ScatterFraction")
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
        if (stated := group_administration(participant.row)) is None:
            continue
        column, mode = stated
        for image in participant.pet:
            written = image.values.get("ModeOfAdministration")
            if administration(written) not in (None, mode):
                yield image.origin.finding(
                    "mode-of-administration",
                    "error",
                    "ModeOfAdministration",
                    value=shown(written),
                    expected=mode.replace("_", "-"),
                    evidence=f"column {column!r} of participants.tsv is {participant.row[column]!r}",
                    correction=f"column {column!r} is read",
                )
        for image in participant.pet[:1]:
            described = str(image.sidecar.get("SeriesDescription", ""))
            if re.search(r"bol[a-z]*[ _/+-]+inf", described, re.IGNORECASE) and mode != "bolus_infusion":
                yield image.origin.finding(
                    "mode-of-administration",
                    "warning",
                    "SeriesDescription",
                    value=shown(described),
                    expected=f"nothing of bolus and infusion: {mode}",
                    evidence=f"column {column!r} of participants.tsv is {participant.row[column]!r}",
                    correction=f"column {column!r} is read",
                )


def outlier_findings(dataset: Dataset) -> Iterator[Finding]:
    """Values that a few scans have and nearly all others have not."""
    images = [image for image in dataset.pet if image.has_sidecar]
    known: dict[str, Callable[[Image], Any]] = {
        key: lambda image, key=key: _plain(image.values.get(key)) for key in _SAME_IN_ALL
    }
    known["number of frames in FrameTimesStart"] = lambda image: (
        len(starts) if (starts := frame_list(image.values, "FrameTimesStart")) else None
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


def _plain(value: Any) -> Any:
    """A list of one as its element, so that [4] and 4 are alike."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
