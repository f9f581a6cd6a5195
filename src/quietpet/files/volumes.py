"""3-D NIfTI images as volumes: read with doubts about their position raised, written without any.

Import, registration and checks read with one reader, and by one rule which position an image has:
:mod:`quietpet.files.series` and :mod:`quietpet.files.placement`, which the audit reports by.
"""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import nibabel as nib
import numpy as np

from quietpet.errors import InputError
from quietpet.files.atomic import atomic_path
from quietpet.files.nifti import GZIP_LEVEL, set_position
from quietpet.files.placement import COSINE_TOLERANCE, header_faults, largest_cosine
from quietpet.files.series import ImageHeader, frames, read_header
from quietpet.geometry.volume import Volume

logger = logging.getLogger(__name__)


def read_volume(path: Path) -> Volume:
    """A 3-D image in float32, which may hold NaN; its position is the sform, else the qform.

    Raises:
        InputError: no whole 3-D NIfTI image, or one whose header places it nowhere, or in two mirrored
            ways, or shears it.
    """
    header = read_header(path)
    if header.shape[3:] not in ((), (1,)) or min(header.frame_shape) < 2:
        raise InputError(
            f"{path}: has {len(header.shape)} axes {header.shape}; registration takes one 3-D image, "
            "such as the mean of a window."
        )
    _require_position(header)
    ((_, values),) = frames(path, header, finite=False)
    return Volume(values=values, affine_ras_mm=header.affine_ras_mm)


def read_description(path: Path) -> str:
    """What the header says in words (``descrip``); the import names the window and the unit there.

    Raises:
        InputError: no NIfTI image.
    """
    return read_header(path).description


def write_volume(target: Path, volume: Volume, *, description: str = "") -> None:
    """float32, gzipped, with the same position in sform and qform.

    Raises:
        InputError: the axes are not at right angles, which a qform cannot hold.
    """
    if largest_cosine(volume.affine_ras_mm) > COSINE_TOLERANCE:
        raise InputError(f"{target.name}: its axes are not at right angles; reslice the image first.")
    image = nib.Nifti1Image(np.asarray(volume.values, np.float32), volume.affine_ras_mm)
    set_position(image, volume.affine_ras_mm)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    with atomic_path(target) as partial:
        # Neither name nor time, so that the same image is the same bytes.
        partial.write_bytes(gzip.compress(image.to_bytes(), GZIP_LEVEL, mtime=0))


def write_copy(target: Path, volume: Volume, *, sform_code: int) -> None:
    """float32, uncompressed, its position in the sform alone: for a program that changes it in place."""
    image = nib.Nifti1Image(np.asarray(volume.values, np.float32), volume.affine_ras_mm)
    image.set_qform(None, 0)
    image.set_sform(volume.affine_ras_mm, sform_code)
    image.to_filename(target)


def read_sform(path: Path) -> tuple[np.ndarray | None, int]:
    """The sform as the file has it, and its code; None where the code is 0."""
    return nib.Nifti1Image.from_filename(path).get_sform(coded=True)


def in_ras_order(volume: Volume) -> Volume:
    """The same voxels with axes turned to right, anterior, superior, without interpolation."""
    image = nib.as_closest_canonical(nib.Nifti1Image(volume.values, volume.affine_ras_mm))
    return Volume(values=np.asarray(image.dataobj), affine_ras_mm=image.affine)


def _require_position(header: ImageHeader) -> None:
    """Refuse what the audit calls an error of a header's position, and tell of what it warns of."""
    for fault in header_faults(header):
        sentence = (
            f"{header.file}: {fault.key}: {fault.value}, expected {fault.expected}; {fault.evidence}"
        )
        if fault.severity == "error":
            raise InputError(f"{sentence}. Repair the header, or convert the image again.")
        logger.warning("%s; %s", sentence, fault.correction)
