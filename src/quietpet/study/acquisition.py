"""What scans ask of doses and of the scanner.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from quietpet.geometry.scanner import SCANNERS
from quietpet.study.contents import StudyContents


def require_calibration(study: StudyContents) -> None:
    """Doses by a scan and the calibration of images are given together, or neither is."""
    scans = [name for name, level in study.doses.levels.items() if level.scan]
    if study.acquisition.calibration is None:
        if scans:
            raise ValueError(
                f"dose {scans[0]!r} is given by a scan, which needs acquisition.calibration to "
                "become counts; add it, or give counts"
            )
    elif "standard" not in scans:
        raise ValueError(
            "acquisition.calibration gives images in kBq/ml, for which doses.standard needs a scan "
            "(injected_mbq, uptake_minutes, minutes) in place of counts"
        )
    elif study.phantoms.activity.grey_matter == 0:
        raise ValueError(
            "acquisition.calibration scales phantoms.activity by its grey matter, which is 0"
        )


def require_scanner_limits(study: StudyContents) -> None:
    """Nothing is larger than the scanner has: pixels, slices, subsets, windows of randoms."""
    scanner = SCANNERS[study.scanner.model]()
    limits = [
        ("scanner.image_pixels", study.scanner.image_pixels, scanner.n_bins, "bins"),
        ("datasets.pixels", study.datasets.pixels, scanner.n_bins, "bins"),
        ("slices.indices", max(study.slices.indices), scanner.n_image_slices - 1, "last slice"),
        (
            "acquisition.randoms_window",
            study.acquisition.randoms_window,
            min(scanner.sinogram_shape),
            "views or bins",
        ),
    ]
    doses = {"standard": study.doses.standard, **{f"low.{n}": d for n, d in study.doses.low.items()}}
    limits += [(f"doses.{n}.subsets", d.subsets, scanner.n_views, "views") for n, d in doses.items()]
    limits += [
        (f"methods.{n}.subsets", m.least_views, scanner.n_views, "views")
        for n, m in study.methods.items()
    ]
    if study.standin:
        limits.append(("standin.scan.subsets", study.standin.scan.subsets, scanner.n_views, "views"))
    for name, value, limit, what in limits:
        if value > limit:
            raise ValueError(f"{name} = {value} is larger than {limit}, the {what} of {scanner.name}")
