"""Side-cars that were exchanged, put in place: the scans are read as if nobody had exchanged them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import petbids
import pytest

from quietpet.invivo.audit import inspect
from quietpet.invivo.decay import decay_references_s
from quietpet.invivo.exchange import with_notes_in_place
from quietpet.invivo.facts import scan_facts, scan_timing
from quietpet.invivo.injection import injection_of
from quietpet.invivo.scans import Dataset, Image, Participant

N = petbids.N_FRAMES
NOTED = (
    *("TimeZero", "ScanStart", "InjectionStart", "ImageDecayCorrectionTime", "ModeOfAdministration"),
    *("InjectedRadioactivity", "InjectedRadioactivityUnits"),
    *("FrameTimesStart", "FrameDuration", "DecayCorrectionFactor"),
)


def clock(number: int, seconds: float) -> str:
    """So long after the first run of participant ``number`` began."""
    whole = int(seconds) + (9 + number) * 3600 + 30 * 60 + number
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def run_of(number: int, run: int | None, **changes: Any) -> Image:
    """A run whose TimeZero is its own start; the injection and the time of correction are the scan's.

    Runs of participant 2 follow each other at once, those of the others after a pause; every
    participant was injected at a time of his own.
    """
    began_s = ((run or 1) - 1) * (N * petbids.FRAME_S + (number - 2) * 30)
    injected_s = -60.0 * number - began_s
    own = {
        "TimeZero": clock(number, began_s),
        "AcquisitionTime": clock(number, began_s),
        "InjectionStart": injected_s,
        "ImageDecayCorrectionTime": injected_s,
        "DecayCorrectionFactor": None,
        "ModeOfAdministration": "bolus" if number == 2 else "infusion",
    }
    values = {k: v for k, v in {**petbids.sidecar(number, **own), **changes}.items() if v is not None}
    label = f"sub-{number:02d}"
    stem = f"{label}/pet/{label}_pet" if run is None else f"{label}/pet/{label}_run-{run}_pet"
    files = (f"{stem}.json",)
    told = dict.fromkeys(values, files[0])
    return Image(participant=label, stem=stem, sidecar=values, sidecar_files=files, told=told)


def data_set(*scans: list[Image]) -> Dataset:
    participants = [Participant(label=runs[0].participant, pet=runs, t1=[]) for runs in scans]
    return Dataset(description={"BIDSVersion": "1.8.0"}, participants=participants)


def with_notes_of(image: Image, other: Image) -> Image:
    kept = {key: value for key, value in image.sidecar.items() if key not in NOTED}
    noted = {key: value for key, value in other.sidecar.items() if key in NOTED}
    return replace(image, sidecar={**kept, **noted})


def exchanged(one: list[Image], other: list[Image]) -> Dataset:
    pairs = list(zip(one, other, strict=True))
    return data_set([with_notes_of(*pair) for pair in pairs], [with_notes_of(b, a) for a, b in pairs])


def told_of(runs: list[Image]) -> dict[str, Any]:
    """Everything an import reads of a scan."""
    participant = Participant(label=runs[0].participant, pet=runs, t1=[])
    return {
        "starts_s": scan_timing(runs, runs).starts_s.tolist(),
        "injection": injection_of(runs),
        "corrected_to_s": decay_references_s(runs, half_life_s=petbids.HALF_LIFE_S),
        "facts": scan_facts(participant, runs, runs),
    }


@pytest.mark.parametrize("numbers", [(None,), (1,), (1, 2), (1, 2, 3)])
def test_exchanged_notes_are_read_for_the_scan_of_which_they_are(numbers) -> None:
    second, third = ([run_of(number, run) for run in numbers] for number in (2, 3))
    assert not [each for each in inspect(data_set(second, third)) if each.severity == "error"]
    dataset = exchanged(second, third)
    placed = with_notes_in_place(dataset)
    for participant, clean in zip(placed.participants, (second, third), strict=True):
        assert told_of(participant.pet) == told_of(clean)
        for image, other in zip(participant.pet, clean, strict=True):
            assert image.values == other.values
    assert {finding.check for finding in inspect(dataset)} - {"no-images"} == {"exchanged-sidecar"}


def test_who_exchanged_nothing_keeps_what_is_noted() -> None:
    dataset = data_set([run_of(2, 1)], [run_of(3, 1)])
    for participant, other in zip(
        with_notes_in_place(dataset).participants, dataset.participants, strict=True
    ):
        assert participant.pet == other.pet


def test_runs_of_other_names_pair_in_their_order() -> None:
    second, third = [run_of(2, None)], [run_of(3, 1)]
    placed = with_notes_in_place(exchanged(second, third))
    assert [each.pet[0].values for each in placed.participants] == [second[0].values, third[0].values]


def test_a_run_that_the_other_has_not_begins_when_its_scanner_says() -> None:
    """Its TimeZero and dose are another's, whoever that is; its AcquisitionTime is not."""
    second, third = [run_of(2, 1), run_of(2, 2)], [run_of(3, 1)]
    fourth = run_of(4, 2)
    dataset = data_set(
        [with_notes_of(second[0], third[0]), with_notes_of(second[1], fourth)],
        [with_notes_of(third[0], second[0])],
    )
    runs = with_notes_in_place(dataset).of("sub-02").pet
    np.testing.assert_allclose(scan_timing(runs, runs).starts_s, petbids.FRAME_S * np.arange(2 * N))
    assert runs[1].sidecar_dose_mbq is None
    assert injection_of(runs) == injection_of(second)


@pytest.mark.parametrize(("frames", "whose"), [(N, 3), (N - 1, 2)])
def test_a_list_of_frames_comes_along_where_it_has_as_many_as_the_image(frames: int, whose: int) -> None:
    starts = petbids.sidecar(2)["FrameTimesStart"]
    shorter = {"FrameTimesStart": starts[:-1], "FrameDuration": [16.0] * (N - 1)}
    second, third = [run_of(2, 1, **shorter)], [run_of(3, 1, dcmmeta_shape=[6, 5, 4, frames])]
    runs = with_notes_in_place(exchanged(second, third)).of("sub-03").pet
    timing = scan_timing(runs, runs)
    assert timing.starts_s.tolist() == (starts if whose == 3 else starts[:-1])
    assert timing.source.endswith("sub-02_run-1_pet.json" if whose == 3 else "its side-car")


@pytest.mark.parametrize("first_s", [0.0, 300.0, 1800.0])
def test_an_own_list_of_frames_begins_when_the_scanner_says(first_s: float) -> None:
    """Its list was counted from another's TimeZero: the spacing holds, the start does not."""
    starts = petbids.sidecar(2)["FrameTimesStart"]
    shorter = {
        "FrameTimesStart": [first_s + each for each in starts[:-1]],
        "FrameDuration": [16.0] * (N - 1),
    }
    second, third = run_of(2, 1), run_of(3, 1, dcmmeta_shape=[6, 5, 4, N - 1])
    mixed = with_notes_of(third, second)
    mixed = replace(mixed, sidecar={**mixed.sidecar, **shorter})
    dataset = data_set([with_notes_of(second, third)], [mixed])
    runs = with_notes_in_place(dataset).of("sub-03").pet
    np.testing.assert_allclose(scan_timing(runs, runs).starts_s, petbids.FRAME_S * np.arange(N - 1))
