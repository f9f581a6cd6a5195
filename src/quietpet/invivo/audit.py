"""Every contradiction in the metadata and headers of a BIDS tree with PET, with its evidence."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo import geometry
from quietpet.invivo.clock import clock_difference_s, clock_seconds, clock_text
from quietpet.invivo.exchange import exchange_findings, find_exchanges
from quietpet.invivo.findings import DATA_SET, Finding, Origin, merged, shown
from quietpet.invivo.scans import Dataset, Image, Participant, administration, group_administration
from quietpet.invivo.sidecar import REQUIRED, frame_list, number
from quietpet.invivo.timing import FrameTiming, decay_factors, listed, timeline, without_gaps

_PET_SINCE_BIDS = (1, 6)
_DOSE_MBQ, _DOSE_FRACTION = 1.0, 0.01
_FACTOR_TOLERANCE = 0.01
_STARTS_LATE_S = 300.0
_COPIED_S = 600.0
_OUTLIERS = 0.1
_LEAST_SCANS = 5
_SAME_IN_ALL = (
    *("Units", "TracerName", "TracerRadionuclide", "ImageVoxelSize", "ReconMatrixSize"),
    *("ReconMethodName", "ReconFilterType", "ReconFilterSize", "ImageDecayCorrected"),
)


def audit(dataset: Dataset) -> list[Finding]:
    """All findings of a data set, errors first; alike ones of several runs as one."""
    return merged(inspect(dataset))


def inspect(dataset: Dataset) -> Iterator[Finding]:
    """All findings, file by file."""
    for check in _CHECKS:
        yield from check(dataset)


def _tree(dataset: Dataset) -> Iterator[Finding]:
    whole = Origin(participant=DATA_SET, file="dataset_description.json")
    version = str(dataset.description.get("BIDSVersion", ""))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _PET_SINCE_BIDS:
        yield whole.finding(
            "bids-version",
            "note",
            "BIDSVersion",
            value=shown(dataset.description.get("BIDSVersion")),
            expected="1.6.0 or later",
            evidence="PET entered BIDS with 1.6.0: validators of this version do not look at it",
        )
    if hidden := [line for line in dataset.ignored if "pet" in line]:
        yield Origin(participant=DATA_SET, file=".bidsignore").finding(
            "hidden-from-validators",
            "note",
            ".bidsignore",
            value=", ".join(hidden),
            expected="no PET files",
            evidence="validators are told to skip them, so no validator has seen the PET side-cars",
        )
    table = Origin(participant=DATA_SET, file="participants.tsv")
    if twice := [name for name, count in Counter(dataset.columns).items() if count > 1]:
        yield table.finding(
            "participants-table",
            "note",
            ", ".join(twice),
            value="a column of this name twice",
            expected="once",
            evidence="readers take one of the two, unsaid",
        )
    present = {each.label for each in dataset.participants}
    for label in sorted(present.symmetric_difference(dataset.listed) if dataset.listed else ()):
        yield table.finding(
            "participants-table",
            "warning",
            "participant_id",
            value="has a folder" if label in present else "is listed",
            expected=f"{label}: both a folder and a row",
            evidence="the table and the folders differ",
        )


def _repairs(dataset: Dataset) -> Iterator[Finding]:
    for image in dataset.pet:
        yield from image.repairs


def _missing(dataset: Dataset) -> Iterator[Finding]:
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


_NEEDED = {
    "Units": ("global.const.Units", "none: the import takes it from another run, or stops"),
    "FrameTimesStart": ("AcquisitionTime", "frame times from AcquisitionTime and series description"),
    "InjectedRadioactivity": ("RadionuclideTotalDose", "dose from RadionuclideTotalDose"),
    "TracerRadionuclide": ("RadionuclideHalfLife", "half-life from RadionuclideHalfLife"),
}
"""Keys an import cannot do without -> the key that stands in, and how."""


def _stand_in(image: Image, needed: Iterable[str]) -> str:
    stand_ins = [how for key in needed for source, how in [_NEEDED[key]] if source in image.sidecar]
    return "; ".join(stand_ins) or "none"


def _exchanges(dataset: Dataset) -> Iterator[Finding]:
    yield from exchange_findings(dataset.participants)


def _doses(dataset: Dataset) -> Iterator[Finding]:
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


def _frames(dataset: Dataset) -> Iterator[Finding]:
    exchanges = find_exchanges(dataset.pet)
    image_of = {exchange.owner: exchange for exchange in exchanges.values()}
    for image in dataset.pet:
        timing = listed(image)
        if timing is None:
            starts, durations = (image.values.get(key) for key in ("FrameTimesStart", "FrameDuration"))
            if starts is not None and durations is not None:
                yield image.origin.finding(
                    "frame-times",
                    "error",
                    "FrameTimesStart, FrameDuration",
                    value=f"{shown(starts)}, {shown(durations)}",
                    expected="two lists of numbers of one length",
                    evidence="one entry per frame each",
                )
            continue
        yield from _frame_count(image, timing)
        if np.abs(timing.gaps_s).max(initial=0.0) > 1.0:
            largest = int(np.abs(timing.gaps_s).argmax())
            filled = without_gaps(timing)
            yield image.origin.finding(
                "frame-gaps",
                "warning",
                "FrameTimesStart",
                value=f"{np.count_nonzero(np.abs(timing.gaps_s) > 1.0)} gaps or overlaps, the largest "
                f"{timing.gaps_s[largest]:g} s after frame {largest}",
                expected="frames without gaps"
                if filled is None
                else f"{filled.n_frames} regular frames",
                evidence=f"{timing.n_frames} frames of {timing.durations_s.sum():g} s in all reach to "
                f"{timing.ends_s[-1]:g} s",
                correction="none"
                if filled is None
                else f"filled, where the image has {filled.n_frames} frames",
            )
        wrapped = frame_list(image.sidecar, "FrameTimesStart")
        if wrapped and wrapped[0] > wrapped[-1] and image.participant in image_of:
            other = image_of[image.participant]
            yield image.origin.finding(
                "exchanged-frames",
                "error",
                "FrameTimesStart",
                value=shown(image.sidecar["FrameTimesStart"]),
                expected=f"starts after the TimeZero of {other.participant}",
                evidence=f"its first start, wrapped at midnight, is the {other.seconds:.0f} s by which "
                f"the image of {other.participant} began from this TimeZero: the list of frames was "
                "exchanged together with the dose",
                correction="unwrapped, and read for that image",
            )


def _frame_count(image: Image, timing: FrameTiming) -> Iterator[Finding]:
    if image.n_frames in (None, timing.n_frames):
        return
    filled = without_gaps(timing)
    fits = filled is not None and filled.n_frames == image.n_frames
    yield image.image_origin.finding(
        "frame-count",
        "warning" if fits else "error",
        "FrameTimesStart",
        value=f"{timing.n_frames} frames",
        expected=f"{image.n_frames} frames",
        evidence="fourth dimension of the image; the BIDS validator does not compare it",
        correction="the list's gaps are filled, which gives this number" if fits else "none",
    )


def _derived_times(dataset: Dataset) -> Iterator[Finding]:
    for participant in dataset.participants:
        runs = list(participant.pet)
        for run, image in enumerate(runs):
            if "FrameTimesStart" in image.values:
                continue
            try:
                timing = timeline(runs, run)
            except InputError:
                continue
            yield image.origin.finding(
                "derived-frame-times",
                "note",
                "FrameTimesStart, FrameDuration",
                value="missing",
                expected=f"{timing.n_frames} frames of {timing.durations_s[0]:g} s from "
                f"{timing.starts_s[0]:g} s on",
                evidence=timing.source,
                correction="these are read",
            )


def _copied_constants(dataset: Dataset) -> Iterator[Finding]:
    """One number pasted into every frame, where each frame has its own."""
    for image in dataset.pet:
        timing = listed(image)
        half_life_s = number(image.values, "RadionuclideHalfLife")
        factors = frame_list(image.values, "DecayCorrectionFactor")
        if timing and factors and half_life_s and len(factors) == timing.n_frames > 1:
            physical = decay_factors(timing, half_life_s=half_life_s)
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
        if scatter and len(scatter) > _LEAST_SCANS and len(set(scatter)) == 1:
            yield image.origin.finding(
                "copied-constant",
                "note",
                "ScatterFraction",
                value=shown(scatter),
                expected="one estimate per frame",
                evidence="an estimate from counts never repeats to all digits",
                correction="not read",
            )


def _start_times(dataset: Dataset) -> Iterator[Finding]:
    """Injection times that were copied from another participant, or lie late in the scan."""
    exchanged = find_exchanges(dataset.pet)
    for key in ("TimeZero", "RadiopharmaceuticalStartTime", "InjectionStart"):
        holders: dict[float, list[Image]] = defaultdict(list)
        for participant in dataset.participants:
            for image in participant.pet[:1]:
                clock = clock_seconds(image.sidecar.get(key))
                if clock is not None and image.acquired_clock_s is not None:
                    holders[clock].append(image)
        for clock, images in holders.items():
            for image in images if len(images) > 1 else ():
                apart = clock_difference_s(image.acquired_clock_s or 0.0, clock)
                others = [each.participant for each in images if each is not image]
                if abs(apart) > _COPIED_S and image.participant not in exchanged:
                    yield image.origin.finding(
                        "copied-time",
                        "error",
                        key,
                        value=str(image.sidecar[key]),
                        expected=f"about {clock_text(image.acquired_clock_s or 0.0)}",
                        evidence=f"the same second as {', '.join(others)}, and "
                        f"{abs(apart) / 60:.0f} min from the own AcquisitionTime",
                        correction="AcquisitionTime is read",
                    )
    for participant in dataset.participants:
        injected = [clock for image in participant.pet if (clock := _dicom_injection(image)) is not None]
        acquired = participant.pet[0].acquired_clock_s if participant.pet else None
        if injected and acquired is not None:
            late = clock_difference_s(injected[0], acquired)
            if late > _STARTS_LATE_S:
                yield participant.pet[0].origin.finding(
                    "late-injection",
                    "warning",
                    "RadiopharmaceuticalStartTime",
                    value=clock_text(injected[0]),
                    expected=f"before {clock_text(acquired)}, when the scan began, or soon after",
                    evidence=f"it lies {late / 60:.0f} min after the first frame",
                )


def _dicom_injection(image: Image) -> float | None:
    const = image.sidecar.get("global", {}).get("const", {})
    (sequence, *_) = const.get("RadiopharmaceuticalInformationSequence") or [{}]
    return clock_seconds(sequence.get("RadiopharmaceuticalStartTime"))


def _modes(dataset: Dataset) -> Iterator[Finding]:
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


def _outliers(dataset: Dataset) -> Iterator[Finding]:
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


def _images(dataset: Dataset) -> Iterator[Finding]:
    if not dataset.has_images:
        yield Origin(participant=DATA_SET, file="-").finding(
            "no-images",
            "note",
            "*.nii.gz",
            value="no image in the whole tree",
            expected="PET and T1 images",
            evidence="only side-cars and tables were audited, and no header was compared with them",
        )
        return
    for participant in dataset.participants:
        for image in (*participant.pet, *participant.t1):
            yield from _one_image(image, is_pet=image in participant.pet)
        yield from _companions(participant)


def _one_image(image: Image, *, is_pet: bool) -> Iterator[Finding]:
    header, origin = image.header, image.image_origin
    if header is None:
        if image.fault or is_pet:
            yield origin.finding(
                "unreadable-image" if image.fault else "missing-image",
                "error" if image.fault else "warning",
                "image",
                value=image.fault or "no image beside the side-car",
                expected="a NIfTI image",
                evidence="opened" if image.fault else "other images are there",
            )
        return
    if header.misnamed:
        yield origin.finding(
            "misnamed-gz",
            "warning",
            "file name",
            value="gzip without .gz" if header.gzipped else ".gz, but not compressed",
            expected="named as it is stored",
            evidence=f"the first two bytes are {'' if header.gzipped else 'not '}1f 8b",
            correction="read as it is stored",
        )
    dimensions = 4 if is_pet else 3
    if len(header.shape) != dimensions and not (is_pet and _static(image)):
        yield origin.finding(
            "dimensions",
            "error",
            "dim",
            value=f"{len(header.shape)}-D, {list(header.shape)}",
            expected=f"{dimensions}-D",
            evidence="a dynamic PET series has frames" if is_pet else "a T1 image is one volume",
        )
    faults = [*geometry.header_faults(header)]
    if is_pet:
        faults += geometry.dicom_faults(header, image.values.get("ImageOrientationPatientDICOM"))
        faults += geometry.voxel_faults(header, image.values.get("ImageVoxelSize"))
    for fault in faults:
        yield _geometry_finding(origin, fault)


def _static(image: Image) -> bool:
    timing = listed(image)
    return timing is not None and timing.n_frames == 1


def _companions(participant: Participant) -> Iterator[Finding]:
    if participant.pet and not participant.t1:
        yield participant.pet[0].image_origin.finding(
            "missing-t1",
            "error",
            "anat",
            value="no T1w image",
            expected="anat/*_T1w.nii.gz",
            evidence="PET is registered to it",
        )
    headers = [image.header for image in participant.t1 if image.header]
    for image in participant.pet if headers else ():
        if image.header:
            for fault in geometry.companion_faults(image.header, headers[0]):
                yield _geometry_finding(image.image_origin, fault)


def _geometry_finding(origin: Origin, fault: geometry.Fault) -> Finding:
    return origin.finding(
        "geometry",
        fault.severity,
        fault.key,
        value=fault.value,
        expected=fault.expected,
        evidence=fault.evidence,
        correction=fault.correction,
    )


def _units(dataset: Dataset) -> Iterator[Finding]:
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


_CHECKS: tuple[Callable[[Dataset], Iterator[Finding]], ...] = (
    _tree,
    _images,
    _exchanges,
    _doses,
    _start_times,
    _modes,
    _frames,
    _derived_times,
    _units,
    _missing,
    _copied_constants,
    _outliers,
    _repairs,
)
