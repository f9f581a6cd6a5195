"""Is PET where T1 is? Edges of T1 over PET in three planes, before and after registration.

The planes show the outline of the face: treat the figure like an undefaced image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.feature import canny

from quietpet.files.atomic import atomic_path
from quietpet.geometry.volume import Volume
from quietpet.registration.credible import Registration
from quietpet.registration.head import head_mm
from quietpet.registration.volume import RigidTransform, resample
from quietpet.units import sigma_from_fwhm

PLANES = ("sagittal", "coronal", "transaxial")
_PIXEL_MM = 1.0
_HALF_SIDE_MM = 110.0
_EDGE_FWHM_MM = 3.0
_BRIGHTEST = 99.5
"""Percentile of PET that is white."""


def write_figure(target: Path, t1: Volume, pet: Volume, found: Registration, *, title: str) -> None:
    """The quality-control figure as PNG."""
    with atomic_path(target) as partial:
        draw(t1, pet, found, title=title).savefig(partial, format="png", dpi=120)


def write_figure_without_t1(target: Path, pet: Volume, *, title: str) -> None:
    """PET alone as PNG, of a scan without T1."""
    with atomic_path(target) as partial:
        draw_without_t1(pet, title=title).savefig(partial, format="png", dpi=120)


def draw_without_t1(pet: Volume, *, title: str) -> Figure:
    """One row: three planes through the middle of the head, where the headers place it."""
    figure, (panels,) = _black_panels(rows=1)
    for plane, axis in enumerate(panels):
        grid = _plane(plane, head_mm(pet).mean(axis=0))
        _panel(
            axis, edges_of=None, over=resample(pet, RigidTransform.identity(), like=grid), plane=plane
        )
        axis.set_title(PLANES[plane], fontsize=8, color="white")
    figure.suptitle(f"{title}: no T1, nothing is registered", fontsize=9, color="white")
    return figure


def draw(t1: Volume, pet: Volume, found: Registration, *, title: str) -> Figure:
    """Two rows (as the headers say, registered), three planes through the middle of the head.

    The subject's right is on the left; the nose of the sagittal plane points left.
    """
    rows = (
        (f"headers, NMI {found.nmi_before:.3f}", RigidTransform.identity()),
        (f"{found.engine}, NMI {found.nmi_after:.3f}", found.transform),
    )
    centre_mm = head_mm(t1).mean(axis=0)
    figure, axes = _black_panels(rows=len(rows))
    for panels, (label, transform) in zip(axes, rows, strict=True):
        for plane, axis in enumerate(panels):
            grid = _plane(plane, centre_mm)
            _panel(
                axis,
                edges_of=resample(t1, RigidTransform.identity(), like=grid),
                over=resample(pet, transform, like=grid),
                plane=plane,
            )
            axis.set_title(f"{PLANES[plane]}, {label}", fontsize=8, color="white")
    figure.suptitle(
        f"{title}: {found.rotation_deg:.1f} degrees, {found.translation_mm:.1f} mm, {found.version}",
        fontsize=9,
        color="white",
    )
    return figure


def _black_panels(*, rows: int) -> tuple[Figure, np.ndarray]:
    """A figure, and its axes (row, plane)."""
    figure = Figure(figsize=(9.0, 3.2 * rows), layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, len(PLANES), squeeze=False)


def _plane(normal: int, centre_mm: np.ndarray) -> Volume:
    """A grid of RAS mm, one voxel thick along axis ``normal``, around ``centre_mm``."""
    side = int(2 * _HALF_SIDE_MM / _PIXEL_MM) + 1
    shape = [side] * 3
    shape[normal] = 1
    affine = np.diag([_PIXEL_MM] * 3 + [1.0])
    affine[:3, 3] = centre_mm - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return Volume(values=np.broadcast_to(np.float32(0), shape), affine_ras_mm=affine)


def _panel(axis: Axes, *, edges_of: Volume | None, over: Volume, plane: int) -> None:
    pet = _image(over, plane)
    white = float(np.percentile(pet, _BRIGHTEST))
    axis.imshow(pet, cmap="gray", vmin=0, vmax=white or 1.0, origin="lower", interpolation="nearest")
    if edges_of is not None:
        t1, sigma = _image(edges_of, plane), sigma_from_fwhm(_EDGE_FWHM_MM) / _PIXEL_MM
        edges = canny(t1 / max(float(t1.max()), 1e-30), sigma=sigma)
        overlay = np.zeros((*edges.shape, 4))
        overlay[edges] = (1.0, 0.3, 0.1, 0.9)
        axis.imshow(overlay, origin="lower", interpolation="nearest")
    axis.set_axis_off()


def _image(thin: Volume, plane: int) -> np.ndarray:
    """Rows upwards; the subject's right, or the front, on the left."""
    image = thin.values.squeeze(plane).T
    return image if plane else image[:, ::-1]
