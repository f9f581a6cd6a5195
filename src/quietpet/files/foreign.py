"""Images in other formats than NIfTI, or under another name than BIDS has, and what converts them."""

from __future__ import annotations

from dataclasses import dataclass

EXPECTED = (".nii.gz", ".nii", ".json")
"""Extensions that are read."""

_HEAD_BYTES = 348  # of Analyze and NIfTI-1, and the number in their first four bytes
_DICOM_MAGIC_AT = 128
_SINGLE_MAGIC = ((344, b"n+1\0"), (4, b"n+2\0"))
_PAIR_MAGIC = ((344, b"ni1\0"), (4, b"ni2\0"))
"""Of NIfTI-1 and NIfTI-2: where in the header, and what."""

_ECAT = (
    "an ECAT image",
    "`ecatpet2bids {file} --nifti {name}.nii --convert` of PET2BIDS makes NIfTI and a side-car of it",
)
_DICOM = "a DICOM file", "`dcm2niix4pet` of PET2BIDS makes NIfTI and a side-car of its series"
_ANALYZE = (
    "an Analyze image",
    "Analyze does not tell left from right: convert the scanner's own files again by `dcm2niix4pet` "
    "or `ecatpet2bids` of PET2BIDS; a NIfTI pair of the same name is joined by `nib-convert {file} "
    "{name}.nii.gz`",
)
_PAIR_HEADER = (
    "the header of a NIfTI pair (its values lie in an .img)",
    "`nib-convert {file} {name}.nii.gz` joins the two",
)
_CONVERTED = "`nib-convert {file} {name}.nii.gz` makes NIfTI of it"
_BY_EXTENSION = {
    ".nii.zst": ("a NIfTI image compressed by zstd", "`zstd -d {file}` decompresses it"),
    ".nii.bz2": ("a NIfTI image compressed by bzip2", "`bunzip2 -k {file}` decompresses it"),
    ".nii.xz": ("a NIfTI image compressed by xz", "`xz -dk {file}` decompresses it"),
    ".nii.lz4": ("a NIfTI image compressed by lz4", "`lz4 -d {file}` decompresses it"),
    ".nii.zip": ("a NIfTI image in a zip archive", "`unzip {file}` takes it out"),
    ".hdr": _ANALYZE,
    ".hdr.gz": _ANALYZE,
    ".img": _ANALYZE,
    ".img.gz": _ANALYZE,
    ".v": _ECAT,
    ".v.gz": _ECAT,
    ".dcm": _DICOM,
    ".ima": _DICOM,
    ".mgz": ("a FreeSurfer image", _CONVERTED),
    ".mgh": ("a FreeSurfer image", _CONVERTED),
    ".mnc": ("a MINC image", _CONVERTED),
    ".nrrd": ("an NRRD image", "`c3d {file} -o {name}.nii.gz` of Convert3D makes NIfTI of it"),
    ".ome.zarr": ("an OME-Zarr image", "write it as NIfTI, under the name {name}.nii.gz"),
}

FOREIGN = tuple(_BY_EXTENSION)
"""Extensions of images that are not read."""

_BY_MAGIC = (
    (b"\x28\xb5\x2f\xfd", ".nii.zst"),
    (b"BZh", ".nii.bz2"),
    (b"\xfd7zXZ\x00", ".nii.xz"),
    (b"\x04\x22\x4d\x18", ".nii.lz4"),
    (b"PK\x03\x04", ".nii.zip"),
    (b"MATRIX7", ".v"),
    (b"\x89HDF", ".mnc"),
    (b"CDF\x01", ".mnc"),
    (b"NRRD", ".nrrd"),
    (b"\0\0\0\1", ".mgz"),
)
_SAME_CONTENT = {".mgh": (".mgz",), ".hdr.gz": (".hdr",), ".v.gz": (".v",), ".ima": (".dcm",)}


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A file that lies where an image is looked for, and is not read.

    ``file`` is its path; ``stem`` that of the image it stands for, ``remedy`` makes that image of it.
    """

    file: str
    stem: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file} is {self.what}, which is not read; {self.remedy}"


def foreign_file(file: str, suffix: str) -> Foreign | None:
    """What a file called ``..._<suffix>`` is that has not the extension, or the case, of BIDS; or None.

    ``file`` is a path with forward slashes. None too for files that stand for no such image.
    """
    folder, _, name = file.rpartition("/")
    base, dot, rest = name.partition(".")
    extension = f"{dot}{rest}".lower()
    if not base.lower().endswith(f"_{suffix.lower()}"):
        return None
    right = f"{base[: -len(suffix)]}{suffix}{extension}"
    stem = f"{folder}/{right.partition('.')[0]}".lstrip("/")
    if extension in EXPECTED:
        if right == name:
            return None
        return Foreign(
            file=file,
            stem=stem,
            what="written in other letters than BIDS has",
            remedy=f"rename it to {right}",
        )
    if extension not in _BY_EXTENSION:
        return None
    what, remedy = _BY_EXTENSION[extension]
    words = {"file": name, "name": right.partition(".")[0]}
    return Foreign(file=file, stem=stem, what=what, remedy=remedy.format(**words))


def foreign_content(begin: bytes, file: str) -> Foreign | None:
    """What the file called ``file`` is, by its first bytes or else its name, if another format.

    ``begin`` are the first 540 bytes, decompressed where gzip compressed them.
    """
    name = file.rpartition("/")[2]
    extension, own = _extension_of(begin), _known_extension(name)
    if own and extension in (None, own, *_SAME_CONTENT.get(own, ())):
        what, remedy = _PAIR_HEADER if _is_of_pair(begin) else _BY_EXTENSION[own]
        words = {"file": name, "name": name[: -len(own)]}
        return Foreign(file=file, stem=words["name"], what=what, remedy=remedy.format(**words))
    if extension is None:
        return None
    what, remedy = _PAIR_HEADER if _is_of_pair(begin) else _BY_EXTENSION[extension]
    stem = name.partition(".")[0]
    words = {"file": f"{stem}{extension}", "name": stem}
    return Foreign(
        file=file,
        stem=stem,
        what=f"{what} under a name of NIfTI",
        remedy=f"rename it to {stem}{extension}, then {remedy}".format(**words),
    )


def _known_extension(name: str) -> str | None:
    """The longest extension of another format with which a file's name ends, in lower case."""
    fitting = [known for known in _BY_EXTENSION if name.lower().endswith(known)]
    return max(fitting, key=len, default=None)


def _extension_of(begin: bytes) -> str | None:
    """The usual extension of files that begin so; None for NIfTI in one file and for the unknown."""
    if begin[_DICOM_MAGIC_AT : _DICOM_MAGIC_AT + 4] == b"DICM":
        return ".dcm"
    known = next((extension for magic, extension in _BY_MAGIC if begin.startswith(magic)), None)
    if known:
        return known
    if _is_of_pair(begin):
        return ".hdr"
    lengths = (int.from_bytes(begin[:4], "little"), int.from_bytes(begin[:4], "big"))
    in_one_file = any(begin[at : at + 4] == magic for at, magic in _SINGLE_MAGIC)
    return ".hdr" if _HEAD_BYTES in lengths and not in_one_file else None


def _is_of_pair(begin: bytes) -> bool:
    return any(begin[at : at + 4] == magic for at, magic in _PAIR_MAGIC)
