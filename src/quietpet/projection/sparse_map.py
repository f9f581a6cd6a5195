"""A sparse linear map in torch: batched, differentiable, with its exact adjoint."""

from __future__ import annotations

import functools
import warnings

import torch
from scipy import sparse

from quietpet.projection.gather import SparseRows, gather, sparse_rows


class SparseMap:
    """The linear map of a sparse matrix, applied to the last two axes of a batch of arrays.

    A batch is laid out with the slice index fastest in memory, so that one pass over the matrix serves
    all slices. Tensors are handed around in the usual axis order as views of that layout; element-wise
    operations keep it, and nothing is copied between products.
    """

    def __init__(
        self,
        matrix: sparse.csr_array,
        *,
        source_shape: tuple[int, int],
        target_shape: tuple[int, int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.matrix = matrix
        self.source_shape = source_shape
        self.target_shape = target_shape
        self.device = torch.device(device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Map (..., *source_shape) to (..., *target_shape), float32 on the map's device."""
        return _Product.apply(values, self)

    @functools.cached_property
    def adjoint(self) -> SparseMap:
        """The transposed map; its own adjoint is this map."""
        transposed = SparseMap(
            sparse.csr_array(self.matrix.T),
            source_shape=self.target_shape,
            target_shape=self.source_shape,
            device=self.device,
        )
        transposed.adjoint = self
        return transposed

    def multiply(self, values: torch.Tensor) -> torch.Tensor:
        """The bare product, outside autograd."""
        if tuple(values.shape[-2:]) != self.source_shape:
            raise ValueError(f"expected (..., *{self.source_shape}), got {tuple(values.shape)}")
        columns = values.reshape(-1, self.matrix.shape[1]).T.to(self.device, torch.float32)
        if self.device.type == "cpu":
            product = gather(self._rows, columns.detach().contiguous())
        else:
            product = self._csr @ columns
        return product.T.reshape(*values.shape[:-2], *self.target_shape)

    @functools.cached_property
    def _rows(self) -> SparseRows:
        return sparse_rows(self.matrix)

    @functools.cached_property
    def _csr(self) -> torch.Tensor:
        self.matrix.sort_indices()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
            return torch.sparse_csr_tensor(
                # 32-bit indices halve the memory traffic of the products.
                torch.from_numpy(self.matrix.indptr.astype("int32")),
                torch.from_numpy(self.matrix.indices.astype("int32")),
                torch.from_numpy(self.matrix.data),
                size=self.matrix.shape,
                device=self.device,
                check_invariants=False,
            )


class _Product(torch.autograd.Function):
    """A x, whose gradient is A^T g."""

    @staticmethod
    def forward(ctx, values, sparse_map):
        ctx.sparse_map = sparse_map
        return sparse_map.multiply(values)

    @staticmethod
    def backward(ctx, gradient):
        return _Product.apply(gradient, ctx.sparse_map.adjoint), None


def slices_fastest(values: torch.Tensor) -> torch.Tensor:
    """``values`` (..., row, column) with its leading axes fastest in memory, as products return them.

    Element-wise operations between arrays of different memory orders are several times slower.
    """
    n_rows, n_columns = values.shape[-2:]
    columns = values.reshape(-1, n_rows * n_columns).T.contiguous()
    return columns.T.reshape(values.shape)
