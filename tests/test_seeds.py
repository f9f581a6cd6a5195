from __future__ import annotations

import numpy as np
import torch

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
