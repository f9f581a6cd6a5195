"""What a data set says of itself, and who is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from quietpet.invivo.findings import DATA_SET, Finding, Origin, shown
from quietpet.invivo.scans import MISSING, Dataset, Image, Table, repeated_runs

_PET_SINCE_BIDS = (1, 6)


def tree_findings(dataset: Dataset) -> Iterator[Finding]:
    """The description, .bidsignore, and whether there is PET at all."""
    file = "-" if dataset.description_fault == MISSING else "dataset_description.json"
    whole = Origin(participant=DATA_SET, file=file)
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
    if not dataset.pet:
        yield Origin(participant=DATA_SET, file="-").finding(
            "no-pet",
            "error",
            "*_pet.nii.gz, *_pet.json",
            value="none in the whole tree",
            expected="PET images with side-cars, in sub-*/pet or sub-*/ses-*/pet",
            evidence=f"looked for in {len(dataset.participants)} folders sub-*",
        )


def table_findings(dataset: Dataset) -> Iterator[Finding]:
    """The table of participants: how it is written, whom it lists, and how often."""
    table, origin = dataset.table, Origin(participant=DATA_SET, file="participants.tsv")
    for fault in table.faults:
        yield origin.finding(
            "participants-table",
            "warning",
            "participants.tsv",
            value=fault,
            expected="UTF-8 text, one row per line, a tab between cells, no quotes",
            evidence="BIDS, tabular files",
        )
    if twice := [name for name, count in Counter(table.columns).items() if count > 1]:
        yield origin.finding(
            "participants-table",
            "note",
            ", ".join(twice),
            value="a column of this name twice",
            expected="once",
            evidence="readers take one of the two, unsaid",
            correction="read in rows where both say the same",
        )
    if table.columns and "participant_id" not in table.columns:
        yield origin.finding(
            "participants-table",
            "warning",
            "participant_id",
            value=", ".join(table.columns)[:60],
            expected="a column participant_id, columns separated by tabs",
            evidence="no row can be told to be whose",
        )
    yield from _repeated_rows(table, origin)
    present = {each.label for each in dataset.participants}
    for label in sorted(present.symmetric_difference(table.listed) if table.listed else ()):
        yield origin.finding(
            "participants-table",
            "warning",
            "participant_id",
            value="has a folder" if label in present else "is listed",
            expected=f"{label}: both a folder and a row",
            evidence="the table and the folders differ",
        )


def _repeated_rows(table: Table, origin: Origin) -> Iterator[Finding]:
    """Rows that tell of one session of one participant twice."""
    for label in table.listed:
        sessions: dict[str, list[Mapping[str, str]]] = {}
        for row in table.of(label):
            sessions.setdefault(row.get("session_id", ""), []).append(row)
        for session, rows in sessions.items():
            if len(rows) < 2:
                continue
            differ = [name for name in rows[0] if len({row.get(name) for row in rows}) > 1]
            yield replace(origin, participant=label).finding(
                "participants-table",
                "warning" if differ else "note",
                ", ".join(differ) or "participant_id",
                value=f"{len(rows)} rows{f' of {session}' if session else ''}",
                expected="one row for each participant and session",
                evidence=f"they differ in {', '.join(differ)}" if differ else "they say the same",
                correction="columns on which they agree are read",
            )


def name_findings(dataset: Dataset) -> Iterator[Finding]:
    """File names that BIDS does not explain, or that contradict their folder or each other."""
    for participant in dataset.participants:
        for image in (*participant.pet, *participant.t1):
            for value, expected in _faults_of_name(image):
                yield image.image_origin.finding(
                    "file-name",
                    "warning",
                    "file name",
                    value=value,
                    expected=expected,
                    evidence="BIDS 1.11, file names: name-value, values of letters, digits and +",
                    correction="taken for an image of its own, joined with no other",
                )
        for runs in participant.series:
            for first, second in repeated_runs(runs):
                yield second.image_origin.finding(
                    "file-name",
                    "error",
                    "run",
                    value=second.entities["run"],
                    expected="another number for each run",
                    evidence=f"{first.image_origin.file} has the same",
                )


def _faults_of_name(image: Image) -> Iterator[tuple[str, str]]:
    """What is wrong with an image's name, and what should be."""
    if image.name.odd:
        yield ", ".join(image.name.odd), "name-value, each name once"
    folders = image.stem.split("/")[:-2]
    for entity, folder in (("sub", folders[0]), ("ses", folders[1] if len(folders) > 1 else "")):
        in_name = f"{entity}-{image.entities[entity]}" if entity in image.entities else ""
        if in_name != folder:
            yield (
                in_name or f"no {entity}- in the name",
                folder or f"no {entity}-: there is no such folder",
            )


def sidecar_findings(dataset: Dataset) -> Iterator[Finding]:
    """Side-cars and scans.tsv that cannot be read, and side-cars of one folder that differ on a key."""
    for image in (image for each in dataset.participants for image in (*each.pet, *each.t1)):
        if image.sidecar_fault:
            yield image.origin.finding(
                "unreadable-sidecar",
                "error",
                "side-car",
                value=image.sidecar_fault,
                expected="a JSON object: keys with values",
                evidence="opened",
            )
        if image.scans_table and image.scans_fault:
            yield replace(image.image_origin, file=image.scans_table).finding(
                "unreadable-table",
                "error",
                "acq_time",
                value=image.scans_fault,
                expected="a table of the session's files",
                evidence="opened",
            )
        for key, (one, other) in image.contradicted.items():
            yield image.origin.finding(
                "contradicting-sidecars",
                "error",
                key,
                value=f"told by {one} and by {other}, each in its way",
                expected="one side-car of a folder for an image",
                evidence="BIDS, inheritance principle: neither of the two goes before the other",
            )
