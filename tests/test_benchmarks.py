"""Benchmarks measure and are not tested, but what they import must be there."""

from __future__ import annotations

import importlib

import pytest
from conftest import REPOSITORY


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")))
def test_every_benchmark_can_be_imported(name):
    importlib.import_module(name)
