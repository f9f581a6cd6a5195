"""Heads simple enough to know everything about them."""

from __future__ import annotations

import numpy as np

from quietpet.phantom.tissues import LabelVolume, Tissue

VOXEL_MM = 2.0
SHAPE = (71, 101, 81)
BALL_MM = (25.0, 30.0, 20.0)
"""Middle of the white ball in RAS mm: right, front and top."""
BALL_RADIUS_MM = 15.0


def _squared(shape, semi_axes_mm, centre_mm=(0.0, 0.0, 0.0)):
    """Squared distance from ``centre_mm`` (RAS), in units of the semi-axes, (z, y, x)."""
    z, y, x = (VOXEL_MM * (np.arange(n) - (n - 1) / 2) for n in shape)
    right, front, top = (
        (along - middle) / semi
        for along, middle, semi in zip((x, -y, z), centre_mm, semi_axes_mm, strict=True)
    )
    return top[:, None, None] ** 2 + front[:, None] ** 2 + right**2


def head_with_ball() -> LabelVolume:
    """An ellipsoid of scalp, 130 x 170 x 120 mm, with a ball of white matter off its middle."""
    codes = np.zeros(SHAPE, np.uint8)
    codes[_squared(SHAPE, (65.0, 85.0, 60.0)) <= 1] = Tissue.SKIN
    codes[_squared(SHAPE, (BALL_RADIUS_MM,) * 3, BALL_MM) <= 1] = Tissue.WHITE_MATTER
    return LabelVolume(codes=codes, voxel_mm=VOXEL_MM)


def cylinder(code: int = Tissue.GREY_MATTER) -> LabelVolume:
    """A cylinder of one tissue around the axis, radius 80 mm, as high as the volume."""
    n_planes, side, _ = SHAPE
    along = VOXEL_MM * (np.arange(side) - (side - 1) / 2)
    codes = np.zeros((n_planes, side, side), np.uint8)
    codes[:, np.hypot(along[:, None], along) <= 80.0] = code
    return LabelVolume(codes=codes, voxel_mm=VOXEL_MM)
