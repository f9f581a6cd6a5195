"""4-D NIfTI images read frame by frame, so that memory holds one frame whatever their number.

A gzip stream can only be read forwards: its frames come in order, and it is read to its checksum.
Uncompressed images that are named ``.nii.gz`` all the same are read for what they are.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from quietpet.errors import InputError
from quietpet.files.foreign import foreign_content

logger = logging.getLogger(__name__)

_GZIP_MAGIC = b"\x1f\x8b"
_Stream = gzip.GzipFile | BufferedReader
_HEADER_BYTES = 540  # NIfTI-2; NIfTI-1 needs 348
_BLOCK_BYTES = 1 << 20
_LARGEST_OFFSET = 1e15
_FETCH_AGAIN = "Fetch it again, or run the step again that made it."
_QUATERNION_EXCESS = 1e-3
"""By which rounding may make a quaternion of the header longer than 1; it is scaled to 1 then."""


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
    description: str = ""

    @property
    def misnamed(self) -> bool:
        """Whether the name's ``.gz`` and the content disagree."""
        return self.gzipped != self.file.endswith(".gz")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Voxels along the three axes of space: 1 where the image has no such axis."""
        i, j, k, *_ = (*self.shape, 1, 1)
        return i, j, k

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
            or a broken gzip file, or whether it could not be read at all.
    """
    file = file or str(path)
    with _damage_named(file), path.open("rb") as stream:
        begin = stream.read(_HEADER_BYTES)
    gzipped = begin[:2] == _GZIP_MAGIC
    if gzipped:
        with _damage_named(file), gzip.open(path) as stream:
            begin = stream.read(_HEADER_BYTES)
    _require_image(begin, file)
    header = _nifti_header(begin, file)
    sform, _ = header.get_sform(coded=True)
    qform = _qform(header, file, needed=sform is None)
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
        kind = nib.nifti1.data_type_codes.label[int(header["datatype"])]
        raise InputError(
            f"{file}: holds {kind} values, not real numbers (NIfTI datatype {int(header['datatype'])}); "
            "save one channel, or the magnitude, as an image of its own."
        )
    voxel_i, voxel_j, voxel_k = header["pixdim"][1:4]
    return ImageHeader(
        file=file,
        shape=tuple(int(side) for side in shape),
        dtype=header.get_data_dtype(),
        slope=1.0 if unscaled else slope,
        intercept=0.0 if unscaled else intercept,
        offset=_offset(header, file),
        voxel_mm=(float(voxel_i), float(voxel_j), float(voxel_k)),
        space_units=_space_units(header),
        affine_ras_mm=_first_of(sform, qform, header),
        sform_ras_mm=sform,
        qform_ras_mm=qform,
        gzipped=gzipped,
        description=bytes(header["descrip"]).rstrip(b"\0").decode(errors="replace"),
    )


def _first_of(
    sform: np.ndarray | None, qform: np.ndarray | None, header: nib.Nifti1Header
) -> np.ndarray:
    """The sform, else the qform, else the voxels' sizes alone, which tell no position."""
    for form in (sform, qform):
        if form is not None:
            return form
    with np.errstate(over="ignore"):
        return header.get_base_affine()


def _offset(header: nib.Nifti1Header, file: str) -> int:
    """Bytes before the first voxel."""
    stated = float(header["vox_offset"])
    if not (stated == 0 or header.sizeof_hdr <= stated < _LARGEST_OFFSET):  # NaN is neither
        raise InputError(
            f"{file}: vox_offset is {stated:g}, but the header takes {header.sizeof_hdr} bytes. "
            f"{_FETCH_AGAIN}"
        )
    return int(stated) or header.single_vox_offset


def _space_units(header: nib.Nifti1Header) -> str:
    """Name of the unit of lengths, the lower three bits of ``xyzt_units``, or the number it has."""
    code = int(header["xyzt_units"]) % 8
    units = nib.nifti1.unit_codes
    return str(units.label[code]) if code in units.value_set("code") else f"code {code}"


def _qform(header: nib.Nifti1Header, file: str, *, needed: bool) -> np.ndarray | None:
    """The qform as NIfTI's own library reads it, or None where its code is 0 or it cannot be read.

    That library (``nifti_quatern_to_mat44``) takes a pixdim[0] of 0 for 1, and scales a quaternion to 1
    that is longer.

    Raises:
        InputError: it cannot be read, and is ``needed``.
    """
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1
    names = ("quatern_b", "quatern_c", "quatern_d")
    quaternion = np.array([header[name] for name in names], dtype=float)
    length = math.hypot(*quaternion)
    if 1 < length <= 1 + _QUATERNION_EXCESS:
        for name, value in zip(names, quaternion / length, strict=True):
            header[name] = value
    try:
        with np.errstate(all="ignore"):
            qform, code = header.get_qform(coded=True)
        if code and not np.isfinite(qform).all():
            raise ValueError("it is not finite")
        return qform
    except (ValueError, HeaderDataError) as error:
        if not needed:
            return None
        raise InputError(
            f"{file}: it has a qform alone, which cannot be read ({error}): {', '.join(names)} are "
            f"{quaternion.round(6).tolist()}, of length {length:.6g}, and pixdim is "
            f"{header['pixdim'][:4].tolist()}. Repair the header, or convert the image again."
        ) from None


def frames(
    path: Path,
    header: ImageHeader,
    *,
    wanted: Collection[int] | None = None,
    finite: bool = True,
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and image (x, y, z), float32 in the header's scaling, of the ``wanted`` frames in order.

    ``wanted`` None takes all. A gzip file is read to its end even so, which compares its checksum. NaN
    outside the field of view become 0, and the log says so.

    Raises:
        InputError: the file ends before, its checksum does not fit, it cannot be read, or, with
            ``finite``, a wanted frame holds infinity, or NaN elsewhere.
    """
    wanted = range(header.n_frames) if wanted is None else wanted
    told = False
    with _damage_named(header.file), _open(path, header) as stream:
        _skip(stream, header.offset, header)
        raw = _empty_frame(header)
        buffer = raw.reshape(-1, order="F").data.cast("B")
        for number in range(header.n_frames):
            if number not in wanted:
                _skip(stream, header.frame_bytes, header)
                continue
            _fill(stream, buffer, header, number)
            frame = _scaled(raw, header)
            outside = _fill_outside(frame)
            if outside and not told:
                told = True
                logger.warning(
                    "%s: frame %d: %d of %d voxels are NaN, in regions that reach the border of the "
                    "image: outside the field of view, and read as 0, here and in later frames",
                    header.file,
                    number,
                    outside,
                    frame.size,
                )
            if finite:
                _require_finite(frame, header, number)
            yield number, frame
        if header.gzipped:
            while stream.read(_BLOCK_BYTES):
                pass


def _empty_frame(header: ImageHeader) -> np.ndarray:
    try:
        return np.empty(header.frame_shape, header.dtype, order="F")
    except (MemoryError, ValueError):  # the second where numbers of bytes end
        raise InputError(
            f"{header.file}: its header tells of {header.frame_shape} voxels of {header.dtype}, "
            f"{np.prod(header.frame_shape, dtype=float) * header.dtype.itemsize / 2**30:.3g} GiB, for "
            f"which there is no memory. Is the header damaged? {_FETCH_AGAIN}"
        ) from None


def _scaled(raw: np.ndarray, header: ImageHeader) -> np.ndarray:
    with np.errstate(over="ignore"):  # whoever reads the frame counts its infinities
        frame = raw.astype(np.float32)
        if header.slope != 1.0:
            frame *= np.float32(header.slope)
        if header.intercept != 0.0:
            frame += np.float32(header.intercept)
    return frame


def _fill_outside(frame: np.ndarray) -> int:
    """Put 0 for NaN in regions that reach the border of the image, in place; how many voxels.

    A frame without any number stays what it is.
    """
    missing = np.isnan(frame)
    if not missing.any() or missing.all():
        return 0
    from scipy import ndimage  # noqa: PLC0415 (slow, and the workflow reads settings through this module)

    regions, _ = ndimage.label(missing)
    faces = [np.take(regions, end, axis=axis) for axis in range(frame.ndim) for end in (0, -1)]
    reaching = np.unique(np.concatenate([face.ravel() for face in faces]))
    outside = np.isin(regions, reaching[reaching > 0])
    frame[outside] = 0
    return int(np.count_nonzero(outside))


def _require_finite(frame: np.ndarray, header: ImageHeader, number: int) -> None:
    bad = frame.size - int(np.count_nonzero(np.isfinite(frame)))
    if bad:
        raise InputError(
            f"{header.file}: {bad} of {frame.size} values of frame {number} are not finite. Repair the "
            "image or fetch it again; nothing is made of it as it is."
        )


@contextmanager
def _open(path: Path, header: ImageHeader) -> Iterator[_Stream]:
    with gzip.open(path) if header.gzipped else path.open("rb") as stream:
        yield stream


def _skip(stream: _Stream, count: int, header: ImageHeader) -> None:
    if not header.gzipped:
        stream.seek(count, 1)
        return
    while count > 0:
        block = stream.read(min(count, _BLOCK_BYTES))
        if not block:
            raise EOFError("it ends before its last frame")
        count -= len(block)


def _fill(stream: _Stream, buffer: memoryview, header: ImageHeader, number: int) -> None:
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
            except KeyError as code:
                raise InputError(f"{file}: its datatype is {code}, which NIfTI has not.") from None
            except (HeaderDataError, ValueError) as error:
                raise InputError(f"{file}: its NIfTI header cannot be read ({error}).") from None
            if not bytes(header["magic"]).startswith(kind.pair_magic):  # of a header without its image
                return header
    if foreign := foreign_content(begin, file):
        raise InputError(f"{file}: is {foreign.what}, which is not read; {foreign.remedy}.")
    raise InputError(f"{file}: is no NIfTI image. {_FETCH_AGAIN}")


@contextmanager
def _damage_named(file: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file}: damaged ({error}). {_FETCH_AGAIN}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({_why_unreadable(error)}).") from None


def _why_unreadable(error: OSError) -> str:
    """Why a file that may be whole is not read, and what helps."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "it is a folder, not an image"
        case PermissionError():
            return (
                f"{error.strerror}: give this user the right to read the file and to enter its folders"
            )
    return f"{error.strerror or error}: the disk or the network failed, the file may be whole; try again"
