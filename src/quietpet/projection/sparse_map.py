"""The linear map of an explicit sparse matrix, on CPU or GPU."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import torch
from scipy import sparse

from quietpet.projection.gather import SparseRows, gather, sparse_rows
from quietpet.projection.linear_map import LinearMap, as_columns


class SparseMap(LinearMap):
    """The linear map of a sparse matrix, applied to the last two axes of a batch of arrays."""

    def __init__(
        self,
        matrix: sparse.csr_array,
        *,
        source_shape: tuple[int, ...],
        target_shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        self.matrix = matrix
        self.source_shape = source_shape
        self.target_shape = target_shape
        self.device = torch.device(device)

    def _make_adjoint(self) -> SparseMap:
        return SparseMap(
            sparse.csr_array(self.matrix.T),
            source_shape=self.target_shape,
            target_shape=self.source_shape,
            device=self.device,
        )

    def select(self, rows: np.ndarray) -> SparseMap:
        """The map to the chosen elements of the target; ``rows`` numbers them, in the new shape."""
        return SparseMap(
            self.matrix[rows.ravel()],
            source_shape=self.source_shape,
            target_shape=rows.shape,
            device=self.device,
        )

    def multiply(self, values: torch.Tensor) -> torch.Tensor:
        """The bare product, outside autograd."""
        columns = as_columns(values.to(self.device, torch.float32), 2)
        product = gather(self._rows, columns) if self.device.type == "cpu" else self._csr @ columns
        return product.T.reshape(*values.shape[:-2], *self.target_shape)

    @functools.cached_property
    def _rows(self) -> SparseRows:
        return sparse_rows(self.matrix)

    @functools.cached_property
    def _csr(self) -> torch.Tensor:
        self.matrix.sort_indices()
        return csr_tensor(self.matrix, self.device)


def csr_tensor(matrix: sparse.csr_array, device: torch.device) -> torch.Tensor:
    """The matrix as a torch tensor with 32-bit indices, which halve the memory traffic of products."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype("int32")),
            torch.from_numpy(matrix.indices.astype("int32")),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            device=device,
            check_invariants=False,
        )
