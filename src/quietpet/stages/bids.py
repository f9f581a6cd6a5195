"""Reading a BIDS tree: every PET and T1 image's header, side-cars with inheritance, the tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from quietpet.errors import InputError
from quietpet.invivo.scans import Dataset, Image, Participant, entities_of
from quietpet.invivo.series import read_header
from quietpet.store import read_json

_EXTENSIONS = (".nii.gz", ".nii", ".json")


def read_tree(root: Path) -> Dataset:
    """The data set below ``root``. A file that cannot be read becomes its image's ``fault``.

    Raises:
        InputError: ``root`` is no folder, or holds no participants.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the root of a BIDS data set.")
    folders = sorted(path for path in root.glob("sub-*") if path.is_dir())
    if not folders:
        raise InputError(f"{root}: holds no folders sub-*; give the root of a BIDS data set.")
    columns, rows = _table(root / "participants.tsv")
    description, fault = _description(root / "dataset_description.json")
    ignored = root / ".bidsignore"
    return Dataset(
        description=description,
        description_fault=fault,
        participants=[_participant(root, folder, rows) for folder in folders],
        columns=columns,
        listed=tuple(rows),
        ignored=ignored.read_text(errors="replace").split() if ignored.exists() else (),
    )


def _description(path: Path) -> tuple[dict[str, Any], str | None]:
    """The data set's description, and what is wrong with it: nothing in it is needed to read images."""
    if not path.exists():
        return {}, "missing"
    try:
        return _object(path), None
    except InputError as error:
        return {}, _below(error, path.parent)


def read_participant(root: Path, label: str) -> Participant:
    """One participant of the tree, as in :func:`read_tree`.

    Raises:
        InputError: there is no such folder.
    """
    folder = root / label
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; correct the participants in invivo.datasets, or the root of "
            "the source."
        )
    _, rows = _table(root / "participants.tsv")
    return _participant(root, folder, rows)


def _participant(root: Path, folder: Path, rows: Mapping[str, Mapping[str, str]]) -> Participant:
    return Participant(
        label=folder.name,
        row=rows.get(folder.name, {}),
        pet=[read_image(root, stem) for stem in _stems(root, folder, "pet", "_pet")],
        t1=[read_image(root, stem) for stem in _stems(root, folder, "anat", "_T1w")],
    )


def _stems(root: Path, folder: Path, kind: str, suffix: str) -> list[str]:
    found = set()
    for path in (*folder.glob(f"{kind}/*"), *folder.glob(f"ses-*/{kind}/*")):
        for extension in _EXTENSIONS:
            stem = path.name.removesuffix(extension)
            if path.name.endswith(extension) and stem.endswith(suffix):
                found.add((path.parent / stem).relative_to(root).as_posix())
    return sorted(found)


def read_image(root: Path, stem: str) -> Image:
    """One image of the tree by its path below ``root``, without extensions."""
    participant = stem.split("/", maxsplit=1)[0]
    known: dict[str, Any] = {"participant": participant, "stem": stem, "sidecar": {}}
    try:
        known["sidecar"], known["has_sidecar"] = _sidecar(root, stem)
    except InputError as error:
        known |= {"has_sidecar": True, "sidecar_fault": _below(error, root)}
    paths = {f"{stem}{extension}": root / f"{stem}{extension}" for extension in (".nii.gz", ".nii")}
    for file, path in paths.items():
        if path.exists():
            try:
                return Image(**known, file=file, header=read_header(path, file=file))
            except InputError as error:
                return Image(**known, file=file, fault=str(error))
    # A link into git-annex without its target stands for an image that is not here.
    return Image(**known, not_fetched=any(path.is_symlink() for path in paths.values()))


def _sidecar(root: Path, stem: str) -> tuple[dict[str, Any], bool]:
    """The side-cars that apply to an image, from the top down (BIDS, inheritance principle)."""
    name = stem.rpartition("/")[2]
    entities, suffix = entities_of(name), name.rpartition("_")[2]
    folder, applying = root, []
    for part in ("", *stem.split("/")[:-1]):
        folder = folder / part
        inherited = []
        for path in folder.glob(f"*{suffix}.json"):
            own = path.name.removesuffix(".json")
            if own.rpartition("_")[2] == suffix and entities_of(own).items() <= entities.items():
                inherited.append((len(entities_of(own)), path))
        applying += [path for _, path in sorted(inherited)]
    merged: dict[str, Any] = {}
    for path in applying:
        merged |= _object(path)
    return merged, bool(applying)


def _object(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no JSON object (keys with values).")
    return found


def _table(path: Path) -> tuple[list[str], dict[str, Mapping[str, str]]]:
    """Columns and rows of participants.tsv, by participant; a row without a name is left out."""
    if not path.exists():
        return [], {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        reader = csv.reader(stream, delimiter="\t")
        columns = next(reader, [])
        rows = [dict(zip(columns, row, strict=False)) for row in reader]
    return columns, {_named(row["participant_id"]): row for row in rows if row.get("participant_id")}


def _named(participant: str) -> str:
    return participant if participant.startswith("sub-") else f"sub-{participant}"


def _below(error: InputError, root: Path) -> str:
    return str(error).replace(f"{root}{os.sep}", "")


def images_by_stem(images: Iterable[Image]) -> dict[str, Image]:
    """Images by the last part of their stem, which names participant, task and run."""
    return {image.stem.rpartition("/")[2]: image for image in images}
