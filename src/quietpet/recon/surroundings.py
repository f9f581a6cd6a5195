"""What is outside of the object: there is no activity, and no image may be brightest there."""

from __future__ import annotations

import torch

from quietpet.projection.protocol import Projector

HOTTEST_OUTSIDE = 1.5
"""Largest value outside the object / largest inside, from which on an image is wrong.

OSEM of heads with scatter and randoms gave 0.02 to 0.5, the most after 30 iterations of 300 trues in a
slice at the crown; pixels that no line crosses, if they were updated, 1.5 to 1e9.
"""


def outside_object(through_air: torch.Tensor, projector: Projector) -> torch.Tensor:
    """Mask (slice, y, x) of the pixels outside of what attenuates.

    ``through_air`` (slice, view, bin) marks the lines that nothing attenuates: a pixel that one of them
    crosses is outside, and so is one that no line crosses. Inside is the visual hull of the object
    (Laurentini, IEEE TPAMI 16:150, 1994).
    """
    in_air = projector.adjoint(through_air.to(torch.float32)) > 0
    attenuated = projector.adjoint((~through_air).to(torch.float32)) > 0
    return in_air | ~attenuated


def hottest_outside(images: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
    """Largest value outside / largest inside of images (slice, y, x), by slice.

    Infinite where all inside is 0 and something outside is not; 0 where the object fills nothing or all
    of the image.
    """
    nothing = images.new_zeros(())
    hot, inside = (
        torch.where(where, images, nothing).amax(dim=(-2, -1)) for where in (outside, ~outside)
    )
    known = outside.any(dim=-1).any(dim=-1) & (~outside).any(dim=-1).any(dim=-1)
    return torch.where(known & (hot > 0), hot / inside, nothing)
