"""What the runs of one scan must agree on, for their frames to be averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quietpet.invivo.findings import shown
from quietpet.invivo.scans import Image, administration
from quietpet.invivo.sidecar import number
from quietpet.invivo.timing import SAME_START_S, time_zero_after_s
from quietpet.invivo.windows import known_half_life_s, same_half_life

SAME_DOSE_MBQ, SAME_DOSE_FRACTION = 1.0, 0.01
"""Two notes of one dose differ by rounding: by less than these."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """``key`` of ``image`` is ``value``, but that of ``other``, a run of the same scan, ``expected``.

    ``settled_by`` says which of the two an import reads, where it can read either.
    """

    key: str
    image: Image
    value: str
    other: Image
    expected: str
    settled_by: str | None = None


def disagreements(runs: Sequence[Image]) -> list[Disagreement]:
    """Each key on which runs of one scan differ: the first run that tells it, and the first unlike."""
    found = []
    for key, (tell, same) in _MUST_AGREE.items():
        told = [(image, value) for image in runs if (value := tell(image)) is not None]
        for image, value in told[1:]:
            if not same(value, told[0][1]):
                other, expected = told[0]
                found.append(
                    Disagreement(
                        key=key,
                        image=image,
                        value=_words(key, image, value),
                        other=other,
                        expected=_words(key, other, expected),
                    )
                )
                break
    return found + _injections(runs)


def same_dose(one_mbq: float, other_mbq: float) -> bool:
    """Whether two notes of a dose [MBq] are of one."""
    return abs(one_mbq - other_mbq) <= max(SAME_DOSE_MBQ, SAME_DOSE_FRACTION * other_mbq)


def _injections(runs: Sequence[Image]) -> list[Disagreement]:
    """InjectionStart of runs as one time: each is after its own TimeZero, and there was one injection.

    Converters write 0 for every run, whose TimeZero is its own start.
    """
    told = []
    for run, image in enumerate(runs):
        stated, zero_s = number(image.values, "InjectionStart"), time_zero_after_s(runs, run)
        if stated is not None and zero_s is not None:
            told.append((image, zero_s + stated))
    for image, seconds in told[1:]:
        if abs(seconds - told[0][1]) > SAME_START_S:
            return [
                Disagreement(
                    key="InjectionStart",
                    image=image,
                    value=_after_zero(seconds),
                    other=told[0][0],
                    expected=_after_zero(told[0][1]),
                    settled_by="that of the first run is read",
                )
            ]
    return []


def _after_zero(seconds: float) -> str:
    return f"{seconds:g} s after the TimeZero of the first run"


def _words(key: str, image: Image, value: Any) -> str:
    """A value as it is written, a dose in its usual unit."""
    return f"{value:g} MBq" if key in _DOSES else shown(image.values.get(key))


def _text(key: str) -> Callable[[Image], str | None]:
    """A text without its case, a list of one as its element."""

    def tell(image: Image) -> str | None:
        found = image.values.get(key)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        return None if found is None or found == [] else shown(found).strip('" ').lower()

    return tell


def _nuclide(image: Image) -> str | None:
    found = image.values.get("TracerRadionuclide")
    known = known_half_life_s(found)
    return _text("TracerRadionuclide")(image) if known is None else f"half-life {known:g} s"


def _mode(image: Image) -> str | None:
    found = image.values.get("ModeOfAdministration")
    return administration(found) or _text("ModeOfAdministration")(image)


def _equal(one: Any, other: Any) -> bool:
    return one == other


_DOSES = ("RadionuclideTotalDose", "InjectedRadioactivity")
_MUST_AGREE: Mapping[str, tuple[Callable[[Image], Any], Callable[[Any, Any], bool]]] = {
    "TracerName": (_text("TracerName"), _equal),
    "TracerRadionuclide": (_nuclide, _equal),
    "RadionuclideHalfLife": (
        lambda image: number(image.values, "RadionuclideHalfLife") or None,
        same_half_life,
    ),
    "RadionuclideTotalDose": (lambda image: image.header_dose_mbq, same_dose),
    "InjectedRadioactivity": (lambda image: image.sidecar_dose_mbq, same_dose),
    "ModeOfAdministration": (_mode, _equal),
    **{
        key: (_text(key), _equal)
        for key in (
            *("ReconMethodName", "ReconMethodParameterValues", "ReconFilterType", "ReconFilterSize"),
            "AttenuationCorrection",
        )
    },
}
