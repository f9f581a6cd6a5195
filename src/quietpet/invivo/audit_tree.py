"""What a data set says of itself, and who is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from quietpet.invivo.findings import DATA_SET, Finding, Origin, shown
from quietpet.invivo.scans import Dataset

_PET_SINCE_BIDS = (1, 6)


def tree_findings(dataset: Dataset) -> Iterator[Finding]:
    """The description, .bidsignore and participants.tsv."""
    whole = Origin(participant=DATA_SET, file="dataset_description.json")
    version = str(dataset.description.get("BIDSVersion", ""))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if dataset.description_fault:
        yield whole.finding(
            "dataset-description",
            "warning",
            "dataset_description.json",
            value=dataset.description_fault,
            expected="a JSON object with Name and BIDSVersion",
            evidence="BIDS requires it: without, no program knows which rules the data set follows",
        )
    elif numbers < _PET_SINCE_BIDS:
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
    if dataset.columns and "participant_id" not in dataset.columns:
        yield table.finding(
            "participants-table",
            "warning",
            "participant_id",
            value=", ".join(dataset.columns)[:60],
            expected="a column participant_id, columns separated by tabs",
            evidence="no row can be told to be whose",
        )
    if not dataset.pet:
        yield Origin(participant=DATA_SET, file="sub-*/**/pet").finding(
            "no-pet",
            "error",
            "*_pet.nii.gz, *_pet.json",
            value="none in the whole tree",
            expected="PET images with side-cars, in sub-*/pet or sub-*/ses-*/pet",
            evidence=f"looked for in {len(dataset.participants)} folders sub-*",
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
