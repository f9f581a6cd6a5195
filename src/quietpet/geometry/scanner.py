"""Where the lines of response are. Sinograms are indexed (view, bin).

Conventions are those of STIR for cylindrical scanners without arc correction: all bins of a view share
one angle, and their radial offsets are those of a circle of crystals, s = R sin(k pi / N).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ScannerGeometry:
    """A cylindrical PET scanner: the lines of one direct plane, and how its rings are combined.

    ``crystals_per_ring`` counts positions, the virtual crystals in the gaps between blocks included;
    ``n_rings`` counts rings in the same way. ``span`` and ``max_ring_difference`` are those of the
    vendor's default sinograms (axial compression).
    """

    name: str
    inner_radius_mm: float
    depth_of_interaction_mm: float
    ring_spacing_mm: float
    n_rings: int
    max_ring_difference: int
    span: int
    crystals_per_ring: int
    crystals_per_block: int
    virtual_crystals_per_block: int
    n_bins: int

    @property
    def effective_radius_mm(self) -> float:
        """Radius at which annihilation photons interact on average."""
        return self.inner_radius_mm + self.depth_of_interaction_mm

    @property
    def n_views(self) -> int:
        return self.crystals_per_ring // 2

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        return (self.n_views, self.n_bins)

    @property
    def view_angles_rad(self) -> np.ndarray:
        """Angle of each view, shape (view,): 0 integrates along y, pi/2 along x."""
        return np.arange(self.n_views) * np.pi / self.n_views

    @property
    def bin_offsets_mm(self) -> np.ndarray:
        """Signed distance s of each bin from the axis, shape (bin,); denser towards the edge."""
        return self._offset_mm(self._tangential_positions)

    @property
    def bin_widths_mm(self) -> np.ndarray:
        """Half the distance between the neighbours of each bin, shape (bin,)."""
        k = self._tangential_positions
        return (self._offset_mm(k + 1) - self._offset_mm(k - 1)) / 2

    @property
    def crystal_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the two crystals of each bin, each of shape (view, bin).

        STIR's numbering (``get_det_pos_pair_for_bin``): k > 0 moves the two ends alternately.
        """
        view = np.arange(self.n_views)[:, None]
        k = self._tangential_positions[None, :]
        first = (view + (k >> 1)) % self.crystals_per_ring
        second = (view - ((k + 1) >> 1) + self.n_views) % self.crystals_per_ring
        return first, second

    @property
    def gap_mask(self) -> np.ndarray:
        """True where a bin ends in a virtual crystal, shape (view, bin)."""
        pitch = self.crystals_per_block + self.virtual_crystals_per_block
        first, second = self.crystal_pairs
        return (first % pitch >= self.crystals_per_block) | (second % pitch >= self.crystals_per_block)

    @property
    def _tangential_positions(self) -> np.ndarray:
        return np.arange(self.n_bins) - self.n_bins // 2

    def _offset_mm(self, tangential_position: np.ndarray) -> np.ndarray:
        angle = tangential_position * np.pi / self.crystals_per_ring
        return self.effective_radius_mm * np.sin(angle)


def siemens_mmr() -> ScannerGeometry:
    """Siemens Biograph mMR (numbers of STIR's ``Scanner::Siemens_mMR``; Delso et al. 2011).

    56 blocks of 8 crystals and 1 virtual crystal; 252 views of 344 bins; 837 sinograms in span 11.
    """
    return ScannerGeometry(
        name="siemens_mmr",
        inner_radius_mm=328.0,
        depth_of_interaction_mm=7.0,
        ring_spacing_mm=4.0625,
        n_rings=64,
        max_ring_difference=60,
        span=11,
        crystals_per_ring=504,
        crystals_per_block=8,
        virtual_crystals_per_block=1,
        n_bins=344,
    )


SCANNERS = {"siemens_mmr": siemens_mmr}
