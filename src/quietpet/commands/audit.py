"""``quietpet audit``: what in a BIDS tree with PET, or in a folder of pairs, contradicts itself?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from quietpet import __version__
from quietpet.errors import InputError
from quietpet.files.series import frames
from quietpet.files.text import write_json, write_text
from quietpet.invivo.audit import audit
from quietpet.invivo.audit_pairs import audit_pairs
from quietpet.invivo.bids import read_tree
from quietpet.invivo.findings import SEVERITIES, Finding, merged
from quietpet.invivo.pairs_folder import holds_pairs, read_pairs
from quietpet.invivo.report import as_html, as_lines
from quietpet.invivo.scans import Dataset, Image, Participant
from quietpet.progress import track


def audit_tree(root: Path, *, html: Path | None, json: Path | None, read_images: bool) -> bool:
    """Print the findings, write the reports asked for, and return whether no finding is an error.

    ``read_images`` reads every byte of every image of a BIDS tree as well: gzip checksums, NaN,
    truncation. Images of pairs are read in any case: what they hold is compared.
    """
    if holds_pairs(root):
        title, (findings, facts) = "Audit of pairs", _audited_pairs(root)
    else:
        title, (findings, facts) = "PET-BIDS audit", _audited_bids(root, read_images=read_images)
    for line in as_lines(findings):
        print(line)
    counts = Counter(finding.severity for finding in findings)
    print(", ".join(f"{counts[severity]} {severity}s" for severity in SEVERITIES))
    if html:
        write_text(html, as_html(findings, facts=facts, title=title))
        print(f"{html}: every finding with its evidence")
    if json:
        write_json(json, as_json(findings, facts=facts))
    return counts["error"] == 0


def _audited_bids(root: Path, *, read_images: bool) -> tuple[list[Finding], dict[str, object]]:
    dataset = read_tree(root)
    if read_images:
        dataset = replace(dataset, participants=_read(root, dataset))
    return audit(dataset), {
        "data set": str(dataset.description.get("Name", root.name)),
        "participants": len(dataset.participants),
        "PET images and side-cars": len(dataset.pet),
        "images": "read" if read_images else "headers" if dataset.has_images else "none in the tree",
    }


def _audited_pairs(root: Path) -> tuple[list[Finding], dict[str, object]]:
    pairs = read_pairs(root)
    people = pairs.participants
    each = partial(track, label="participants", total=len(people), unit="participants")
    return audit_pairs(root, pairs, each=each), {
        "data set": root.name,
        "participants": len(people),
        "PET images": len(pairs.images),
        "images": "read",
    }


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
