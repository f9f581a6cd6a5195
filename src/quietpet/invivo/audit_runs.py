"""Runs of one scan against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from quietpet.invivo.agreement import disagreements
from quietpet.invivo.decay import REFERENCE_S, decay_references_s, half_life_from, stated_correction
from quietpet.invivo.facts import stated_unit
from quietpet.invivo.findings import NO_CORRECTION, Finding, shown
from quietpet.invivo.scans import Dataset, Image


def run_findings(dataset: Dataset) -> Iterator[Finding]:
    """Facts on which runs of one scan differ, and their order."""
    for runs in (series for participant in dataset.participants for series in participant.series):
        yield from _contradictions(runs)
        yield from _conversions(runs)
        yield from _decay_references(runs)
        yield from _order(runs)


def _contradictions(runs: Sequence[Image]) -> Iterator[Finding]:
    for differing in disagreements(runs):
        yield differing.image.origin.finding(
            "runs-differ",
            "warning" if differing.settled_by else "error",
            differing.key,
            value=differing.value,
            expected=f"{differing.expected}, as in {differing.other.stem.rpartition('/')[2]}",
            evidence="the two are runs of one scan: nothing in their names but the run differs",
            correction=differing.settled_by or NO_CORRECTION,
        )


def _conversions(runs: Sequence[Image]) -> Iterator[Finding]:
    """Facts that each run has for itself: frames are brought to one unit and one time."""
    tells: dict[str, tuple[Callable[[Image], Any], str]] = {
        "Units": (stated_unit, "its values become Bq/mL"),
        "ImageDecayCorrected": (stated_correction, "frames are weighted by the word of their run"),
    }
    for key, (tell, correction) in tells.items():
        told = [(image, value) for image in runs if (value := tell(image)) is not None]
        differing = [(image, value) for image, value in told if value != told[0][1]]
        for image, value in differing[:1]:
            yield image.origin.finding(
                "runs-unlike",
                "warning",
                key,
                value=shown(value),
                expected=f"{shown(told[0][1])}, as in {told[0][0].stem.rpartition('/')[2]}",
                evidence="runs of one scan: their values cannot be averaged as they are",
                correction=f"read run by run: {correction}",
            )


def _decay_references(runs: Sequence[Image]) -> Iterator[Finding]:
    """Runs of one scan that were decay-corrected to different times."""
    half_life_s = half_life_from(runs)
    corrected = [image for image in runs if stated_correction(image) is not False]
    references = None
    if half_life_s and corrected:
        references = decay_references_s(corrected, half_life_s=half_life_s)
    if references and max(references) - min(references) > REFERENCE_S:
        yield runs[0].origin.finding(
            "decay-reference",
            "warning",
            "ImageDecayCorrectionTime",
            value=", ".join(f"{reference:.0f} s" for reference in references),
            expected="one time for all runs",
            evidence="times to which the runs were decay-corrected, after the time zero of the "
            "first: their values cannot be averaged as they are",
            correction="frames are brought to the time of the first run that is read",
        )


def _order(runs: Sequence[Image]) -> Iterator[Finding]:
    """Runs whose numbers and times are in different orders."""
    numbers = [image.run for image in runs if image.run is not None]
    if len(numbers) == len(runs) and numbers != sorted(numbers):
        yield runs[0].origin.finding(
            "run-order",
            "warning",
            "AcquisitionTime, TimeZero, FrameTimesStart",
            value=f"by time, the runs are {', '.join(map(str, numbers))}",
            expected=", ".join(map(str, sorted(numbers))),
            evidence="numbers of the runs in the names of the files",
            correction="the order in time is read",
        )
