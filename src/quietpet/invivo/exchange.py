"""Side-cars that lie in another participant's folder.

Two clocks tell whose a side-car is: the scanner's own AcquisitionTime, written by the converter from the
image, and the TimeZero that people add. Where they disagree in one folder and agree to the second across
folders, the added fields were exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from quietpet.invivo.agreement import same_dose
from quietpet.invivo.clock import clock_difference_s, clock_text
from quietpet.invivo.findings import Finding
from quietpet.invivo.order import in_run_order
from quietpet.invivo.scans import Dataset, Image, Participant
from quietpet.invivo.sidecar import SINCE_TIME_ZERO, number, numbers
from quietpet.invivo.timing import listed, with_frames

_NOTED = (
    *("TimeZero", *SINCE_TIME_ZERO, "ModeOfAdministration"),
    *("InjectedRadioactivity", "InjectedRadioactivityUnits", "InfusionRadioactivity"),
)
_NOTED_OF_FRAMES = ("FrameTimesStart", "FrameDuration", "DecayCorrectionFactor", "ScatterFraction")
"""Keys that people add to the converter's, of one scan each: they go together."""

_OWN_S = 60.0
_OTHERS_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The image of ``participant`` began when the side-car of ``owner`` says.

    ``seconds`` is the image's AcquisitionTime minus that TimeZero.
    """

    participant: str
    owner: str
    seconds: float


def clock_error_s(image: Image, sidecar: Image) -> float | None:
    """AcquisitionTime of ``image`` minus the start that the people behind ``sidecar`` noted [s].

    The start is TimeZero, or ScanStart or the first frame after it, whichever fits best; None where one
    of the clocks is missing.
    """
    acquired, zero = image.acquired_clock_s, sidecar.time_zero_clock_s
    if acquired is None or zero is None:
        return None
    first = numbers(sidecar.values, "FrameTimesStart") or [0.0]
    offsets = {0.0, number(sidecar.values, "ScanStart") or 0.0, first[0]}
    return min((clock_difference_s(acquired, zero + offset) for offset in offsets), key=abs)


def may_be_exchanged(pet: Sequence[Image]) -> bool:
    """Whether others' side-cars must be looked at: the clock of an image is not that of its own one."""
    return any(abs(clock_error_s(image, image) or 0.0) > _OWN_S for image in pet)


def find_exchanges(pet: Sequence[Image]) -> dict[str, Exchange]:
    """Whose side-car fits each participant whose own does not, by participant.

    Only what is beyond doubt: the own clock is more than a minute off, that of exactly one other
    participant at most 2 s. The first image of a participant with both clocks speaks for all.
    """
    found, speaking = {}, _speaking(pet)
    for participant, image in speaking.items():
        if abs(clock_error_s(image, image) or 0.0) <= _OWN_S:
            continue
        fitting = [
            owner
            for owner, other in speaking.items()
            if owner != participant and abs(clock_error_s(image, other) or 0.0) <= _OTHERS_S
        ]
        if len(fitting) == 1:
            zero = speaking[fitting[0]].time_zero_clock_s or 0.0
            seconds = clock_difference_s(image.acquired_clock_s or 0.0, zero)
            found[participant] = Exchange(participant=participant, owner=fitting[0], seconds=seconds)
    return found


def with_notes_in_place(dataset: Dataset) -> Dataset:
    """The data set as if nobody had exchanged side-cars: what people noted of an image is beside it."""
    own = {
        image.stem: image
        for scan in dataset.by_scan
        for label, exchange in find_exchanges(scan.pet).items()
        for image in _noted(scan.of(label).pet, scan.of(exchange.owner).pet)
    }
    participants = [
        replace(each, pet=[own.get(image.stem, image) for image in each.pet])
        for each in dataset.participants
    ]
    return replace(dataset, participants=participants)


def _noted(runs: Sequence[Image], owners: Sequence[Image]) -> list[Image]:
    """``runs`` with the notes of those of ``owners`` that are the same run by name, or else in order."""
    by_run = {image.run: image for image in owners}
    pairs = [(image, by_run.get(image.run)) for image in runs]
    if not any(owner for _, owner in pairs):
        pairs = list(zip_longest(in_run_order(runs), in_run_order(owners)[: len(runs)]))
    return [_with_notes(image, owner) for image, owner in pairs]


def _with_notes(image: Image, owner: Image | None) -> Image:
    """``image`` with what people noted beside ``owner``, or with nothing of the kind.

    Lists of frames come along where they have as many as the image; else its own list is kept, and
    begins when the scanner's clock says, whatever TimeZero it was counted from.
    """
    timing = None if owner is None else listed(owner)
    fits = timing is not None and with_frames(timing, image.n_frames) is not None
    keys = (*_NOTED, *(_NOTED_OF_FRAMES if fits else ()))
    kept = {key: value for key, value in image.values.items() if key not in keys}
    if owner is None:
        return replace(image, sidecar=kept)
    noted = {key: owner.values[key] for key in keys if key in owner.values}
    told = {key: owner.origin.file_of(key) for key in noted}
    placed = replace(image, sidecar={**kept, **noted}, told={**image.told, **told})
    return placed if fits else _from_acquisition(placed)


def _from_acquisition(image: Image) -> Image:
    """``image``, its list of frames moved so that the first begins at AcquisitionTime."""
    starts = numbers(image.values, "FrameTimesStart")
    acquired, zero = image.acquired_clock_s, image.time_zero_clock_s
    if not starts or acquired is None or zero is None:
        return image
    later_s = clock_difference_s(acquired, zero) - starts[0]
    if abs(later_s) <= _OTHERS_S:
        return image
    moved = [start + later_s for start in starts]
    return replace(image, sidecar={**image.sidecar, "FrameTimesStart": moved})


def _speaking(pet: Sequence[Image]) -> dict[str, Image]:
    """The first image of each participant, in the order of acquisition, that has both clocks."""
    with_both: dict[str, list[Image]] = {}
    for image in pet:
        if None not in (image.acquired_clock_s, image.time_zero_clock_s):
            with_both.setdefault(image.participant, []).append(image)
    return {participant: in_run_order(images)[0] for participant, images in with_both.items()}


def exchange_findings(dataset: Dataset) -> list[Finding]:
    """One finding per exchanged side-car, with all that speaks for it; and clocks that fit nowhere."""
    speaking, exchanges = _speaking(dataset.pet), find_exchanges(dataset.pet)
    findings = []
    for participant in (each for each in dataset.participants if each.label in speaking):
        image = speaking[participant.label]
        error, exchange = clock_error_s(image, image), exchanges.get(participant.label)
        if exchange is not None:
            findings.append(_exchanged(participant, image, speaking[exchange.owner], exchange))
        elif error is not None and abs(error) > _OWN_S:
            findings.append(
                image.origin.finding(
                    "time-zero",
                    "warning",
                    "TimeZero",
                    value=str(image.sidecar["TimeZero"]),
                    expected=f"about {clock_text(image.acquired_clock_s or 0.0)}",
                    evidence=f"AcquisitionTime of the same image differs by {error:.0f} s, and no other "
                    "participant's TimeZero fits",
                )
            )
    return findings


def _exchanged(participant: Participant, image: Image, owner: Image, exchange: Exchange) -> Finding:
    evidence = [
        f"AcquisitionTime {clock_text(image.acquired_clock_s or 0.0)} of the image is the TimeZero of "
        f"{exchange.owner} to {abs(exchange.seconds):.0f} s, not the own {image.sidecar['TimeZero']}"
    ]
    own, there, header = image.sidecar_dose_mbq, owner.sidecar_dose_mbq, image.header_dose_mbq
    if header is not None and there is not None:
        agrees = same_dose(there, header)
        evidence.append(
            f"RadionuclideTotalDose of the image is {header:.1f} MBq, "
            f"{'as' if agrees else 'but not'} the dose noted for {exchange.owner}"
        )
    evidence += _t1_evidence(participant, image)
    return image.origin.finding(
        "exchanged-sidecar",
        "error",
        "InjectedRadioactivity, TimeZero, InjectionStart and other added fields",
        value=f"{_mbq(own)}, TimeZero {image.sidecar['TimeZero']}",
        expected=f"{_mbq(there)}, TimeZero {owner.sidecar['TimeZero']}, as noted for {exchange.owner}",
        evidence="; ".join(evidence),
        correction="dose: RadionuclideTotalDose of the image; frame times: FrameTimesStart of "
        f"{exchange.owner} where its length fits the image",
    )


def _t1_evidence(participant: Participant, image: Image) -> list[str]:
    """What ties the converter's fields to this folder: the T1 image beside."""
    for t1 in participant.t1:
        t1_s, image_s = t1.acquired_clock_s, image.acquired_clock_s
        if t1_s is None or image_s is None:
            continue
        apart = clock_difference_s(t1_s, image_s) / 60
        words = [f"the T1 in this folder was acquired {abs(apart):.0f} min from the image"]
        if image.sidecar.get("TxRefAmp") is not None is not t1.sidecar.get("TxRefAmp") and (
            image.sidecar["TxRefAmp"] == t1.sidecar["TxRefAmp"]
        ):
            words.append("with the same TxRefAmp")
        return [" ".join(words)]
    return []


def _mbq(dose: float | None) -> str:
    return "no dose" if dose is None else f"{dose:g} MBq"
