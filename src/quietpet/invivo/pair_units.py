"""What the values of a pair's images mean: Bq/mL of one time, from whatever unit they are written in.

A standardised uptake value is the activity concentration over the injected activity per body weight,

    SUV = C(t) W / A(t),   A(t) = A_0 2^(-t/T),

with the concentration C and the injected activity A at one time t after the injection, the half-life T
and the weight W, one gram of tissue being one millilitre (J. A. Thie, J Nucl Med 45:1431, 2004; DICOM
PS3.3, C.8.9.1, Units GML). The SUV does not depend on t; the activity concentration does. So it is
C(t) = SUV A(t) / W at the time t to which the image counts as corrected: the scan's start, as DICOM's
DecayCorrection START and the SUVs of scanners have it, or the injection (ADMIN).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quietpet.errors import InputError
from quietpet.invivo.facts import BQ_PER_ML, TO_BQ_PER_ML
from quietpet.invivo.findings import Finding
from quietpet.invivo.frame_times import GAP_S
from quietpet.invivo.pair_columns import NOT_KNOWN
from quietpet.invivo.pairs import PairImage
from quietpet.invivo.scans import BQ_PER_MBQ
from quietpet.invivo.sidecar import usual_unit
from quietpet.invivo.timing import HALF_LIVES
from quietpet.invivo.windows import RADIONUCLIDES, known_half_life_s, same_half_life
from quietpet.units import SECONDS_PER_MINUTE

SUV = "SUV"
G_PER_KG = 1000.0

_SUV_WORDS = ("suv", "suvbw", "suv_bw", "suv-bw", "g/ml", "gml")
"""By body weight, the last as DICOM has it."""

UNITS = (*TO_BQ_PER_ML, SUV, "SUVbw")
"""Units that are read, in the spelling of messages."""


def unit_of(image: PairImage) -> str | None:
    """Bq/mL, kBq/mL or SUV, however it is spelled; None for another unit."""
    if image.unit.lower() in _SUV_WORDS:
        return SUV
    unit = usual_unit(image.unit)
    return unit if unit in TO_BQ_PER_ML else None


def half_life_s(image: PairImage) -> float | None:
    """Of its radionuclide; None where that is not given, or not known here."""
    return known_half_life_s(image.radionuclide)


def remaining(image: PairImage, seconds: float) -> float:
    """Part of an activity that is left after a time [s], which may be before the activity's own.

    Raises:
        InputError: the half-life is not known, unless no time passes.
    """
    if seconds == 0:
        return 1.0
    found = half_life_s(image)
    if found is None:
        raise InputError(f"radionuclide of {image.participant}, {image.dose} is {NOT_KNOWN}.")
    return float(2.0 ** (-seconds / found))


def to_bq_per_ml(image: PairImage, *, at_s: float | None) -> float:
    """What multiplies the image's values: Bq/mL at ``at_s`` after the injection [s].

    ``at_s`` None is the image's own time of correction, as it is where that is not known.

    Raises:
        InputError: the row lacks what that needs; :func:`conversion_findings` says it better.
    """
    unit, own_s = unit_of(image), image.reference_s
    if unit == SUV:
        if None in (image.injected_mbq, image.weight_kg, own_s):
            raise InputError(
                f"{image.participant}, {image.dose}: its unit is SUV, and it lacks a number."
            )
        left = remaining(image, own_s or 0.0)
        factor = (image.injected_mbq or 0.0) * BQ_PER_MBQ * left / ((image.weight_kg or 1.0) * G_PER_KG)
    else:
        factor = TO_BQ_PER_ML[unit or image.unit]
    moved_s = 0.0 if at_s is None or own_s is None else at_s - own_s
    return factor * remaining(image, moved_s)


def conversion_findings(image: PairImage, rows: Sequence[PairImage]) -> Iterator[Finding]:
    """What keeps the values of ``image`` from becoming Bq/mL at the time of the standard dose.

    ``rows`` are those of its participant, the standard dose first.
    """
    if unit_of(image) is None:
        yield _wrong(
            image,
            "unit",
            repr(image.unit),
            f"{', '.join(UNITS[:-1])} or {UNITS[-1]}",
            f"what becomes {BQ_PER_ML} is activity concentration, or SUV by body weight",
        )
        return
    yield from _lacking(image, rows)
    yield from _nuclide(image, rows[0])
    yield from _times(image)


def _wrong(image: PairImage, column: str, value: str, expected: str, evidence: str) -> Finding:
    check = "units" if column == "unit" else "pair-conversion"
    return image.origin.finding(
        check, "error", f"{column} ({image.dose})", value=value, expected=expected, evidence=evidence
    )


def _lacking(image: PairImage, rows: Sequence[PairImage]) -> Iterator[Finding]:
    """Numbers of the row without which its unit, or its time, cannot be changed."""
    is_suv = unit_of(image) == SUV
    of_suv = "its unit is SUV, and Bq/mL are SUV times injected activity over body weight"
    if is_suv and image.weight_kg is None:
        yield _wrong(image, "weight_kg", NOT_KNOWN, "the body weight [kg]", of_suv)
    if is_suv and image.injected_mbq is None:
        yield _wrong(image, "injected_mbq", NOT_KNOWN, "the injected activity [MBq]", of_suv)
    if image.reference_s is not None:
        return
    if is_suv:
        evidence = "its unit is SUV, of the activity that is left when the scan starts"
        yield _wrong(image, "delay_minutes", NOT_KNOWN, "minutes from injection to scan", evidence)
    elif known := [row for row in rows if row.reference_s is not None]:
        evidence = f"the row of {known[0].dose} tells its time, and all are brought to one"
        yield _wrong(image, "delay_minutes", NOT_KNOWN, "minutes from injection to scan", evidence)


def _decays(image: PairImage, standard: PairImage) -> bool:
    """Whether anything decays between the times that the image is brought from and to."""
    times = {image.reference_s, standard.reference_s, *([0.0] if unit_of(image) == SUV else [])}
    several_frames = image.timing is not None and image.timing.n_frames > 1
    return several_frames or len(times - {None}) > 1


def _nuclide(image: PairImage, standard: PairImage) -> Iterator[Finding]:
    known = half_life_s(image)
    if known is None and (image.radionuclide or _decays(image, standard)):
        yield _wrong(
            image,
            "radionuclide",
            NOT_KNOWN if image.radionuclide is None else repr(image.radionuclide),
            f"one of {', '.join(RADIONUCLIDES)}",
            "its half-life tells what is left of the activity at another time",
        )
    other = half_life_s(standard)
    if known and other and not same_half_life(known, other):
        evidence = f"{standard.radionuclide} in the row of {standard.dose}"
        yield _wrong(
            image, "radionuclide", repr(image.radionuclide), "one radionuclide of a pair", evidence
        )


def _times(image: PairImage) -> Iterator[Finding]:
    """A start of the scan that its frames, or its nuclide, contradict."""
    known, start_s = half_life_s(image), image.start_s
    if image.delay_minutes is not None and image.timing is not None:
        first_s = float(image.timing.starts_s[0])
        if abs(first_s - image.delay_minutes * SECONDS_PER_MINUTE) > GAP_S:
            yield _wrong(
                image,
                "delay_minutes",
                f"{image.delay_minutes:g} min",
                f"{first_s / SECONDS_PER_MINUTE:g} min, as the first of frame_starts_s",
                "both count from the injection to the start of the scan",
            )
    if known and start_s is not None and start_s > HALF_LIVES * known:
        yield _wrong(
            image,
            "delay_minutes",
            f"{start_s / SECONDS_PER_MINUTE:g} min",
            f"at most {HALF_LIVES} half-lives, {HALF_LIVES * known / SECONDS_PER_MINUTE:.0f} min",
            f"nothing is left of {image.radionuclide} then; is it another unit?",
        )
