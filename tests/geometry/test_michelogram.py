from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import pytest

from quietpet.geometry.michelogram import segments
from quietpet.geometry.scanner import siemens_mmr


def test_the_mmr_has_837_sinograms():
    """127 + 2 (115 + 93 + 71 + 49 + 27): the vendor's span-11 layout."""
    found = segments(siemens_mmr())
    assert [segment.number for segment in found] == [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5]
    assert [segment.n_planes for segment in found[1::2]] == [115, 93, 71, 49, 27]
    assert sum(segment.n_planes for segment in found) == 837
    assert [segment.mean_ring_difference for segment in found[1::2]] == [11, 22, 33, 44, 55]


@pytest.mark.parametrize(("span", "largest"), [(11, 60), (3, 10), (2, 9)])
def test_ring_pairs_are_those_of_counting_by_hand(span, largest):
    scanner = dataclasses.replace(siemens_mmr(), span=span, max_ring_difference=largest, n_rings=12)
    if largest >= scanner.n_rings:
        scanner = dataclasses.replace(scanner, n_rings=64)
    total = 0
    for segment in segments(scanner):
        by_sum = Counter(
            first + second
            for first, second in itertools.product(range(scanner.n_rings), repeat=2)
            if segment.least_ring_difference <= second - first <= segment.largest_ring_difference
        )
        assert [by_sum[key] for key in sorted(by_sum)] == segment.ring_pairs.tolist()
        assert sorted(by_sum) == list(range(min(by_sum), max(by_sum) + 1))
        total += segment.ring_pairs.sum()
    pairs = itertools.product(range(scanner.n_rings), repeat=2)
    assert total == sum(abs(second - first) <= largest for first, second in pairs)


def test_an_even_span_gives_segment_0_one_ring_difference_more():
    """GE's span 2: ring differences -1..1, then 2..3, 4..5, ..."""
    scanner = dataclasses.replace(siemens_mmr(), span=2, max_ring_difference=5)
    limits = [(s.least_ring_difference, s.largest_ring_difference) for s in segments(scanner)]
    assert limits == [(-1, 1), (2, 3), (-3, -2), (4, 5), (-5, -4)]


def test_span_1_is_refused():
    with pytest.raises(ValueError, match="span 1 is below 2"):
        segments(dataclasses.replace(siemens_mmr(), span=1))
