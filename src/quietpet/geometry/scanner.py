"""Where the lines of response are. Sinograms are indexed (view, bin).

Conventions are those of STIR for cylindrical scanners without arc correction: all bins of a view share
one angle, and their radial offsets are those of a circle of crystals, s = R sin(k pi / N).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ScannerGeometry:
    """A cylindrical PET scanner: the lines of one direct plane, and how its rings are combined.

    ``crystals_per_ring`` counts positions, the virtual crystals in the gaps between blocks included;
    ``n_rings`` counts rings in the same way. ``span`` and ``max_ring_difference`` are those of the
    vendor's default sinograms (axial compression). ``first_view_rad`` is STIR's intrinsic tilt, and
    ``image_pixel_mm`` its default bin size, also the pixel of its default image. ``stir_name`` is
    the name under which STIR has this scanner without time of flight, if it has.
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
    image_pixel_mm: float
    first_view_rad: float = 0.0
    stir_name: str | None = None

    @property
    def effective_radius_mm(self) -> float:
        """Radius at which annihilation photons interact on average."""
        return self.inner_radius_mm + self.depth_of_interaction_mm

    @property
    def n_views(self) -> int:
        return self.crystals_per_ring // 2

    @property
    def n_image_slices(self) -> int:
        """Slices of half the ring spacing: one per ring and one between neighbours."""
        return 2 * self.n_rings - 1

    @property
    def views_are_symmetric(self) -> bool:
        """Whether a quarter turn, and exchanging x and y, map the set of views onto itself."""
        return self.n_views % 2 == 0 and self.first_view_rad == 0

    @property
    def sinogram_shape(self) -> tuple[int, int]:
        return (self.n_views, self.n_bins)

    @property
    def view_angles_rad(self) -> np.ndarray:
        """Angle of each view, shape (view,): 0 integrates along y, pi/2 along x."""
        return self.first_view_rad + np.arange(self.n_views) * np.pi / self.n_views

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
    """Siemens Biograph mMR (STIR's ``Scanner::Siemens_mMR``; Delso et al., J Nucl Med 52:1914, 2011).

    56 blocks of 8 crystals and 1 virtual crystal; 252 views of 344 bins; 837 sinograms in span 11.
    """
    return ScannerGeometry(
        name="siemens_mmr",
        stir_name="Siemens mMR",
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
        image_pixel_mm=2.08626,
    )


def siemens_vision_600() -> ScannerGeometry:
    """Siemens Biograph Vision 600 (STIR's ``Scanner::Siemens_Vision_600``; van Sluis et al., J Nucl Med
    60:1031, 2019: 26.3 cm axial, 3.2-mm crystals).

    38 blocks of 20 crystals and 1 virtual crystal; 399 views of 520 bins (the vendor's sinograms are
    mashed to 50 views and have time-of-flight bins, which are not simulated). STIR calls its 7 mm depth
    of interaction uncertain and names no axial compression; span 19 gives 815 sinograms.
    """
    return ScannerGeometry(
        name="siemens_vision_600",
        inner_radius_mm=410.0,
        depth_of_interaction_mm=7.0,
        ring_spacing_mm=3.29114,
        n_rings=80,
        max_ring_difference=79,
        span=19,
        crystals_per_ring=798,
        crystals_per_block=20,
        virtual_crystals_per_block=1,
        n_bins=520,
        image_pixel_mm=1.6,
        first_view_rad=0.0324,
    )


def ge_signa_petmr() -> ScannerGeometry:
    """GE Signa PET/MR (STIR's ``Scanner::PETMR_Signa`` and its sample header; Grant et al., Med Phys
    43:2334, 2016: 62.4 cm ring diameter, 25 cm axial).

    28 modules of 4 blocks of 4 crystals, no virtual ones; 224 views of 357 bins. GE's span 2 joins the
    ring differences -1, 0 and 1, then pairs: 1981 sinograms. Time of flight is not simulated.
    """
    return ScannerGeometry(
        name="ge_signa_petmr",
        inner_radius_mm=311.8,
        depth_of_interaction_mm=8.5,
        ring_spacing_mm=5.56,
        n_rings=45,
        max_ring_difference=44,
        span=2,
        crystals_per_ring=448,
        crystals_per_block=4,
        virtual_crystals_per_block=0,
        n_bins=357,
        image_pixel_mm=2.01565,
        first_view_rad=np.deg2rad(-5.23),
    )


def small_test() -> ScannerGeometry:
    """No real scanner: the smallest one that holds a head, for tests and first steps.

    21 blocks of 7 crystals and 1 virtual crystal; 84 views of 112 bins, 4.5 mm wide; 8 rings.
    """
    return ScannerGeometry(
        name="small_test",
        inner_radius_mm=235.0,
        depth_of_interaction_mm=5.0,
        ring_spacing_mm=8.0,
        n_rings=8,
        max_ring_difference=7,
        span=3,
        crystals_per_ring=168,
        crystals_per_block=7,
        virtual_crystals_per_block=1,
        n_bins=112,
        image_pixel_mm=4.5,
    )


SCANNERS: dict[str, Callable[[], ScannerGeometry]] = {
    "siemens_mmr": siemens_mmr,
    "siemens_vision_600": siemens_vision_600,
    "ge_signa_petmr": ge_signa_petmr,
    "small_test": small_test,
}
"""The scanners that ``scanner.model`` accepts."""
