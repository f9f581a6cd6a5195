"""4-D NIfTI images read frame by frame, so that memory holds one frame whatever their number.

A gzip stream can only be read forwards: its frames come in order, and it is read to its checksum.
Uncompressed images that are named ``.nii.gz`` all the same are read for what they are.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from quietpet.errors import InputError
from quietpet.invivo.formats import foreign_content

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = 540  # NIfTI-2; NIfTI-1 needs 348
_BLOCK_BYTES = 1 << 20
_FETCH_AGAIN = "Fetch it again."


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What the header of one NIfTI image says; ``file`` names the image in messages.

    ``affine_ras_mm`` is the sform where its code is above 0, else the qform, as nibabel chooses.
    """

    file: str
    shape: tuple[int, ...]
    dtype: np.dtype
    slope: float
    intercept: float
    offset: int
    voxel_mm: tuple[float, float, float]
    space_units: str
    affine_ras_mm: np.ndarray
    sform_ras_mm: np.ndarray | None
    qform_ras_mm: np.ndarray | None
    gzipped: bool

    @property
    def misnamed(self) -> bool:
        """Whether the name's ``.gz`` and the content disagree."""
        return self.gzipped != self.file.endswith(".gz")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Voxels along the three axes of space: 1 where the image has no such axis."""
        return (*self.shape, 1, 1)[:3]

    @property
    def n_frames(self) -> int:
        return self.shape[3] if len(self.shape) > 3 else 1

    @property
    def frame_bytes(self) -> int:
        return int(np.prod(self.frame_shape)) * self.dtype.itemsize


def read_header(path: Path, *, file: str | None = None) -> ImageHeader:
    """The header of the image at ``path``, called ``file`` in messages.

    Raises:
        InputError: the file is no NIfTI image; says whether it is a web page, a pointer of git-annex,
            or a broken gzip file.
    """
    file = file or str(path)
    try:
        with path.open("rb") as stream:
            begin = stream.read(_HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}).") from None
    gzipped = begin[:2] == _GZIP_MAGIC
    if gzipped:
        with _damage_named(file), gzip.open(path) as stream:
            begin = stream.read(_HEADER_BYTES)
    _require_image(begin, file)
    header = _nifti_header(begin, file)
    sform, sform_code = header.get_sform(coded=True)
    try:
        qform, qform_code = header.get_qform(coded=True)
    except (ValueError, HeaderDataError):  # a quaternion that is none
        qform, qform_code = None, 0
    slope, intercept = (float(each) for each in (header["scl_slope"], header["scl_inter"]))
    # NaN, as nibabel leaves it in memory, and 0 mean no scaling (NIfTI-1, scl_slope).
    unscaled = np.isnan(slope) or slope == 0
    if not unscaled and not np.isfinite([slope, intercept]).all():
        raise InputError(f"{file}: scl_slope, scl_inter are {slope:g}, {intercept:g}. {_FETCH_AGAIN}")
    shape = header.get_data_shape()
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if not shape or min(shape) < 1:
        raise InputError(
            f"{file}: dim is {list(map(int, shape))}, not numbers of voxels. {_FETCH_AGAIN}"
        )
    if header.get_data_dtype().kind not in "iuf":
        raise InputError(f"{file}: holds {header.get_data_dtype()}, not real numbers (NIfTI datatype).")
    return ImageHeader(
        file=file,
        shape=tuple(int(side) for side in shape),
        dtype=header.get_data_dtype(),
        slope=1.0 if unscaled else slope,
        intercept=0.0 if unscaled else intercept,
        offset=int(header["vox_offset"]) or header.single_vox_offset,
        voxel_mm=tuple(float(side) for side in header["pixdim"][1:4]),
        space_units=header.get_xyzt_units()[0],
        affine_ras_mm=header.get_best_affine(),
        sform_ras_mm=sform if sform_code else None,
        qform_ras_mm=qform if qform_code else None,
        gzipped=gzipped,
    )


def frames(
    path: Path, header: ImageHeader, *, wanted: Collection[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and image (x, y, z), float32 in the header's scaling, of the ``wanted`` frames in order.

    ``wanted`` None takes all. A gzip file is read to its end even so, which compares its checksum.

    Raises:
        InputError: the file ends before, its checksum does not fit, or a wanted frame holds NaN or
            infinity.
    """
    wanted = range(header.n_frames) if wanted is None else wanted
    with _damage_named(header.file), _open(path, header) as stream:
        _skip(stream, header.offset, header)
        raw = np.empty(header.frame_shape, header.dtype, order="F")
        buffer = memoryview(raw.reshape(-1, order="F")).cast("B")
        for number in range(header.n_frames):
            if number not in wanted:
                _skip(stream, header.frame_bytes, header)
                continue
            _fill(stream, buffer, header, number)
            yield number, _scaled(raw, header, number)
        if header.gzipped:
            while stream.read(_BLOCK_BYTES):
                pass


def _scaled(raw: np.ndarray, header: ImageHeader, number: int) -> np.ndarray:
    frame = raw.astype(np.float32)
    with np.errstate(over="ignore"):  # infinities are counted below
        if header.slope != 1.0:
            frame *= np.float32(header.slope)
        if header.intercept != 0.0:
            frame += np.float32(header.intercept)
    bad = frame.size - int(np.count_nonzero(np.isfinite(frame)))
    if bad:
        raise InputError(
            f"{header.file}: {bad} of {frame.size} values of frame {number} are not finite. Repair the "
            "image or fetch it again; no window may hold this frame as it is."
        )
    return frame


@contextmanager
def _open(path: Path, header: ImageHeader) -> Iterator[IO[bytes]]:
    with gzip.open(path) if header.gzipped else path.open("rb") as stream:
        yield stream


def _skip(stream: IO[bytes], count: int, header: ImageHeader) -> None:
    if not header.gzipped:
        stream.seek(count, 1)
        return
    while count > 0:
        block = stream.read(min(count, _BLOCK_BYTES))
        if not block:
            raise EOFError("it ends before its last frame")
        count -= len(block)


def _fill(stream: IO[bytes], buffer: memoryview, header: ImageHeader, number: int) -> None:
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done : done + _BLOCK_BYTES])
        if not count:
            raise EOFError(f"it ends in frame {number} of {header.n_frames}")
        done += count


def _require_image(begin: bytes, file: str) -> None:
    text = begin[:200].lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise InputError(f"{file}: is a web page that was saved under this name. {_FETCH_AGAIN}")
    if b"/annex/objects/" in text or text.startswith(b"version https://git-lfs"):
        raise InputError(f"{file}: is a pointer to an image that was not fetched (git-annex or LFS).")
    if not begin:
        raise InputError(f"{file}: is empty. {_FETCH_AGAIN}")


def _nifti_header(begin: bytes, file: str) -> nib.Nifti1Header:
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        if kind.may_contain_header(begin):
            try:
                header = kind(begin[: kind.sizeof_hdr], check=False)
                header.get_data_dtype()
            except (HeaderDataError, ValueError) as error:
                raise InputError(f"{file}: its NIfTI header cannot be read ({error}).") from None
            if bytes(header["magic"]).startswith(b"ni"):
                raise InputError(
                    f"{file}: is the header of a NIfTI pair, whose values lie in an .img; name it .hdr, "
                    "and `nib-convert` joins the two."
                )
            return header
    if foreign := foreign_content(begin, file):
        raise InputError(f"{file}: is {foreign.what} under a name of NIfTI; {foreign.remedy}.")
    raise InputError(f"{file}: is no NIfTI image. {_FETCH_AGAIN}")


@contextmanager
def _damage_named(file: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file}: damaged ({error}). {_FETCH_AGAIN}") from None
