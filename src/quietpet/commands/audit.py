"""``quietpet audit``: what in a BIDS tree with PET contradicts itself?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from quietpet import __version__
from quietpet.errors import InputError
from quietpet.files.series import frames
from quietpet.files.text import write_json, write_text
from quietpet.invivo.audit import audit
from quietpet.invivo.bids import read_tree
from quietpet.invivo.findings import SEVERITIES, Finding, merged
from quietpet.invivo.report import as_html, as_lines
from quietpet.invivo.scans import Dataset, Image, Participant
from quietpet.progress import track


def audit_tree(root: Path, *, html: Path | None, json: Path | None, read_images: bool) -> bool:
    """Print the findings, write the reports asked for, and return whether no finding is an error.

    ``read_images`` reads every byte of every image as well: gzip checksums, NaN, truncation.
    """
    dataset = read_tree(root)
    if read_images:
        dataset = replace(dataset, participants=_read(root, dataset))
    findings = audit(dataset)
    name = str(dataset.description.get("Name", root.name))
    facts = {
        "data set": name,
        "participants": len(dataset.participants),
        "PET images and side-cars": len(dataset.pet),
        "images": "read" if read_images else "headers" if dataset.has_images else "none in the tree",
    }
    for line in as_lines(findings):
        print(line)
    counts = Counter(finding.severity for finding in findings)
    print(", ".join(f"{counts[severity]} {severity}s" for severity in SEVERITIES))
    if html:
        write_text(html, as_html(findings, facts=facts))
        print(f"{html}: every finding with its evidence")
    if json:
        write_json(json, as_json(findings, facts=facts))
    return counts["error"] == 0


def as_json(findings: list[Finding], *, facts: dict[str, object]) -> dict[str, object]:
    """The report as JSON: facts on the data set, counts by severity, all findings."""
    counts = Counter(finding.severity for finding in findings)
    return {
        "quietpet": __version__,
        **facts,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "findings": [asdict(finding) for finding in merged(findings)],
    }


def _read(root: Path, dataset: Dataset) -> list[Participant]:
    total = sum(len(each.pet) + len(each.t1) for each in dataset.participants)
    done = iter(track(range(total), label="images", total=total, unit="images"))

    def read_through(images: Sequence[Image]) -> list[Image]:
        found = []
        for image in images:
            found.append(_read_through(root, image))
            next(done)
        return found

    return [
        replace(each, pet=read_through(each.pet), t1=read_through(each.t1))
        for each in dataset.participants
    ]


def _read_through(root: Path, image: Image) -> Image:
    """``image``, its fault set when reading all of it fails."""
    if image.header is None:
        return image
    try:
        for _ in frames(root / image.header.file, image.header):
            pass
    except InputError as error:
        return replace(image, header=None, fault=str(error))
    return image
