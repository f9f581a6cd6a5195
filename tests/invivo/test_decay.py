"""Half-lives and decay factors against the nuclide and the clocks; each factor as DICOM defines it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import petbids
import pytest
from petbids import findings_of, pet_image

from quietpet.errors import InputError
from quietpet.invivo.decay import decay_references_s
from quietpet.invivo.facts import require_usable, run_facts, scan_facts
from quietpet.invivo.scans import Participant

STARTS_S = np.array(petbids.sidecar(1)["FrameTimesStart"])
F18_S, C11_S, O15_S = petbids.HALF_LIFE_S, 1221.8, 122.24
CLOCK = petbids.sidecar(1)["TimeZero"]


def factors(
    half_life_s: float = F18_S,
    *,
    to_s: float = 0.0,
    starts_s: np.ndarray = STARTS_S,
    seconds: float = 16.0,
) -> list[float]:
    """Decay factors as a scanner writes them, with five decimals."""
    rate = math.log(2) / half_life_s
    mean = rate * seconds / (1 - math.exp(-rate * seconds))
    return [round(float(each), 5) for each in np.exp(rate * (starts_s - to_s)) * mean]


LISTS = ("DecayFactor", "DecayCorrectionFactor", "dcmstack")


def listing(key: str, values: list[float]) -> dict[str, Any]:
    if key == "dcmstack":
        return {"DecayCorrectionFactor": None, "time": {"samples": {"DecayFactor": values}}}
    return {"DecayCorrectionFactor": None, key: values}


@pytest.mark.parametrize("key", LISTS)
def test_factors_that_follow_the_decay_are_no_finding(key: str) -> None:
    assert findings_of(pet_image(**listing(key, factors()))) == []


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize(
    "values",
    [[1.07238] * 12, factors(C11_S), [1.0 + 0.1 * (n % 2) for n in range(12)], factors()[::-1]],
)
def test_factors_that_follow_no_decay_are_not_read(key: str, values: list[float]) -> None:
    (found,) = [
        each for each in findings_of(pet_image(**listing(key, values))) if each.check != "list-length"
    ]
    assert (found.check, found.severity) == ("decay-factors", "warning")
    assert found.correction.startswith("not read")
    assert decay_references_s([pet_image(**listing(key, values))], half_life_s=F18_S) == [0]


def test_the_half_life_that_factors_follow_is_said() -> None:
    (found,) = findings_of(pet_image(**listing("DecayFactor", factors(C11_S))))
    said = float(found.evidence.split("half-life of ")[2].removesuffix(" s"))
    assert said == pytest.approx(C11_S, rel=0.01)


@pytest.mark.parametrize("key", LISTS)
def test_factors_to_another_time_than_is_stated(key: str) -> None:
    to_start_s = -2999.0  # as in a reconstruction of the last part of a scan
    scan = pet_image(**listing(key, factors(to_s=to_start_s)), SeriesTime="09:40:02")
    (found,) = (each for each in findings_of(scan) if each.check != "scan-start")
    assert (found.check, found.key) == ("decay-factors", "ImageDecayCorrectionTime")
    assert found.expected == "-2999 s after the time zero, which is SeriesTime"
    (read,) = decay_references_s([scan], half_life_s=F18_S)
    assert read == pytest.approx(to_start_s, abs=0.2)


def test_a_published_side_car_of_a_late_reconstruction() -> None:
    """FDG, 50 to 70 min: from 16:20:16, DecayFactor 1.45951, TimeZero set to the AcquisitionTime."""
    scan = pet_image(
        SeriesTime="16:20:16.000000", AcquisitionTime="17:10:15.000000", TimeZero="17:10:15",
        DecayCorrection="START", DecayFactor=[1.45951], DecayCorrectionFactor=None,
        FrameTimesStart=[0], FrameDuration=[1200],
    )  # fmt: skip
    found = findings_of(scan)
    assert [each.check for each in found] == ["scan-start", "decay-factors"]
    assert all("SeriesTime" in each.expected for each in found)
    (read,) = decay_references_s([scan], half_life_s=F18_S)
    assert read == pytest.approx(-2999, abs=1)


@pytest.mark.parametrize(
    ("word", "changes", "to_s", "fits"),
    [
        ("START", {}, 0.0, True),  # AcquisitionTime, the first frame
        ("START", {"SeriesTime": "10:00:01"}, -1800.0, True),
        ("START", {}, -1800.0, False),
        ("ADMIN", {"InjectionStart": -2700}, -2700.0, True),
        ("ADMIN", {"InjectionStart": -2700}, -5400.0, False),
    ],
)
def test_without_a_stated_time_the_word_must_fit(word, changes, to_s: float, fits: bool) -> None:
    scan = pet_image(
        DecayCorrection=word, ImageDecayCorrectionTime=None, DecayCorrectionFactor=None,
        DecayFactor=factors(to_s=to_s), **changes,
    )  # fmt: skip
    found = [each for each in findings_of(scan) if each.check == "decay-factors"]
    assert bool(found) != fits
    assert decay_references_s([scan], half_life_s=F18_S) == [pytest.approx(to_s, abs=0.2)]


@pytest.mark.parametrize(("series", "expected"), [("09:30:01", -3600.0), (None, 0.0), ("17:30:01", 0.0)])
def test_the_word_start_alone_is_the_time_of_the_series(series: str | None, expected: float) -> None:
    """A time after the first frame is that of a later processing."""
    told = {"DecayCorrection": "START", "ImageDecayCorrectionTime": None, "DecayCorrectionFactor": None}
    scan = pet_image(**told, SeriesTime=series)
    assert decay_references_s([scan], half_life_s=F18_S) == [expected]


@pytest.mark.parametrize(
    "key", ["DecayFactor", "DecayCorrectionFactor", "ScatterFraction", "PromptRate"]
)
@pytest.mark.parametrize("length", [1, 11, 13])
def test_lists_have_one_value_per_frame(key: str, length: int) -> None:
    values = [1.0 + 0.01 * n for n in range(length)]
    found = [each for each in findings_of(pet_image(**{key: values})) if each.check == "list-length"]
    assert [each.key for each in found] == [key]
    assert (found[0].value, found[0].expected[:2]) == (f"{length} values", "12")


@pytest.mark.parametrize(
    ("told", "severity"),
    [
        ({"ImageDecayCorrected": True, "DecayCorrection": "NONE"}, "error"),
        ({"ImageDecayCorrected": False, "DecayCorrection": "START"}, "error"),
        ({"ImageDecayCorrected": False, "DecayCorrection": "admin"}, "error"),
        ({"ImageDecayCorrected": False, "global": {"const": {"DecayCorrection": "START"}}}, "error"),
        ({"ImageDecayCorrected": False, "DecayFactor": factors()}, "error"),
        ({"ImageDecayCorrected": True, "DecayCorrection": "START"}, None),
        ({"ImageDecayCorrected": False, "DecayCorrection": "NONE"}, None),
    ],
)
def test_contradicting_words_stop_the_import(told: dict[str, Any], severity: str | None) -> None:
    scan = pet_image(**told)
    found = [each for each in findings_of(scan) if each.check == "decay-correction"]
    assert [each.severity for each in found] == ([severity] if severity else [])
    if severity:
        with pytest.raises(InputError, match=r"ImageDecayCorrected is (true|false), but should be"):
            require_usable(found, [scan])


@pytest.mark.parametrize("word", ["START", "ADMIN", "NONE"])
def test_dicom_s_word_stands_in(word: str) -> None:
    scan = pet_image(ImageDecayCorrected=None, DecayCorrection=word, DecayCorrectionFactor=None)
    (found,) = run_facts([scan], [scan], half_life_s=F18_S)
    assert found.decay_corrected == (word != "NONE")
    (missing,) = findings_of(scan)
    assert "decay correction from DICOM's word" in missing.correction


@pytest.mark.parametrize(
    ("nuclide", "stated_s", "read_s", "doubted"),
    [
        ("F18", 6586.2, 6586.2, False),
        ("F18", 6588.0, 6588.0, False),
        ("F18", 109.77, 6586.2, True),  # minutes
        ("F18", 6586200.0, 6586.2, True),  # milliseconds
        ("C11", 20.364, 1221.8, True),
        ("Cu64", 12.7, 45721.0, True),  # hours
        ("F18", 5000.0, 6586.2, True),
        ("F18", 0, 6586.2, True),
        ("F18", 1221.8, 1221.8, True),  # another nuclide's: the scanner is believed, and it is said
        ("Mn52", 483000.0, 483000.0, False),  # not in our table
        (None, 6586.2, 6586.2, False),
    ],
)
def test_half_lives_are_those_of_the_nuclide(nuclide, stated_s, read_s: float, doubted: bool) -> None:
    scan = pet_image(
        TracerRadionuclide=nuclide, RadionuclideHalfLife=stated_s,
        DecayCorrectionFactor=factors(read_s) if doubted else None,
    )  # fmt: skip
    participant = Participant(label="sub-01", pet=[scan], t1=[])
    facts = scan_facts(participant, [scan], [scan])
    assert facts.half_life_s == read_s
    found = [each for each in findings_of(scan) if each.check == "half-life"]
    assert bool(found) == doubted
    assert "decay-factors" not in {each.check for each in findings_of(scan)}


@pytest.mark.parametrize("stated_s", [109.77, 20.364])
def test_minutes_without_a_nuclide_are_not_guessed(stated_s: float) -> None:
    scan = pet_image(TracerRadionuclide=None, RadionuclideHalfLife=stated_s)
    participant = Participant(label="sub-01", pet=[scan], t1=[])
    with pytest.raises(InputError, match=r"in minutes\?\); add RadionuclideHalfLife \[s\]"):
        scan_facts(participant, [scan], [scan])
    assert "error" in {each.severity for each in findings_of(scan) if each.check == "half-life"}


def test_runs_corrected_to_injection_and_series() -> None:
    """ADMIN and START, without factors or times: 30 min before the first frame, and that of each run."""
    told = {"ImageDecayCorrectionTime": None, "DecayCorrectionFactor": None, "InjectionStart": -1800}
    later = [192 + start for start in STARTS_S.tolist()]
    both = [
        pet_image(1, **told, DecayCorrection="ADMIN"),
        pet_image(2, **told, DecayCorrection="START", FrameTimesStart=later, AcquisitionTime=None),
    ]
    assert decay_references_s(both, half_life_s=F18_S) == [-1800, 192]


@pytest.mark.parametrize(("seconds", "doubted"), [(65000, False), (66000, True), (-3.6e6, True)])
def test_times_of_correction_far_from_the_scan(seconds: float, doubted: bool) -> None:
    scan = pet_image(ImageDecayCorrectionTime=seconds, DecayCorrectionFactor=None)
    assert [each.key for each in findings_of(scan)] == ["ImageDecayCorrectionTime"] * doubted


def test_factors_of_images_that_are_not_corrected_are_no_matter() -> None:
    for key in ("DecayFactor", "DecayCorrectionFactor"):
        scan = pet_image(ImageDecayCorrected=False, **listing(key, [1.0] * 12))
        assert findings_of(scan) == []


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"DecayCorrection": "START", "ImageDecayCorrectionTime": 0}, False),
        ({"DecayCorrection": "START", "ImageDecayCorrectionTime": -1800}, True),
        (
            {
                "DecayCorrection": "START",
                "ImageDecayCorrectionTime": -1800,
                "SeriesTime": "10:00:01",
                "ScanStart": None,
            },
            False,
        ),
        ({"DecayCorrection": "ADMIN", "ImageDecayCorrectionTime": 0, "InjectionStart": -1800}, True),
        (
            {"DecayCorrection": "ADMIN", "ImageDecayCorrectionTime": -1800, "InjectionStart": -1800},
            False,
        ),
        ({"ImageDecayCorrectionTime": -1800}, False),
    ],
)
def test_a_stated_time_against_the_word(told: dict[str, Any], found: bool) -> None:
    scan = pet_image(DecayCorrectionFactor=None, **told)
    assert ("decay-time" in {each.check for each in findings_of(scan)}) == found
