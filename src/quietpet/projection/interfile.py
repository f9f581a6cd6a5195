"""Interfile headers: how STIR is told of a scanner without time of flight, of any number of rings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quietpet.geometry.scanner import ScannerGeometry
from quietpet.units import MM_PER_CM


def write_template(folder: Path, scanner: ScannerGeometry, *, n_rings: int) -> Path:
    """Write empty direct-plane sinograms of ``n_rings`` rings; returns the path of the header."""
    header = folder / "template.hs"
    header.write_text(direct_plane_header(scanner, n_rings=n_rings, data_name="template.s"))
    np.zeros((n_rings, *scanner.sinogram_shape), "<f4").tofile(folder / "template.s")
    return header


def direct_plane_header(scanner: ScannerGeometry, *, n_rings: int, data_name: str) -> str:
    """Header of one segment of ring difference 0 in ``n_rings`` rings (STIR's Interfile 6.0 keys).

    A scanner that STIR does not know under ``scanner.stir_name`` is described as user-defined.
    """
    name = scanner.stir_name or "Userdefined"
    per_block = scanner.crystals_per_block + scanner.virtual_crystals_per_block
    lines = {
        "!INTERFILE ": "",
        "!imaging modality": "PT",
        "name of data file": data_name,
        "originating system": name,
        "!version of keys": "STIR6.0",
        "!GENERAL DATA": "",
        "!GENERAL IMAGE DATA": "",
        "!type of data": "PET",
        "imagedata byte order": "LITTLEENDIAN",
        "!PET STUDY (General)": "",
        "!PET data type": "Emission",
        "applied corrections": "{None}",
        "!number format": "float",
        "!number of bytes per pixel": 4,
        "number of dimensions": 4,
        "matrix axis label [4]": "segment",
        "!matrix size [4]": 1,
        "matrix axis label [3]": "view",
        "!matrix size [3]": scanner.n_views,
        "matrix axis label [2]": "axial coordinate",
        "!matrix size [2]": f"{{ {n_rings}}}",
        "matrix axis label [1]": "tangential coordinate",
        "!matrix size [1]": scanner.n_bins,
        "minimum ring difference per segment": "{ 0}",
        "maximum ring difference per segment": "{ 0}",
        "Scanner parameters": "",
        "Scanner type": name,
        "Number of rings": n_rings,
        "Number of detectors per ring": scanner.crystals_per_ring,
        "Inner ring diameter (cm)": _in_cm(2 * scanner.inner_radius_mm),
        "Average depth of interaction (cm)": _in_cm(scanner.depth_of_interaction_mm),
        "Distance between rings (cm)": _in_cm(scanner.ring_spacing_mm),
        "Default bin size (cm)": _in_cm(scanner.image_pixel_mm),
        "View offset (degrees)": f"{np.rad2deg(scanner.first_view_rad):.8g}",
        "Maximum number of non-arc-corrected bins": scanner.n_bins,
        "Default number of arc-corrected bins": scanner.n_bins,
        "Number of blocks per bucket in transaxial direction": 1,
        "Number of blocks per bucket in axial direction": 1,
        "Number of crystals per block in axial direction": 1,
        "Number of crystals per block in transaxial direction": per_block,
        "Number of detector layers": 1,
        "Number of crystals per singles unit in axial direction": 1,
        "Number of crystals per singles unit in transaxial direction": per_block,
        "Scanner geometry (BlocksOnCylindrical/Cylindrical/Generic)": "Cylindrical",
        "end scanner parameters": "",
        "number of time frames": 1,
        "!END OF INTERFILE": "",
    }
    return "".join(f"{key} := {value}".rstrip() + "\n" for key, value in lines.items())


def _in_cm(length_mm: float) -> str:
    return f"{length_mm / MM_PER_CM:.8g}"
