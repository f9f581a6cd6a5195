"""A projector that nobody holds leaves memory at once: its matrices are hundreds of megabytes."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import small_test
from quietpet.projection.embedded import embedded_projector, embedded_projector_3d, forget_projector

MAKERS = {"slices": embedded_projector, "volumes": embedded_projector_3d}


@pytest.fixture(params=MAKERS)
def projector(request):
    scanner = small_test()
    return MAKERS[request.param](scanner, scanner_grid(scanner, 32), rays=1)


@pytest.fixture
def no_search_for_cycles():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def maps_of(projector):
    """The maps that a projector holds, with those of its subsets and their adjoints."""
    parts = [projector, projector.trimmed(), *(projector.subset(each, 3) for each in range(3))]
    return [each for part in parts for each in (part._system, part._system.adjoint)]


def test_it_is_gone_without_a_search_for_cycles(no_search_for_cycles):
    scanner = small_test()
    for make in MAKERS.values():
        projector = make(scanner, scanner_grid(scanner, 32), rays=1)
        image = torch.ones(projector.image_shape, requires_grad=True)
        projector.subset(1, 3).forward(image).sum().backward()
        held = [weakref.ref(each) for each in maps_of(projector)]
        del projector, image
        forget_projector()
        assert not [each() for each in held if each() is not None]


def test_an_adjoint_outlives_its_map(projector):
    image = torch.rand(projector.image_shape, generator=torch.Generator().manual_seed(1))
    expected = projector.forward(image)
    adjoint = projector.subset(0, 1)._system.adjoint
    assert adjoint.adjoint is projector.subset(0, 1)._system
    back = adjoint(expected)
    projector._subsets.clear()
    again = adjoint.adjoint
    torch.testing.assert_close(again(image), expected)
    torch.testing.assert_close(again.adjoint(expected), back)
    assert again.adjoint is adjoint


def test_the_last_one_is_kept_alone():
    scanner, grids = small_test(), [scanner_grid(small_test(), side) for side in (32, 40)]
    first = embedded_projector(scanner, grids[0], rays=1)
    assert embedded_projector(scanner, grids[0], rays=1) is first
    gone = weakref.ref(first)
    del first
    embedded_projector(scanner, grids[1], rays=1)
    assert gone() is None
