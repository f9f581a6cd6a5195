from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from quietpet.seeds import named_seed, numpy_rng, torch_generator


def test_names_not_order_decide():
    first = numpy_rng(1, "04", 65).random(3)
    numpy_rng(1, "05", 65).random(1000)
    np.testing.assert_array_equal(first, numpy_rng(1, "04", 65).random(3))


def test_different_names_get_different_seeds():
    names = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "bc", ""), (1,), ("1",), (12, 3), (1, 23)]
    assert len({named_seed(0, *parts) for parts in names}) == len(names)
    assert named_seed(0, "a") != named_seed(1, "a")


def test_seeds_are_the_same_on_every_machine():
    """Written down once: a change would silently change every study."""
    assert named_seed(0, "prompts", "low", "04/z065/r0") == 7194832273135961293


def test_torch_generators_are_named_too():
    draw = torch.rand(2, generator=torch_generator(3, "x"))
    assert torch.equal(draw, torch.rand(2, generator=torch_generator(3, "x")))


NAMES = st.lists(st.integers() | st.text(), max_size=4).map(tuple)


@given(st.sets(st.tuples(st.integers(), NAMES), min_size=2, max_size=20))
def test_no_two_names_share_a_seed(names):
    """Whatever they hold: spaces, colons, digits, nothing, another number of parts."""
    seeds = {named_seed(study_seed, *parts) for study_seed, parts in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(st.integers(), st.lists(st.text(min_size=1), min_size=1, max_size=3), st.data())
def test_names_cut_elsewhere_are_others(study_seed, parts, data):
    """Moving the border between two parts, or writing a number as text, changes the seed."""
    text = "".join(parts)
    cut = data.draw(st.integers(0, len(text)), label="cut")
    ways = {tuple(parts), (text,), (text[:cut], text[cut:]), (text, "")}
    assert len({named_seed(study_seed, *way) for way in ways}) == len(ways)
    assert named_seed(study_seed, "a", 1) != named_seed(study_seed, "a", "1")
