"""Benchmarks measure and are not tested, but what they import must be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import networks
import pytest

from quietpet.methods.lpet.settings import Settings as LowDose
from quietpet.methods.nafnet.settings import Settings as NAFNet

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_every_benchmark_can_be_imported(name):
    importlib.import_module(name)


def test_parameters_stand_beside_those_of_the_published_code():
    *_, row = networks.counted({"input": LowDose(), "ceiling": NAFNet()})
    assert row == "| ceiling | network | 29,158,849 | 29,159,715 (docs/methods/nafnet.md) |"
