"""Which files may enter one data set."""

from __future__ import annotations

import itertools

import pytest

from quietpet.errors import InputError
from quietpet.files.lineage import UNREGISTERED, common_lineage

SCAN = {"data_source": "mine", "projector": "-", "registration": "embedded"}
WITHOUT_T1 = {**SCAN, "registration": UNREGISTERED}
PHANTOM = {"data_source": "brainweb", "projector": "embedded"}


@pytest.mark.parametrize("order", [*itertools.permutations([SCAN, WITHOUT_T1, SCAN])])
def test_scans_without_t1_agree_with_whatever_engine_registers_others(order):
    assert common_lineage(zip("abc", order, strict=True)) == SCAN


def test_of_scans_without_t1_alone_none_is_registered():
    assert common_lineage([("a", WITHOUT_T1), ("b", WITHOUT_T1)]) == WITHOUT_T1


@pytest.mark.parametrize(
    "pair",
    [
        (SCAN, {**SCAN, "registration": "spm12"}),
        (SCAN, {**WITHOUT_T1, "data_source": "theirs"}),
        (WITHOUT_T1, {**WITHOUT_T1, "data_source": "theirs"}),
        (PHANTOM, WITHOUT_T1),
        (PHANTOM, {**PHANTOM, "projector": "sirf"}),
    ],
)
def test_whatever_else_differs_is_refused_in_either_order(pair):
    for first, second in (pair, pair[::-1]):
        with pytest.raises(InputError, match="cannot enter one data set"):
            common_lineage([("a", first), ("b", second)])
