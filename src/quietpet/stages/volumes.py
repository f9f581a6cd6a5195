"""3-D NIfTI images as volumes: read with doubts about their position raised, written without any."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from quietpet.errors import InputError
from quietpet.registration.volume import Volume
from quietpet.stages.nifti import GZIP_LEVEL, set_position
from quietpet.store import atomic_path

_GZIP_MAGIC = b"\x1f\x8b"
_NIFTI_ERRORS = (ImageFileError, HeaderDataError, WrapStructError)
_FORMS_AGREE_MM = 0.5
_SHEAR_MM = 0.1


def read_volume(path: Path) -> Volume:
    """A 3-D image in float32.

    Raises:
        InputError: no whole 3-D NIfTI image, or one whose two positions contradict each other.
    """
    try:
        image = _whole_image(path.read_bytes())
        values = np.squeeze(image.get_fdata(dtype=np.float32))
        sform, qform = (form(coded=True)[0] for form in (image.get_sform, image.get_qform))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except (*_NIFTI_ERRORS, EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: not a whole NIfTI image ({error}); replace it.") from None
    if values.ndim != 3:
        raise InputError(
            f"{path}: has {image.ndim} axes {image.shape}; registration takes one 3-D image, such as "
            "the mean of a window."
        )
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise InputError(f"{path}: its affine is singular, {affine.tolist()}; repair the header.")
    if sform is not None and qform is not None:
        _require_agreement(path, Volume(values=values, affine_ras_mm=sform), qform)
    return Volume(values=values, affine_ras_mm=affine)


def _whole_image(content: bytes) -> nib.Nifti1Image:
    """An image from a file's bytes; gzip's checksum is compared, which nibabel never reads."""
    if content.startswith(_GZIP_MAGIC):
        content = gzip.decompress(content)
    second = content[:4] in (struct.pack("<i", 540), struct.pack(">i", 540))
    return (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(content)


def write_volume(target: Path, volume: Volume, *, description: str = "") -> None:
    """float32, gzipped, with the same position in sform and qform.

    Raises:
        InputError: the axes are not at right angles, which a qform cannot hold.
    """
    image = nib.Nifti1Image(np.asarray(volume.values, np.float32), volume.affine_ras_mm)
    set_position(image, volume.affine_ras_mm)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    far_corner = np.array([*image.shape, 1])
    if np.abs((image.get_qform() - image.get_sform()) @ far_corner).max() > _SHEAR_MM:
        raise InputError(f"{target.name}: its axes are not at right angles; reslice the image first.")
    with atomic_path(target) as partial:
        # Neither name nor time, so that the same image is the same bytes.
        partial.write_bytes(gzip.compress(image.to_bytes(), GZIP_LEVEL, mtime=0))


def in_ras_order(volume: Volume) -> Volume:
    """The same voxels with axes turned to right, anterior, superior, without interpolation."""
    image = nib.as_closest_canonical(nib.Nifti1Image(volume.values, volume.affine_ras_mm))
    return Volume(values=np.asarray(image.dataobj), affine_ras_mm=image.affine)


def _require_agreement(path: Path, volume: Volume, qform: np.ndarray) -> None:
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(volume.values.shape) - 1)
    there = Volume(values=volume.values, affine_ras_mm=qform).world_mm(corners)
    apart_mm = np.linalg.norm(volume.world_mm(corners) - there, axis=1).max()
    if apart_mm <= _FORMS_AGREE_MM:
        return
    mirrored = np.linalg.det(volume.affine_ras_mm[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    how = "mirror images of each other (left and right exchanged)" if mirrored else "different positions"
    raise InputError(
        f"{path}: its sform and qform are {how}, {apart_mm:.1f} mm apart; find out which is right and "
        "write it to both."
    )
