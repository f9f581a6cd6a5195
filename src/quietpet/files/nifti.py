"""NIfTI images written whole or not at all, series frame by frame."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np

from quietpet.files.atomic import atomic_path

GZIP_LEVEL = 1
"""Noise hardly compresses; this level takes a fifth of the time of the default."""

_Stream = BinaryIO | gzip.GzipFile

_SCANNER_ANATOMICAL = 1  # the form's code in NIfTI-1: coordinates of the scanner
_LARGEST = np.iinfo(np.int16).max


class SeriesWriter:
    """Appends frames (z, y, x) of ``scale`` per integer to an open file; see :func:`write_series`."""

    def __init__(self, stream: _Stream, *, shape: tuple[int, ...], scale: float) -> None:
        self._stream, self._shape, self._scale = stream, shape, scale
        self.frames = 0

    def append(self, frame: np.ndarray) -> None:
        """Add one frame.

        Raises ValueError for one that is not finite or beyond the range of the integers.
        """
        if frame.shape != self._shape:
            raise ValueError(f"frame {self.frames} is {frame.shape}, not {self._shape}")
        integers = np.rint(frame / np.float32(self._scale))
        if not np.abs(integers).max() <= _LARGEST:  # NaN as well
            raise ValueError(
                f"frame {self.frames} reaches {np.abs(frame).max():g}, beyond {_LARGEST * self._scale:g}"
            )
        self._stream.write(integers.astype("<i2").tobytes())
        self.frames += 1


@contextmanager
def write_series(
    target: Path,
    *,
    shape: tuple[int, int, int],
    frames: int,
    affine_ras_mm: np.ndarray,
    frame_seconds: float,
    scale: float,
    compressed: bool = True,
) -> Iterator[SeriesWriter]:
    """A 4-D int16 series, one frame (z, y, x) of ``shape`` in memory at a time.

    ``affine_ras_mm`` takes (x, y, z, 1) to RAS mm; values are integers times ``scale``. NIfTI has one
    ``frame_seconds`` for all frames: the mean of unequal ones. The file appears when all ``frames`` are
    in it. With ``compressed`` false it is not, whatever its name says.

    Raises ValueError if fewer or more frames were written.
    """
    header = _header((*shape[::-1], frames), affine_ras_mm, scale=scale)
    header["pixdim"][4] = frame_seconds
    with atomic_path(target) as partial, _opened(partial, compressed=compressed) as stream:
        _write_header(stream, header)
        writer = SeriesWriter(stream, shape=shape, scale=scale)
        yield writer
        if writer.frames != frames:
            raise ValueError(f"{target}: {writer.frames} frames instead of {frames}")


def write_integers(target: Path, values: np.ndarray, affine_ras_mm: np.ndarray) -> None:
    """An int16 image (i, j, k), compressed; ``affine_ras_mm`` takes (i, j, k, 1) to RAS mm."""
    with atomic_path(target) as partial, _opened(partial, compressed=True) as stream:
        _write_header(stream, _header(values.shape, affine_ras_mm, scale=1.0))
        stream.write(values.astype("<i2").tobytes(order="F"))


def set_position(image: nib.Nifti1Image | nib.Nifti1Header, affine_ras_mm: np.ndarray) -> None:
    """The same position in qform and sform: programs differ in which they read."""
    image.set_qform(affine_ras_mm, _SCANNER_ANATOMICAL)
    image.set_sform(affine_ras_mm, _SCANNER_ANATOMICAL)


def _header(shape: tuple[int, ...], affine_ras_mm: np.ndarray, *, scale: float) -> nib.Nifti1Header:
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_xyzt_units("mm", "sec")
    set_position(header, affine_ras_mm)
    header["scl_slope"], header["scl_inter"] = scale, 0.0
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["descrip"] = b"standin (quietpet simulation)"
    return header


def _write_header(stream: _Stream, header: nib.Nifti1Header) -> None:
    stream.write(header.binaryblock + bytes(4))  # four zeros: no extension


@contextmanager
def _opened(path: Path, *, compressed: bool) -> Iterator[_Stream]:
    with path.open("wb") as plain:
        if not compressed:
            yield plain
            return
        # Neither name nor time, so that the same image is the same bytes.
        with gzip.GzipFile("", "wb", GZIP_LEVEL, plain, mtime=0) as packed:
            yield packed
