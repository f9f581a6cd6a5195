"""Benchmarks measure and are not tested, but what they import must be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import cost
import networks
import pytest
import yaml

from quietpet.forecast.networks import NetworkPart
from quietpet.methods.lpet.settings import Settings as LowDose
from quietpet.methods.nafnet.settings import Settings as NAFNet

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_every_benchmark_can_be_imported(name):
    importlib.import_module(name)


def test_parameters_stand_beside_those_of_the_published_code():
    *_, row = networks.counted({"input": LowDose(), "ceiling": NAFNet()})
    assert row == "| ceiling | network | 29,158,849 | 29,159,715 (docs/methods/nafnet.md) |"


def test_costs_can_be_copied_into_a_configuration():
    methods = {"input": LowDose(), "ceiling": NAFNet()}
    found = {
        "input": cost.Cost(core_s_per_1000_iterations=None, core_ms_per_slice=0.12, peak_mib=500),
        "ceiling": cost.Cost(core_s_per_1000_iterations=310.4, core_ms_per_slice=26, peak_mib=700.4),
    }
    evaluations = {"ceiling": [NetworkPart(name="network", flop=5_000_000_000, evaluations=2)]}
    _, _, filter_row, row, _, section = networks.costs(methods, evaluations, found)
    assert filter_row == "| input | 0 | 0 | - | 0.12 | 500 |"
    assert row == "| ceiling | 29,158,849 | 10 | 310 | 26 | 700 |"
    assert yaml.safe_load(section) == {"training_costs": {"ceiling": 310}}
