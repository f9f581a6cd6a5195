"""3-D images of the in-vivo part: NIfTI, float32, axes in RAS order, one position in both forms."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from quietpet.errors import InputError
from quietpet.store import atomic_path

_SCANNER_ANATOMICAL = 1
_GZIP_LEVEL = 1
_SHEAR_MM = 0.1


def write_volume_ras(
    target: Path, values: np.ndarray, affine_ras_mm: np.ndarray, *, description: str
) -> None:
    """Write ``values`` (i, j, k), its axes turned to right, anterior, superior without interpolation.

    The file is the same bytes for the same image. Raises InputError where the affine is sheared: the
    qform cannot hold it.
    """
    image = nib.as_closest_canonical(nib.Nifti1Image(values.astype(np.float32), affine_ras_mm))
    image.header.set_xyzt_units("mm", "unknown")
    image.header["descrip"] = description.encode()[:79]
    image.set_qform(image.affine, code=_SCANNER_ANATOMICAL)
    image.set_sform(image.affine, code=_SCANNER_ANATOMICAL)
    corner = [*image.shape, 1]
    if np.abs((image.get_qform() - image.get_sform()) @ corner).max() > _SHEAR_MM:
        raise InputError(f"{target.name}: its axes are not at right angles; reslice the image first.")
    with atomic_path(target) as partial:
        partial.write_bytes(gzip.compress(image.to_bytes(), _GZIP_LEVEL, mtime=0))
