"""Benchmarks measure and are not tested, but what they import must be there."""

from __future__ import annotations

import importlib
from pathlib import Path

import cost
import determinism
import networks
import pytest
import small_study
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


def test_differences_of_tables_are_measured_number_by_number():
    one = b"table,metric,mean,each,note\n1,psnr_db,20,04: 7,a\n1,nmse,0.5,04: 8e-3,a\n"
    other = b"table,metric,mean,each,note\n1,psnr_db,20.5,04: 7,a\n1,nmse,0.5,04: 6.4e-3,a\n"
    assert determinism.difference(one, one) == determinism.Difference()
    found = determinism.difference(one, other)
    assert found.relative == pytest.approx(0.2)
    assert found.psnr_db == pytest.approx(0.5)
    with pytest.raises(ValueError, match="'a' and 'b' differ in more than numbers"):
        determinism.difference(one, other.replace(b",a", b",b"))
    assert determinism.row_of("x", {"tables.csv": one}, {"tables.csv": one}).count("the same bytes") == 1
    assert "1 of 1 files differ | 2.0e-01 | 5.0e-01" in determinism.row_of(
        "x", {"tables.csv": one}, {"tables.csv": other}
    )


def test_targets_in_reversed_order_are_those_of_the_study():
    found = determinism.targets_reversed(small_study.TINY)
    assert found[0] == "results/images/phantom/06/low.h5"
    assert found[6] == "results/scores/phantom/low/mfdiff/r0.csv"
    assert found[-1] == "results/tables.csv"
