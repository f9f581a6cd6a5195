"""The generated machine code against SciPy's products and NumPy's interpolation."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse

from quietpet.projection.gather import Shear, gather, gather_sheared, sparse_rows


def _matrix(rows: int, columns: int, *, seed: int) -> sparse.csr_array:
    """Random, with many empty rows."""
    generator = np.random.default_rng(seed)
    density = 1.5 / columns
    return sparse.random_array(
        (rows, columns), density=density, format="csr", dtype=np.float32, rng=generator
    )


@pytest.mark.parametrize("lanes", [1, 3, 8, 50, 97, 200])
@pytest.mark.parametrize("columns", [30, 70_000])
def test_products_are_those_of_scipy(lanes: int, columns: int) -> None:
    matrix = _matrix(400, columns, seed=lanes)
    assert (np.diff(matrix.indptr) == 0).any()
    source = np.random.default_rng(1).random((columns, lanes), dtype=np.float32)
    product = gather(sparse_rows(matrix), torch.from_numpy(source))
    np.testing.assert_allclose(product.numpy(), matrix @ source, rtol=1e-5)


def test_a_matrix_without_rows_gives_nothing() -> None:
    empty = sparse.csr_array((0, 5), dtype=np.float32)
    assert gather(sparse_rows(empty), torch.ones(5, 3)).shape == (0, 3)


def test_sheared_products_are_interpolated_between_lanes() -> None:
    matrix = _matrix(40, 30, seed=2)
    generator = np.random.default_rng(3)
    drifts = generator.uniform(-0.9, 0.9, matrix.nnz).astype(np.float32)
    source = generator.random((30, 60), dtype=np.float32)
    shears = [
        Shear(slope=-9.0, source_lane=12, target_lane=2, n_lanes=13),
        Shear(slope=5.5, source_lane=20, target_lane=0, n_lanes=30),
    ]
    expected = np.zeros((40, 31))
    row_of_entry = np.repeat(np.arange(40), np.diff(matrix.indptr))
    for row, column, weight, drift in zip(
        row_of_entry, matrix.indices, matrix.data, drifts, strict=True
    ):
        for shear in shears:
            lanes = np.arange(shear.n_lanes)
            where = shear.source_lane + lanes + shear.slope * drift
            values = np.interp(where, np.arange(60), source[column])
            expected[row, shear.target_lane + lanes] += weight * values
    product = gather_sheared(
        sparse_rows(matrix), drifts, torch.from_numpy(source), shears, n_target_lanes=31
    )
    np.testing.assert_allclose(product.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_batch_without_lanes_gives_nothing() -> None:
    assert gather(sparse_rows(_matrix(40, 30, seed=4)), torch.ones(30, 0)).shape == (40, 0)


@pytest.mark.parametrize(
    "source",
    [
        torch.ones(3, 30).T,
        torch.ones(30, 3, dtype=torch.float64),
        torch.ones(30, 3, dtype=torch.int32),
        torch.ones(29, 3),
    ],
)
def test_other_layouts_and_types_are_refused(source: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="C-ordered"):
        gather(sparse_rows(_matrix(40, 30, seed=4)), source)


@pytest.mark.parametrize(
    ("shear", "reads"),
    [
        # Drifts of +-0.5: one lane below the first, one beyond the last (interpolation's neighbour).
        (Shear(slope=4.0, source_lane=1, target_lane=0, n_lanes=5), "-1 to 8 of 20"),
        (Shear(slope=-4.0, source_lane=13, target_lane=0, n_lanes=5), "11 to 20 of 20"),
        (Shear(slope=0.0, source_lane=0, target_lane=5, n_lanes=6), "0 to 6 of 20 and fills 10"),
    ],
)
def test_lanes_outside_the_arrays_are_refused(shear: Shear, reads: str) -> None:
    matrix = _matrix(40, 30, seed=4)
    drifts = np.resize(np.float32([-0.5, 0.5]), matrix.nnz)
    with pytest.raises(ValueError, match=re.escape(reads)):
        gather_sheared(sparse_rows(matrix), drifts, torch.ones(30, 20), [shear], n_target_lanes=10)
    with pytest.raises(ValueError, match="drifts for"):
        gather_sheared(sparse_rows(matrix), drifts[1:], torch.ones(30, 20), [], n_target_lanes=10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """As PyTorch's data loaders fork: the child would wait for the threads of its parent."""
    code = """
import os, signal, torch
from scipy import sparse
from quietpet.projection.gather import gather, sparse_rows
torch.set_num_threads(2)
rows, source = sparse_rows(sparse.eye_array(30, format="csr")), torch.ones(30, 3)
gather(rows, source)
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if torch.equal(gather(rows, source), source) else 1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True)
