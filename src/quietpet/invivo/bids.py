"""Reading a BIDS tree: every PET and T1 image's header, side-cars with inheritance, the tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quietpet.errors import InputError, remedy, why
from quietpet.files.foreign import EXPECTED, FOREIGN, Foreign, foreign_file
from quietpet.files.series import read_header
from quietpet.files.text import RepeatedKeyError, parse_json
from quietpet.invivo.exchange import may_be_exchanged
from quietpet.invivo.names import FileName, applies, more_specific, parsed, speaks_of_t1
from quietpet.invivo.scans import MISSING, Dataset, Image, Participant, Table

PARTICIPANTS = "participants.tsv"
DESCRIPTION = "dataset_description.json"
_IMAGES = (".nii.gz", ".nii")
_KINDS = (("pet", "pet"), ("anat", "T1w"))
"""Folder and suffix of the images that are read."""


def read_tree(root: Path) -> Dataset:
    """The data set below ``root``. A file that cannot be read becomes its image's ``fault``.

    Raises:
        InputError: ``root`` is no folder, or holds no participants.
    """
    labels = _labels(root)
    table = read_table(root / PARTICIPANTS)
    description, fault = _description(root / DESCRIPTION)
    ignored = root / ".bidsignore"
    lines = ignored.read_text(errors="replace").splitlines() if ignored.exists() else ()
    return Dataset(
        description=description,
        description_fault=fault,
        participants=[_participant(root, label, table) for label in labels],
        table=table,
        ignored=[line.strip() for line in lines if not line.lstrip().startswith("#")],
    )


def _labels(root: Path) -> list[str]:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the root of a BIDS data set.")
    labels = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    if not labels:
        raise InputError(f"{root}: holds no folders sub-*; give the root of a BIDS data set.")
    return labels


def _description(path: Path) -> tuple[dict[str, Any], str | None]:
    """The data set's description, and what is wrong with it: nothing in it is needed to read images."""
    if not path.exists():
        return {}, MISSING
    try:
        return _object(path), None
    except InputError as error:
        return {}, _below(error, path.parent)


def read_participant(root: Path, label: str, *, headers: bool = True) -> Participant:
    """One participant of the tree, as in :func:`read_tree`.

    Args:
        headers: whether images are opened; their side-cars and names are read in any case.

    Raises:
        InputError: there is no such folder, or the table of participants cannot be read.
    """
    folder = root / label
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; correct the participants in invivo.datasets, or the root of "
            "the source."
        )
    return _participant(root, label, read_table(root / PARTICIPANTS), headers=headers)


def read_others(root: Path, participant: Participant) -> list[Participant]:
    """The side-cars of everybody else, where that of ``participant`` may lie in another's folder."""
    if not may_be_exchanged(participant.pet):
        return []
    others = (label for label in _labels(root) if label != participant.label)
    return [_participant(root, label, Table(), headers=False, kinds=_KINDS[:1]) for label in others]


def files_of_scan(root: Path, label: str) -> list[Path]:
    """All files that locating and importing a scan of the participant ``label`` reads, or some more.

    Nothing where the participant is not there: the step that looks for it says so.
    """
    try:
        participant = read_participant(root, label, headers=False)
        others = read_others(root, participant)
    except InputError:
        return []
    images = (*participant.pet, *participant.t1)
    there = [root / image.file for image in images if image.file and image.is_there]
    return sorted((*there, *files_read(root, (participant, *others))))


def files_read(root: Path, participants: Sequence[Participant]) -> list[Path]:
    """Every image of ``participants`` that was opened, every side-car and table, each once."""
    images = [image for each in participants for image in (*each.pet, *each.t1)]
    opened = [image.header.file for image in images if image.header]
    metadata = [file for image in images for file in image.metadata_files]
    named = dict.fromkeys((*opened, *metadata, PARTICIPANTS))
    return [path for file in named if (path := root / file).exists()]


def _participant(
    root: Path,
    label: str,
    table: Table,
    *,
    headers: bool = True,
    kinds: Sequence[tuple[str, str]] = _KINDS,
) -> Participant:
    found: dict[str, list[Image]] = {"pet": [], "anat": []}
    for kind, suffix in kinds:
        files = files_in(root, label, kind)
        foreign = [each for file in files if (each := foreign_file(file, suffix))]
        stems = {stem for file in files if (stem := _stem(file, suffix))}
        found[kind] = [
            read_image(root, stem, headers=headers, foreign=foreign)
            for stem in sorted(stems | {each.stem for each in foreign})
        ]
    return Participant(label=label, rows=table.of(label), pet=found["pet"], t1=found["anat"])


def files_in(root: Path, label: str, kind: str) -> list[str]:
    """Paths below ``root`` of what lies in the participant's folders ``kind``, linked ones too."""
    folder = root / label
    found = (*folder.glob(f"{kind}/*"), *folder.glob(f"ses-*/{kind}/*"))
    return sorted(path.relative_to(root).as_posix() for path in found if not path.name.startswith("."))


def named_like_t1(root: Path, label: str) -> list[str]:
    """Paths below ``root`` of the participant's images and side-cars that are named like a T1 image.

    They lie in any of its folders, and are in any format.
    """
    found = []
    for path in (root / label).rglob("*"):
        extension = next(
            (each for each in (*EXPECTED, *FOREIGN) if path.name.lower().endswith(each)), ""
        )
        if extension and not path.name.startswith(".") and speaks_of_t1(path.name[: -len(extension)]):
            found.append(path.relative_to(root).as_posix())
    return sorted(found)


def _stem(file: str, suffix: str) -> str | None:
    """``file`` without its extension, where it is an image or a side-car of this suffix."""
    for extension in EXPECTED:
        stem = file.removesuffix(extension)
        if stem != file and stem.endswith(f"_{suffix}"):
            return stem
    return None


def read_image(root: Path, stem: str, *, headers: bool = True, foreign: Sequence[Foreign] = ()) -> Image:
    """One image of the tree by its path below ``root``, without extensions.

    Args:
        headers: whether the image is opened.
        foreign: files in formats that are not read, of which those of this image are kept.
    """
    known: dict[str, Any] = {
        "participant": stem.split("/", maxsplit=1)[0],
        "stem": stem,
        "foreign": [each for each in foreign if each.stem == stem],
        **_sidecar(root, stem),
        **_scans_row(root, stem),
    }
    names = [f"{stem}{extension}" for extension in _IMAGES]
    there = [file for file in names if (root / file).exists()]
    if len(there) > 1:
        both = (
            f"{there[0]}: beside it lies {there[1].rpartition('/')[2]}, and nothing says which of the "
            "two is the image. Keep one of them in this folder, and the other elsewhere."
        )
        return Image(**known, file=there[0], twin=there[1], fault=both)
    for file in there:
        try:
            header = read_header(root / file, file=file) if headers else None
            return Image(**known, file=file, header=header)
        except InputError as error:
            return Image(**known, file=file, fault=str(error))
    # A link into git-annex without its target stands for an image that is not here.
    links = [file for file in names if (root / file).is_symlink()]
    return Image(**known, file=next(iter(links), None), not_fetched=bool(links))


def _sidecar(root: Path, stem: str) -> dict[str, Any]:
    """What the side-cars say that apply to an image, from the top down (BIDS, inheritance principle).

    In one folder the more specific goes before the less; that two of which neither is contradict each
    other is noted, because BIDS allows one per folder and says nothing of their order. A third that goes
    before both settles what they differ on, in their folder or nearer to the image.
    """
    values: dict[str, Any] = {}
    told: dict[str, str] = {}
    contradicted: dict[str, tuple[str, str]] = {}
    files: list[str] = []
    known = {"sidecar": values, "told": told, "contradicted": contradicted, "sidecar_files": files}
    for group in _applying(root, stem):
        telling: dict[str, list[tuple[str, Any]]] = {}
        for path in group:
            file = path.relative_to(root).as_posix()
            files.append(file)
            try:
                found = _object(path)
            except InputError as error:
                return {**known, "sidecar_fault": _below(error, root)}
            for key, value in found.items():
                telling.setdefault(key, []).append((file, value))
                told[key] = file
            values |= found
        for key, told_here in telling.items():
            contradicted.pop(key, None)
            if differing := _contradiction(told_here):
                contradicted[key] = differing
    return known


def _contradiction(told: Sequence[tuple[str, Any]]) -> tuple[str, str] | None:
    """Two of the side-cars of one folder, each with its value of a key, that contradict each other."""
    names = {file: _name_of(Path(file)) for file, _ in told}
    first, *others = [
        (file, value)
        for file, value in told
        if not any(more_specific(names[other], names[file]) for other in names)
    ]
    return next(((first[0], file) for file, value in others if value != first[1]), None)


def _scans_row(root: Path, stem: str) -> dict[str, str | None]:
    """When an image was acquired by its session's scans.tsv (BIDS, scans file), where that lists it.

    Rows that contradict each other tell nothing.
    """
    *session, kind, name = stem.split("/")
    table = f"{'/'.join(session)}/{'_'.join(session)}_scans.tsv"
    if not (root / table).exists():
        return {}
    names = [f"{kind}/{name}{extension}" for extension in _IMAGES]
    try:
        rows = read_table(root / table).rows
    except InputError as error:
        return {"scans_table": table, "scans_fault": _below(error, root)}
    times = {row.get("acq_time") for row in rows if row.get("filename") in names}
    return {"acq_time": times.pop() if len(times) == 1 else None, "scans_table": table}


def _applying(root: Path, stem: str) -> Iterator[list[Path]]:
    """The side-cars of an image, folder by folder from the top, the least specific of a folder first."""
    image = parsed(stem.rpartition("/")[2])
    folder = root
    for part in ("", *stem.split("/")[:-1]):
        folder = folder / part
        named = [(_name_of(path), path) for path in folder.glob("*.json")]
        fitting = [(len(name.parts), path) for name, path in named if applies(name, image)]
        # A folder that is called like a side-car is none.
        yield [path for _, path in sorted(fitting) if not path.is_dir()]


def _name_of(sidecar: Path) -> FileName:
    return parsed(sidecar.name.removesuffix(".json"))


def _object(path: Path) -> dict[str, Any]:
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: is a link whose content was not fetched; try `datalad get`.")
    try:
        found = parse_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({why(error)}){remedy(error)}") from None
    except RepeatedKeyError as error:
        raise InputError(f"{path}: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}).") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no JSON object (keys with values).")
    return found


def read_table(path: Path) -> Table:
    """A table of BIDS: tabs between cells, a row per line, quotes being text (BIDS, tabular files).

    Lines may end in CR LF, and a byte order mark may stand first. Empty where there is no such file.

    Raises:
        InputError: it is there, but cannot be read.
    """
    try:
        if not path.exists():
            return Table()
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({why(error)}){remedy(error)}") from None
    text, faults = _decoded(content)
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    columns, *cells = [[cell.strip(" ") for cell in line.split("\t")] for line in lines] or [[]]
    uneven = sum(len(row) != len(columns) for row in cells)
    if uneven:
        faults.append(f"{uneven} of {len(cells)} rows have not as many cells as there are columns")
    if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in cells for cell in row):
        faults.append("cells in quotes, which are part of the value: TSV has no quoting")
    rows = [_row(columns, row) for row in cells]
    if nameless := sum(not row.get("participant_id") for row in rows if "participant_id" in columns):
        faults.append(f"{nameless} of {len(rows)} rows have no participant_id")
    return Table(columns=columns, rows=rows, faults=faults)


def _row(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Cells by column, without those of a column that stands twice and says two things."""
    told: dict[str, set[str]] = {}
    for column, cell in zip(columns, cells, strict=False):
        told.setdefault(column, set()).add(cell)
    return {column: found.pop() for column, found in told.items() if len(found) == 1}


def _decoded(content: bytes) -> tuple[str, list[str]]:
    """Text of a table, and what is wrong with its encoding."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), [
                "text in UTF-16, read as such: tables are UTF-8"
            ]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        return content.decode("utf-8-sig", errors="replace"), [
            f"byte {error.start} is not UTF-8 text: letters of another encoding are lost"
        ]


def _below(error: InputError, root: Path) -> str:
    return str(error).replace(f"{root}{os.sep}", "")
