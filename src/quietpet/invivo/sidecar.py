"""PET side-cars as people write them, read as PET-BIDS means them.

Nothing is guessed here: a repair is made where a value has one possible meaning only, and every repair
is reported. Rules: BIDS 1.11.2, ``rules.sidecars.pet`` of bidsschematools 2.0.1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from quietpet.invivo.clock import DAY_S, clock_difference_s, clock_seconds
from quietpet.invivo.findings import Finding, Origin, shown

REQUIRED = (
    *("Manufacturer", "ManufacturersModelName", "Units", "TracerName", "TracerRadionuclide"),
    *("InjectedRadioactivity", "InjectedRadioactivityUnits", "InjectedMass", "InjectedMassUnits"),
    *("SpecificRadioactivity", "SpecificRadioactivityUnits", "ModeOfAdministration"),
    *("TimeZero", "ScanStart", "InjectionStart", "FrameTimesStart", "FrameDuration"),
    *("AcquisitionMode", "ImageDecayCorrected", "ImageDecayCorrectionTime"),
    *("ReconMethodName", "ReconMethodParameterLabels", "ReconFilterType", "AttenuationCorrection"),
)
"""Keys without which a PET side-car is not valid."""

PER_FRAME = (
    *("FrameTimesStart", "FrameDuration", "DecayFactor", "DecayCorrectionFactor", "ScatterFraction"),
)
"""Keys that hold one number per frame each."""

SINCE_TIME_ZERO = (
    *("ScanStart", "InjectionStart", "InjectionEnd", "InfusionStart", "ImageDecayCorrectionTime"),
)
"""Keys that hold one time [s] each after TimeZero."""

NUMBERS = frozenset(
    [
        *(*SINCE_TIME_ZERO, *PER_FRAME),
        *("InjectedRadioactivity", "InjectedMass", "SpecificRadioactivity", "InjectedVolume"),
        *("InfusionRadioactivity", "InfusionSpeed", "MolarActivity"),
        *("RadionuclideTotalDose", "RadionuclideHalfLife", "RadionuclidePositronFraction"),
        *("BloodDiscreteDensity", "BodyWeight", "DoseCalibrationFactor", "ReconFilterSize"),
        *("SliceThickness", "TracerMolecularWeight"),
    ]
)
"""Keys that hold a number, or a list of them."""

SCALARS = NUMBERS - {*PER_FRAME, "ReconFilterSize"}
"""Those that hold one number alone."""

_UNITS = {
    "mbq": "MBq",
    "bq/ml": "Bq/mL",
    "bqml": "Bq/mL",
    "kbq/ml": "kBq/mL",
    "sec": "s",
    "seconds": "s",
}
# BIDS 1.11.2, metadata "Units": Bq/mL and its like; both spellings of the litre are SI.
_ALLOWED_AS_WRITTEN = frozenset(("Bq/ml", "kBq/ml"))


def normalised(raw: Mapping[str, Any], origin: Origin) -> tuple[dict[str, Any], list[Finding]]:
    """The side-car under today's names with numbers as numbers, and what had to be repaired.

    Frame times are unwrapped at midnight; one value given for all frames becomes a list as long as
    ``FrameTimesStart``. What has no one meaning is left as it is.
    """
    values, findings = dict(raw), []
    for repair in _REPAIRS:
        findings += repair(values, origin)
    return values, findings


def numbers(values: Mapping[str, Any], key: str) -> list[float] | None:
    """A list of finite numbers of a side-car, or None where it is no such list."""
    found = values.get(key)
    if isinstance(found, list) and found and all(map(_is_number, found)):
        return [float(each) for each in found]
    return None


def usual_unit(text: str) -> str:
    """A unit in its usual spelling, where it is one that people spell otherwise."""
    return _UNITS.get(text.strip().lower(), text)


def number(values: Mapping[str, Any], key: str) -> float | None:
    """One number of a normalised side-car, or None."""
    found = values.get(key)
    return float(found) if _is_number(found) else None


def _renamed(values: dict[str, Any], origin: Origin) -> list[Finding]:
    """Names of the PET extension's drafts: ``...Unit`` where BIDS has ``...Units``."""
    old = [key for key in values if key.endswith("Unit") and f"{key}s" not in values]
    for key in old:
        values[f"{key}s"] = values.pop(key)
    if not old:
        return []
    return [
        origin.finding(
            "old-key-names",
            "note",
            ", ".join(old),
            value=", ".join(old),
            expected=", ".join(f"{key}s" for key in old),
            evidence="PET-BIDS names end in 'Units' since BIDS 1.6.0; drafts had 'Unit'",
            correction="read under today's names",
        )
    ]


def _string_numbers(values: dict[str, Any], origin: Origin) -> list[Finding]:
    findings = []
    for key in sorted(NUMBERS & values.keys()):
        found = values[key]
        read: float | list[Any] | None = _number_in(found)
        if read is None and isinstance(found, list):
            each = [_number_in(item) if isinstance(item, str) else item for item in found]
            read = each if None not in each and each != found else None
        if read is not None:
            values[key] = read
            findings.append(
                _read_as(
                    origin,
                    "string-numbers",
                    key,
                    found,
                    read,
                    evidence="BIDS wants a number here, and the text is one",
                    correction="read as a number",
                )
            )
    return findings


def _lists_of_one(values: dict[str, Any], origin: Origin) -> list[Finding]:
    findings = []
    for key in sorted(SCALARS & values.keys()):
        found = numbers(values, key)
        if found and len(found) == 1:
            values[key] = found[0]
            findings.append(
                _read_as(
                    origin,
                    "list-of-one",
                    key,
                    found,
                    found[0],
                    evidence="BIDS wants a number here, and the list has one",
                    correction="read as that number",
                )
            )
    return findings


def _string_truths(values: dict[str, Any], origin: Origin) -> list[Finding]:
    key = "ImageDecayCorrected"
    found = values.get(key)
    read = {"true": True, "false": False}.get(found.strip().lower()) if isinstance(found, str) else None
    if read is None:
        return []
    values[key] = read
    return [
        origin.finding(
            "string-numbers",
            "note",
            key,
            value=shown(found),
            expected=shown(read),
            evidence="BIDS wants true or false here, and the text is one of them",
            correction="read as such",
        )
    ]


def _clock_times(values: dict[str, Any], origin: Origin) -> list[Finding]:
    """``hh:mm:ss`` where BIDS wants seconds after TimeZero."""
    zero, findings = clock_seconds(values.get("TimeZero")), []
    for key in (*SINCE_TIME_ZERO, "FrameTimesStart"):
        found = values.get(key)
        stated = found if isinstance(found, list) else [found]
        clocks = [clock for each in stated if (clock := clock_seconds(each)) is not None]
        if not clocks or len(clocks) < len(stated):
            continue
        seconds = None if zero is None else [clock_difference_s(each, zero) for each in clocks]
        if seconds is not None:
            values[key] = seconds if isinstance(found, list) else seconds[0]
        findings.append(
            origin.finding(
                "clock-times",
                "note" if seconds else "error",
                key,
                value=shown(found),
                expected=shown(values[key]) if seconds else "seconds after TimeZero",
                evidence=f"BIDS wants seconds after TimeZero ({shown(values.get('TimeZero'))})",
                correction="read as seconds after TimeZero" if seconds else "none: there is no TimeZero",
            )
        )
    return findings


def _one_for_all_frames(values: dict[str, Any], origin: Origin) -> list[Finding]:
    starts, findings = values.get("FrameTimesStart"), []
    if _is_number(starts):
        starts = values["FrameTimesStart"] = [starts]
        findings.append(_scalar(origin, "FrameTimesStart", starts[0], starts))
    if not isinstance(starts, list):
        return findings
    for key in PER_FRAME[1:]:
        if _is_number(found := values.get(key)):
            values[key] = [found] * len(starts)
            findings.append(_scalar(origin, key, found, values[key]))
    return findings


def _scalar(origin: Origin, key: str, found: Any, read: list[Any]) -> Finding:
    return _read_as(
        origin,
        "scalar-per-frame",
        key,
        found,
        read,
        evidence="BIDS wants a list with one number per frame",
        correction="taken for every frame",
    )


def _midnight(values: dict[str, Any], origin: Origin) -> list[Finding]:
    written, starts = values.get("FrameTimesStart"), numbers(values, "FrameTimesStart")
    read = None if starts is None else unwrapped(starts)
    if read is None or read == starts:
        return []
    values["FrameTimesStart"] = read
    return [
        origin.finding(
            "midnight-wrap",
            "error",
            "FrameTimesStart",
            value=shown(written),
            expected=shown(read),
            evidence=f"frame times fall by nearly {DAY_S:g} s from one frame to the next: a negative "
            "start was taken modulo one day",
            correction="unwrapped",
        )
    ]


def unwrapped(starts_s: list[float]) -> list[float]:
    """Frame starts [s] with whole days removed before every backward step of more than half a day."""
    read = list(starts_s)
    for frame in range(len(read) - 1, 0, -1):
        while read[frame - 1] - read[frame] > DAY_S / 2:
            read[frame - 1] -= DAY_S
    return read


def _unit_words(values: dict[str, Any], origin: Origin) -> list[Finding]:
    findings = []
    for key in sorted(key for key in values if key.endswith("Units")):
        found = values[key]
        if not isinstance(found, str) or found in _ALLOWED_AS_WRITTEN:
            continue
        usual = usual_unit(found)
        if usual != found:
            values[key] = usual
            findings.append(
                _read_as(
                    origin,
                    "unit-spelling",
                    key,
                    found,
                    usual,
                    evidence="not the spelling of the unit in SI, but no other unit is meant",
                    correction="read in its usual spelling",
                )
            )
    return findings


_REPAIRS: tuple[Callable[[dict[str, Any], Origin], list[Finding]], ...] = (
    _renamed,
    _string_numbers,
    _string_truths,
    _clock_times,
    _lists_of_one,
    _one_for_all_frames,
    _midnight,
    _unit_words,
)


def _read_as(
    origin: Origin, check: str, key: str, found: Any, read: Any, *, evidence: str, correction: str
) -> Finding:
    """A note that ``found`` was read as ``read``, its one meaning."""
    return origin.finding(
        check,
        "note",
        key,
        value=shown(found),
        expected=shown(read),
        evidence=evidence,
        correction=correction,
    )


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number_in(text: Any) -> float | list[float] | None:
    """What a string says as a JSON number or list of numbers; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        read = json.loads(text)
    except json.JSONDecodeError:
        return None
    if _is_number(read) or (isinstance(read, list) and read and all(map(_is_number, read))):
        return read
    return None
