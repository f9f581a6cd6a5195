"""Which lanes of a padded column of voxels each block of sinogram planes reads, and the reverse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.michelogram import Segment
from quietpet.projection.gather import Shear


@dataclass(frozen=True, kw_only=True)
class _Block:
    """The planes of one segment, in slices of the volume."""

    n_planes: int
    first_slice: int
    slope: float
    reach: int

    @property
    def pad(self) -> int:
        """Empty lanes beside the planes: any slice, shifted by any drift, then finds a lane."""
        return self.first_slice + self.reach


@dataclass(frozen=True, kw_only=True)
class AxialLayout:
    """Planes and slices of a 3-D acquisition as lanes of sheared products.

    Lanes are padded with zeros, so that no product has to check where a shifted lane ends up.
    """

    n_slices: int
    blocks: tuple[_Block, ...]

    @property
    def n_planes(self) -> int:
        return sum(block.n_planes for block in self.blocks)

    @property
    def plane_shears(self) -> tuple[Shear, ...]:
        """From padded slices to planes."""
        return tuple(
            Shear(
                slope=block.slope,
                source_lane=self._slice_pad + block.first_slice,
                target_lane=first_plane,
                n_lanes=block.n_planes,
            )
            for block, first_plane in zip(self.blocks, self._first_planes, strict=True)
        )

    @property
    def slice_shears(self) -> tuple[Shear, ...]:
        """From padded planes to slices: the adjoint, whose shifts have the opposite sign."""
        return tuple(
            Shear(
                slope=-block.slope,
                source_lane=first_lane - block.first_slice,
                target_lane=0,
                n_lanes=self.n_slices,
            )
            for block, first_lane in zip(self.blocks, self._first_padded_planes, strict=True)
        )

    def pad_slices(self, volume: torch.Tensor) -> torch.Tensor:
        """Columns (pixel, slice) with empty slices before and behind."""
        return torch.nn.functional.pad(volume, (self._slice_pad, self._slice_pad))

    def pad_planes(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Columns (line, plane) with empty planes around every segment."""
        n_lanes = sum(block.n_planes + 2 * block.pad for block in self.blocks)
        padded = sinogram.new_zeros((sinogram.shape[0], n_lanes))
        for block, source, target in zip(
            self.blocks, self._first_planes, self._first_padded_planes, strict=True
        ):
            planes = sinogram[:, source : source + block.n_planes]
            padded[:, target : target + block.n_planes] = planes
        return padded

    @property
    def _slice_pad(self) -> int:
        return max(max(block.reach - block.first_slice, 0) for block in self.blocks)

    @property
    def _first_planes(self) -> list[int]:
        return list(itertools.accumulate((block.n_planes for block in self.blocks), initial=0))[:-1]

    @property
    def _first_padded_planes(self) -> list[int]:
        ends = itertools.accumulate((block.n_planes + 2 * block.pad for block in self.blocks), initial=0)
        return [end + block.pad for end, block in zip(ends, self.blocks, strict=False)]


def axial_layout(
    segments: Sequence[Segment], grid: ImageGrid, *, ring_spacing_mm: float, largest_drift: float
) -> AxialLayout:
    """The layout of all ``segments``; ``largest_drift`` bounds the drift of any entry (0..1/2).

    Raises:
        ValueError: the slices of ``grid`` do not coincide with the planes.
    """
    if not math.isclose(grid.slice_mm, ring_spacing_mm / 2, rel_tol=1e-6):
        raise ValueError(
            f"slices are {grid.slice_mm} mm thick, but the planes of 3-D data lie half a ring spacing, "
            f"{ring_spacing_mm / 2} mm, apart"
        )
    blocks = []
    for segment in segments:
        first_slice, odd = divmod(grid.n_slices - segment.n_planes, 2)
        if odd or first_slice < 0:
            raise ValueError(
                f"{grid.n_slices} slices cannot be centred on the {segment.n_planes} planes of segment "
                f"{segment.number}: an odd number, at least as many, is needed"
            )
        slope = segment.mean_ring_difference * ring_spacing_mm / grid.slice_mm
        reach = math.ceil(abs(slope) * largest_drift) + 1
        blocks.append(
            _Block(n_planes=segment.n_planes, first_slice=first_slice, slope=slope, reach=reach)
        )
    return AxialLayout(n_slices=grid.n_slices, blocks=tuple(blocks))
