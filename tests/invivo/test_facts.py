"""Facts of a scan and of each run: what must agree, what is converted, what is doubted."""

from __future__ import annotations

from typing import Any

import petbids
import pytest
from petbids import findings_of, pet_image

from quietpet.errors import InputError
from quietpet.invivo.facts import ScanFacts, run_facts, scan_facts
from quietpet.invivo.scans import Image, Participant

N = petbids.N_FRAMES * petbids.FRAME_S


def runs(*changes: dict[str, Any]) -> list[Image]:
    """Runs of participant 1, one after the other, as their side-cars alone; None takes a key away."""
    found = []
    for run, change in enumerate(changes):
        own = {
            "FrameTimesStart": [run * N + start for start in petbids.sidecar(1)["FrameTimesStart"]],
            "AcquisitionTime": None,
            "DecayCorrectionFactor": None,
        }
        found.append(pet_image(run + 1, **{**own, **change}))
    return found


def facts(images: list[Image], present: list[Image] | None = None) -> ScanFacts:
    participant = Participant(label="sub-01", pet=images, t1=[])
    return scan_facts(participant, images, present or images)


def test_runs_that_agree_have_no_findings() -> None:
    both = runs({}, {})
    assert findings_of(*both) == []
    assert facts(both).header_dose_mbq == 231


@pytest.mark.parametrize(
    ("units", "factors"),
    [
        (("kBq/mL", "Bq/mL"), [1000, 1]),
        (("Bq/mL", "kBq/ml"), [1, 1000]),
        (("kBq/mL", None), [1000, 1000]),
        ((None, "kBq/mL"), [1000, 1000]),
        (("BQML", "kBq/mL"), [1, 1000]),
    ],
)
def test_every_run_has_its_own_unit(units: tuple[str | None, ...], factors: list[float]) -> None:
    both = runs(*({"Units": unit} for unit in units))
    found = run_facts(both, both, half_life_s=petbids.HALF_LIFE_S)
    assert [run.to_bq_per_ml for run in found] == factors
    unlike = [each for each in findings_of(*both) if each.check == "runs-unlike"]
    assert [each.key for each in unlike] == (["Units"] if len(set(factors)) > 1 else [])


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"Units": "SUV"}, ["SUV"]),
        ({"Units": "kBq/ml"}, []),
        ({"Units": None, "global": {"const": {"Units": "BQML"}}}, []),
        ({"Units": None, "global": {"const": {"Units": "CNTS"}}}, ["CNTS"]),
    ],
)
def test_a_unit_of_no_concentration_is_found_wherever_it_stands(told, found: list[str]) -> None:
    (scan,) = runs(told)
    assert [each.value for each in findings_of(scan) if each.check == "units"] == [
        f'"{unit}"' for unit in found
    ]


def test_a_unit_that_other_runs_contradict_is_asked_for() -> None:
    three = runs({"Units": "kBq/mL"}, {"Units": None}, {"Units": "Bq/mL"})
    with pytest.raises(InputError, match=r"run-2_pet\.json: lacks Units, .* have Bq/mL and kBq/mL"):
        run_facts(three, three, half_life_s=petbids.HALF_LIFE_S)
    first = run_facts(three, three[:1], half_life_s=petbids.HALF_LIFE_S)
    assert [run.to_bq_per_ml for run in first] == [1000]


def test_units_of_dicom_are_per_run_too() -> None:
    stored = {"Units": None, "global": {"const": {"Units": "BQML"}}}
    both = runs({"Units": "kBq/mL"}, stored)
    found = run_facts(both, both, half_life_s=petbids.HALF_LIFE_S)
    assert [run.to_bq_per_ml for run in found] == [1000, 1]
    assert [each.key for each in findings_of(*both) if each.check == "runs-unlike"] == ["Units"]
    same = runs({"Units": "Bq/mL"}, stored)
    assert not [each for each in findings_of(*same) if each.check == "runs-unlike"]


@pytest.mark.parametrize(
    ("first", "second", "corrected", "to_s"),
    [
        (True, False, [True, False], [0, None]),
        (False, True, [False, True], [None, 0]),
        (True, None, [True, True], [0, 0]),
        (False, False, [False, False], [None, None]),
    ],
)
def test_every_run_has_its_own_decay_correction(first, second, corrected, to_s) -> None:
    both = runs({"ImageDecayCorrected": first}, {"ImageDecayCorrected": second})
    found = run_facts(both, both, half_life_s=petbids.HALF_LIFE_S)
    assert [run.decay_corrected for run in found] == corrected
    assert [run.corrected_to_s for run in found] == to_s
    unlike = [each.key for each in findings_of(*both) if each.check == "runs-unlike"]
    assert unlike == (["ImageDecayCorrected"] if len(set(corrected)) > 1 else [])


def test_corrected_to_an_unknown_time_and_not_corrected_cannot_be_averaged() -> None:
    untold = {"ImageDecayCorrectionTime": None}
    both = runs({**untold, "ImageDecayCorrected": True}, {**untold, "ImageDecayCorrected": False})
    with pytest.raises(InputError, match=r"run-1_pet\.json: .* Add ImageDecayCorrectionTime"):
        run_facts(both, both, half_life_s=petbids.HALF_LIFE_S)


DIFFERING = {
    "TracerName": "raclopride",
    "TracerRadionuclide": "C11",
    "RadionuclideHalfLife": 1221.8,
    "RadionuclideTotalDose": 115.5e6,
    "InjectedRadioactivity": 115.5,
    "ModeOfAdministration": "bolus",
    "ReconMethodName": "FBP",
    "ReconFilterType": "none",
    "ReconFilterSize": 5,
    "AttenuationCorrection": "none",
}


@pytest.mark.parametrize("key", DIFFERING)
@pytest.mark.parametrize("differs", [0, 1, 2])
def test_what_must_agree_is_checked(key: str, differs: int) -> None:
    changes: list[dict[str, Any]] = [{"ReconFilterSize": 4} for _ in range(3)]
    changes[differs][key] = DIFFERING[key]
    three = runs(*changes)
    found = [each for each in findings_of(*three) if each.check == "runs-differ"]
    assert [(each.key, each.severity) for each in found] == [(key, "error")]
    with pytest.raises(InputError, match=rf"_run-\d_pet\.json: {key} is .*no runs of one scan"):
        facts(three)
    alike = [image for number, image in enumerate(three) if number != differs]
    facts(three, alike)


@pytest.mark.parametrize(
    "second",
    [
        {"TracerName": "fdg"},
        {"TracerRadionuclide": "[18F]"},
        {"RadionuclideHalfLife": 6588.0},
        {"InjectedRadioactivity": 0.2311, "InjectedRadioactivityUnits": "GBq"},
        {"ModeOfAdministration": "constant infusion"},
        {"ReconFilterType": ["Gaussian"]},
        {"TracerName": None, "InjectedRadioactivity": None, "RadionuclideTotalDose": None},
    ],
)
def test_one_meaning_in_other_words_is_no_difference(second: dict[str, Any]) -> None:
    both = runs({}, second)
    assert not {each.check for each in findings_of(*both)} & {"runs-differ", "runs-unlike"}
    assert (facts(both).tracer, facts(both).administration) == ("FDG", "infusion")


def test_one_injection_per_scan() -> None:
    """Converters give every run its own TimeZero, and 0 for the injection: the first is read."""
    later = {"TimeZero": "10:33:13", "FrameTimesStart": petbids.sidecar(1)["FrameTimesStart"]}
    both = runs({}, {**later, "ImageDecayCorrectionTime": -192})
    (found,) = findings_of(*both)
    assert (found.check, found.severity, found.key) == ("runs-differ", "warning", "InjectionStart")
    assert found.correction == "that of the first run is read"
    assert (
        findings_of(*runs({}, {**later, "ImageDecayCorrectionTime": -192, "InjectionStart": -192})) == []
    )
    facts(both)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"RadionuclideTotalDose": 203}, "RadionuclideTotalDose", "a dose in MBq"),
        ({"RadionuclideTotalDose": 203e3}, "RadionuclideTotalDose", "a dose in kBq"),
        ({"RadionuclideTotalDose": 2.03e14}, "RadionuclideTotalDose", "so much, or so little"),
        ({"RadionuclideTotalDose": 0.203}, "RadionuclideTotalDose", "a dose in GBq"),
        ({"InjectedRadioactivity": 231e6}, "InjectedRadioactivity", "a dose in Bq"),
        (
            {"InjectedRadioactivity": 231, "InjectedRadioactivityUnits": "Bq"},
            "InjectedRadioactivity",
            "a dose in MBq",
        ),
        (
            {"InjectedRadioactivity": 231, "InjectedRadioactivityUnits": "GBq"},
            "InjectedRadioactivity",
            "a dose in MBq",
        ),
        ({"InjectedRadioactivity": -231}, "InjectedRadioactivity", "there is activity in the image"),
    ],
)
def test_doses_that_nobody_gets_are_not_read(changes: dict[str, Any], key: str, words: str) -> None:
    (scan,) = runs(changes)
    (found,) = findings_of(scan)
    assert (found.check, found.key, found.correction) == ("dose", key, "not read")
    assert words in found.evidence
    read = facts([scan])
    doubted, other = read.header_dose_mbq, read.noted_dose_mbq
    if key == "InjectedRadioactivity":
        doubted, other = other, doubted
    assert (doubted, other) == (None, 231)


@pytest.mark.parametrize("dose_mbq", [5, 39, 105, 740, 2200])
def test_doses_of_real_examinations_are_read(dose_mbq: float) -> None:
    (scan,) = runs({"RadionuclideTotalDose": dose_mbq * 1e6, "InjectedRadioactivity": dose_mbq})
    assert findings_of(scan) == []
    assert facts([scan]).header_dose_mbq == facts([scan]).noted_dose_mbq == dose_mbq


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RadionuclidePositronFraction", 96.7),
        ("BodyWeight", 70000),
        ("BodyWeight", 0),
        ("ScatterFraction", [35.0] * 11 + [350.0]),
        ("SliceThickness", 2031.25),
        ("ReconFilterSize", -4),
        ("TracerMolecularWeight", 0),
        ("InjectedMass", -1),
        ("DoseCalibrationFactor", 0),
    ],
)
def test_other_values_out_of_any_range(key: str, value: Any) -> None:
    (found,) = findings_of(*runs({key: value}))
    assert (found.check, found.key, found.participant) == ("implausible", key, "sub-01")


@pytest.mark.parametrize(
    ("values", "worst", "expected"),
    [
        ({"ScatterFraction": [101.0, 350.0, -40.0]}, "350", "0 to 100 %"),
        ({"ScatterFraction": [101.0, 0.0, -40.0]}, "-40", "0 to 100 %"),
        ({"DoseCalibrationFactor": -1e-15}, "-1e-15", "above 0"),
        ({"InjectedMass": -1}, "-1", "at least 0"),
    ],
)
def test_of_a_list_the_farthest_value_is_named(values, worst: str, expected: str) -> None:
    (found,) = [each for each in findings_of(*runs(values)) if each.check == "implausible"]
    assert (found.value, found.expected) == (worst, expected)


def test_ends_of_a_range_are_in_it() -> None:
    inside = {"ScatterFraction": [0.0] * 11 + [100.0], "InjectedMass": 0, "DoseCalibrationFactor": 1e-15}
    assert findings_of(*runs(inside)) == []


def test_no_more_is_infused_than_injected() -> None:
    assert findings_of(*runs({"InfusionRadioactivity": 231})) == []
    (found,) = findings_of(*runs({"InfusionRadioactivity": 500}))
    assert (found.check, found.key) == ("dose", "InfusionRadioactivity")
