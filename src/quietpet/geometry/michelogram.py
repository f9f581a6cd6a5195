"""Axial compression: which pairs of rings make which sinogram planes (Fahey, Semin Nucl Med 32, 2002).

A segment holds ``span`` neighbouring ring differences; its planes are half a ring spacing apart.
Segments are in STIR's order 0, +1, -1, +2, -2, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quietpet.geometry.scanner import ScannerGeometry


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Sinogram planes of similar obliqueness; ring difference is second ring - first ring."""

    number: int
    least_ring_difference: int
    largest_ring_difference: int
    n_rings: int

    @property
    def mean_ring_difference(self) -> float:
        """Obliqueness of all its lines, as STIR averages it."""
        return (self.least_ring_difference + self.largest_ring_difference) / 2

    @property
    def n_planes(self) -> int:
        """Planes half a ring spacing apart, as many as the least oblique pairs reach."""
        ring_differences = range(self.least_ring_difference, self.largest_ring_difference + 1)
        return 2 * (self.n_rings - min(map(abs, ring_differences))) - 1

    @property
    def ring_pairs(self) -> np.ndarray:
        """How many pairs of rings each plane adds up, shape (plane,)."""
        # Plane m holds the pairs whose ring numbers add to m + offset.
        offset = self.n_rings - 1 - (self.n_planes - 1) // 2
        pairs = np.zeros(self.n_planes, dtype=int)
        for ring_difference in range(self.least_ring_difference, self.largest_ring_difference + 1):
            sums = 2 * np.arange(self.n_rings - abs(ring_difference)) + abs(ring_difference)
            np.add.at(pairs, sums - offset, 1)
        return pairs


def segments(scanner: ScannerGeometry) -> tuple[Segment, ...]:
    """All segments of the scanner's sinograms.

    An even span is that of GE scanners: segment 0 holds one ring difference more than the others.

    Raises:
        ValueError: the span is 1, whose planes are a whole ring spacing apart.
    """
    if scanner.span < 2:
        raise ValueError(f"{scanner.name}: span {scanner.span} is below 2, planes would not interleave")
    half = scanner.span // 2
    ordered = [_segment(scanner, 0, -half, half)]
    first = half + 1
    for number, least in enumerate(range(first, scanner.max_ring_difference + 1, scanner.span), start=1):
        largest = min(least + scanner.span - 1, scanner.max_ring_difference)
        ordered.append(_segment(scanner, number, least, largest))
        ordered.append(_segment(scanner, -number, -largest, -least))
    return tuple(ordered)


def _segment(scanner: ScannerGeometry, number: int, least: int, largest: int) -> Segment:
    return Segment(
        number=number,
        least_ring_difference=least,
        largest_ring_difference=largest,
        n_rings=scanner.n_rings,
    )
