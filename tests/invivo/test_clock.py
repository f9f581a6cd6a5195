"""One clock: windows count from the injection, whichever event TimeZero is; what differs is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import petbids
import pytest
from petbids import findings_of, pet_image

from quietpet.errors import InputError
from quietpet.invivo.facts import require_usable, scan_timing
from quietpet.invivo.findings import Finding
from quietpet.invivo.injection import injection_of
from quietpet.invivo.scans import Image
from quietpet.invivo.timing import timeline

STARTS = petbids.sidecar(1)["FrameTimesStart"]


def checks(*images: Image) -> set[str]:
    return {finding.check for finding in findings_of(*images)}


def since_injection(*images: Image) -> np.ndarray:
    return scan_timing(images, images).starts_s - injection_of(images).seconds


CLOCK_S = 10 * 3600 + 30 * 60 + 1  # TimeZero of participant 1, which is when its first frame begins


def clock(seconds: float) -> str:
    """The time of day so long after the first frame."""
    whole = int(CLOCK_S + seconds) % 86400
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def from_injection_on(after_s: float) -> dict[str, Any]:
    """A side-car whose TimeZero is the injection, so long before the first frame."""
    starts = [after_s + start for start in STARTS]
    factors = [2 ** (after_s / petbids.HALF_LIFE_S) * each for each in petbids.decay_factors()]
    return {
        "TimeZero": clock(-after_s),
        "ScanStart": after_s,
        "FrameTimesStart": starts,
        "InjectionStart": 0,
        "DecayCorrectionFactor": factors,
    }


@pytest.mark.parametrize("after_s", [0, 180, 3000, 5400])
def test_both_conventions_of_time_zero_are_one_scan(after_s: int) -> None:
    """BIDS lets TimeZero be the start of the scan or of the injection."""
    scan_first = pet_image(InjectionStart=-after_s)
    injection_first = pet_image(**from_injection_on(after_s))
    expected = after_s + np.array(STARTS)
    for each in (scan_first, injection_first):
        np.testing.assert_allclose(since_injection(each), expected)
        assert checks(each) == set()


def test_an_injection_within_the_scan_is_the_zero_of_windows() -> None:
    np.testing.assert_allclose(since_injection(pet_image(InjectionStart=180)), np.array(STARTS) - 180)
    as_clock = pet_image(InjectionStart=clock(180))
    np.testing.assert_allclose(since_injection(as_clock), np.array(STARTS) - 180)


@pytest.mark.parametrize(
    ("told", "seconds", "source"),
    [
        ({"RadiopharmaceuticalStartTime": clock(-2700)}, -2700, "RadiopharmaceuticalStartTime"),
        (
            {"RadiopharmaceuticalStartDateTime": f"20200101{clock(34).replace(':', '')}.00"},
            34,
            "RadiopharmaceuticalStartDateTime",
        ),
        ({"RadiopharmaceuticalStartTime": clock(1500)}, 0, "the time zero of the frames"),  # too late
        ({}, 0, "the time zero of the frames"),
    ],
)
def test_what_stands_in_for_injection_start(told, seconds: float, source: str) -> None:
    scan = pet_image(InjectionStart=None, **told)
    injection = injection_of([scan])
    assert (injection.seconds, injection.source) == (seconds, source)
    (missing,) = [finding for finding in findings_of(scan) if finding.check == "missing-keys"]
    assert missing.correction == f"injection from {source}"
    assert ("late-injection" in checks(scan)) == (seconds == 0 and bool(told))


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({"SeriesDescription": "16sec"}, "SeriesDescription"),
        ({"global": {"const": {"ActualFrameDuration": 16000}}}, "DICOM ActualFrameDuration"),
    ],
)
def test_what_stands_in_for_frame_times(told: dict[str, Any], source: str) -> None:
    lists = {"FrameTimesStart": None, "FrameDuration": None, "dcmmeta_shape": [6, 5, 4, 12]}
    (missing,) = [
        each for each in findings_of(pet_image(**lists, **told)) if each.check == "missing-keys"
    ]
    assert missing.correction == f"frame times from AcquisitionTime of the runs, {source}"


def test_two_clocks_on_the_injection() -> None:
    (found,) = findings_of(pet_image(RadiopharmaceuticalStartTime=clock(-1800)))
    assert (found.check, found.value, found.expected) == (
        "injection-time",
        "0 s after TimeZero",
        "-1800 s",
    )
    assert checks(pet_image(RadiopharmaceuticalStartTime=clock(20))) == set()


@pytest.mark.parametrize(
    ("seconds", "check"), [(-1e5, "early-injection"), (3000, "late-injection"), (300, None)]
)
def test_injections_out_of_place(seconds: float, check: str | None) -> None:
    assert checks(pet_image(InjectionStart=seconds)) == ({check} if check else set())


def scan_start(**changes: Any) -> tuple[list[Finding], float]:
    """Findings, and the first frame after TimeZero as it is read."""
    scan = pet_image(**changes)
    return findings_of(scan), float(timeline([scan], 0).starts_s[0])


def test_frames_counted_from_the_start_of_the_scan() -> None:
    """TimeZero is the injection, 50 min before: the scanner's clock tells."""
    changes = from_injection_on(3000) | {"FrameTimesStart": STARTS}
    (found,), first_s = scan_start(**changes)
    assert (found.check, found.severity) == ("scan-start-corrected", "error")
    assert found.correction == "ScanStart is added"
    assert first_s == 3000


def test_a_scan_start_that_the_clocks_contradict() -> None:
    (found,), first_s = scan_start(ScanStart=3000)
    assert (found.check, found.severity) == ("scan-start-corrected", "warning")
    assert found.correction == "ScanStart is not read"
    assert first_s == 0


@pytest.mark.parametrize("acquired", [None, clock(1200)])
def test_what_no_clock_settles_stops_the_import(acquired: str | None) -> None:
    scan = pet_image(ScanStart=3000, AcquisitionTime=acquired)
    found = [finding for finding in findings_of(scan) if finding.check == "scan-start"]
    assert [finding.severity for finding in found] == ["error"]
    with pytest.raises(InputError, match="ScanStart, FrameTimesStart is 3000 s"):
        require_usable(found, [scan])


@pytest.mark.parametrize("scan_s", [0, 1, -4])
def test_a_second_or_two_is_no_contradiction(scan_s: float) -> None:
    assert checks(pet_image(ScanStart=scan_s)) == set()


def test_a_scan_that_begins_long_before_its_first_frame() -> None:
    late = {**from_injection_on(3000), "ScanStart": 0}
    assert checks(pet_image(**late)) == set(), "a late reconstruction: its AcquisitionTime says so"
    (found,) = findings_of(pet_image(**late, AcquisitionTime=None))
    assert (found.check, found.severity) == ("scan-start", "warning")
    # Or the list has its zero elsewhere than the clocks.
    assert "scan-start" in checks(pet_image(FrameTimesStart=[3000 + start for start in STARTS]))


def runs(*changes: dict[str, Any]) -> Sequence[Image]:
    return [pet_image(number, **change) for number, change in enumerate(changes, start=1)]


@pytest.mark.parametrize(
    "second",
    [
        {"FrameTimesStart": [192 + start for start in STARTS], "AcquisitionTime": clock(192)},
        {"TimeZero": clock(192), "AcquisitionTime": clock(192)},
        {"TimeZero": None, "AcquisitionTime": clock(192)},
        {"TimeZero": None, "FrameTimesStart": [192 + start for start in STARTS]},
        {"TimeZero": None, "AcquisitionTime": None, "SeriesTime": clock(192)},
        {"TimeZero": None, "AcquisitionTime": None, "SeriesTime": clock(0),
         "FrameTimesStart": [192 + start for start in STARTS]},
        {"TimeZero": None, "FrameTimesStart": None, "FrameDuration": None,
         "SeriesDescription": "16sec", "AcquisitionTime": clock(192), "dcmmeta_shape": [6, 5, 4, 12]},
    ],
)  # fmt: skip
def test_all_runs_have_one_clock(second: dict[str, Any]) -> None:
    both = runs({}, second)
    starts_s = scan_timing(both, both).starts_s
    np.testing.assert_allclose(starts_s, 16.0 * np.arange(24))


def test_runs_of_several_days_have_one_clock() -> None:
    day = {"AcquisitionDate": "2020-02-28"}, {"AcquisitionDate": "2020-03-01"}
    late = {"TimeZero": clock(600), "AcquisitionTime": clock(600)}
    both = runs(day[0], {**day[1], **late})
    assert scan_timing(both, both).starts_s[12] == 2 * 86400 + 600


def test_frames_without_a_list_count_from_time_zero_too() -> None:
    """Where people noted TimeZero and InjectionStart, but no frame times."""
    scan = pet_image(
        TimeZero=clock(-3000), ScanStart=3000, FrameTimesStart=None, FrameDuration=None,
        SeriesDescription="Dynamic_16sec", dcmmeta_shape=[6, 5, 4, 12],
    )  # fmt: skip
    np.testing.assert_allclose(since_injection(scan), 3000 + np.array(STARTS))


def test_frames_against_the_scanner_s_clock() -> None:
    """ScanStart and FrameTimesStart were moved together, AcquisitionTime was not."""
    moved = {"ScanStart": 3000, "FrameTimesStart": [3000 + start for start in STARTS]}
    scan = pet_image(**moved, DecayCorrectionFactor=None)
    (found,) = findings_of(scan)
    assert (found.check, found.severity) == ("frame-clock", "warning")
    assert timeline([scan], 0).starts_s[0] == 3000


def test_the_first_run_speaks_for_a_participant() -> None:
    """Of runs 2 and 10, or where the first one has no TimeZero: no traceback, and no false finding."""
    later = {"FrameTimesStart": [192 + start for start in STARTS], "AcquisitionTime": clock(192)}
    quiet = {"DecayCorrectionFactor": None}
    both = [pet_image(10, **later, **quiet), pet_image(2, **quiet)]
    assert checks(*both) == set()
    both = [pet_image(1, TimeZero=None, **quiet), pet_image(2, **later, **quiet, ScanStart=192)]
    assert checks(*both) == {"missing-keys"}


@pytest.mark.parametrize("written", [[180], ["180"], "[180]", [clock(180)]])
def test_a_list_of_one_is_that_number(written: Any) -> None:
    scan = pet_image(InjectionStart=written)
    np.testing.assert_allclose(since_injection(scan), np.array(STARTS) - 180)
    assert "list-of-one" in checks(scan)


@pytest.mark.parametrize("written", [[180, 190], "soon", [None]])
def test_an_injection_that_cannot_be_read_is_found(written: Any) -> None:
    scan = pet_image(InjectionStart=written)
    assert "no-number" in checks(scan)
    assert injection_of([scan]).source == "the time zero of the frames"


@pytest.mark.parametrize(
    ("told", "seconds", "found"),
    [
        ({"InjectionStart": None, "InfusionStart": -1800}, -1800, {"missing-keys"}),
        ({"InjectionStart": 0, "InfusionStart": 30}, 0, set()),
        ({"InjectionStart": 0, "InfusionStart": clock(240)}, 0, {"injection-time", "clock-times"}),
        # After a bolus the infusion may begin when it likes.
        ({"InfusionStart": 240, "ModeOfAdministration": "bolus-infusion"}, 0, set()),
    ],
)
def test_an_infusion_is_an_injection(told, seconds: float, found: set[str]) -> None:
    scan = pet_image(**told)
    assert injection_of([scan]).seconds == seconds
    assert checks(scan) == found


def test_a_converter_that_writes_series_time_alone() -> None:
    """Neither TimeZero nor AcquisitionTime nor InjectionStart: frames count from SeriesTime."""
    scan = pet_image(
        TimeZero=None, AcquisitionTime=None, InjectionStart=None, ScanStart=None,
        SeriesTime=clock(0), RadiopharmaceuticalStartTime=clock(-2700),
    )  # fmt: skip
    np.testing.assert_allclose(since_injection(scan), 2700 + np.array(STARTS))
