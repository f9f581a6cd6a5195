"""Linear maps with exact adjoints, differentiable in torch."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from typing import Any

import torch


class LinearMap(ABC):
    """A linear map A of arrays (..., *source_shape) to (..., *target_shape), float32.

    Leading axes are laid out fastest in memory, so that one pass over the entries of A serves all of
    them. Tensors are handed around in the usual axis order as views of that layout; element-wise
    operations keep it, and nothing is copied between products.
    """

    source_shape: tuple[int, ...]
    target_shape: tuple[int, ...]

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Map (..., *source_shape) to (..., *target_shape); the gradient is A^T g."""
        if tuple(values.shape[-len(self.source_shape) :]) != self.source_shape:
            raise ValueError(f"expected (..., *{self.source_shape}), got {tuple(values.shape)}")
        return _Product.apply(values, self)

    _adjoint: LinearMap | None = None
    _origin: weakref.ref[LinearMap] | None = None
    """Of an adjoint: the map that it was made from."""

    @property
    def adjoint(self) -> LinearMap:
        """The transposed map, made once and kept; its own adjoint is this map, as long as that lives."""
        # Two maps that hold each other would stay in memory, often gigabytes, until Python's next search
        # for cycles in all objects, which comes after many new objects, however large they are.
        if self._origin is not None and (origin := self._origin()) is not None:
            return origin
        if self._adjoint is None:
            self._adjoint = self._make_adjoint()
            self._adjoint._origin = weakref.ref(self)
        return self._adjoint

    @abstractmethod
    def _make_adjoint(self) -> LinearMap:
        """The transposed map, which must not hold this one."""

    @abstractmethod
    def multiply(self, values: torch.Tensor) -> torch.Tensor:
        """The bare product, outside autograd."""


class _Product(torch.autograd.Function):
    """A x, whose gradient is A^T g."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, linear_map: LinearMap) -> torch.Tensor:
        ctx.linear_map = linear_map
        product = linear_map.multiply(values.detach())
        # No view of another tensor: autograd forbids arithmetic in place on views made in here.
        return product.new_empty(0).set_(product)  # type: ignore[call-overload]  # torch's stub lacks it

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Product.apply(gradient, ctx.linear_map.adjoint), None


def leading_axes_fastest(values: torch.Tensor, n_trailing: int) -> torch.Tensor:
    """``values`` with all but its last ``n_trailing`` axes fastest in memory, as products return them.

    Element-wise operations between arrays of different memory orders are several times slower.
    """
    columns = as_columns(values, n_trailing)
    return columns.T.reshape(values.shape)


def as_columns(values: torch.Tensor, n_trailing: int) -> torch.Tensor:
    """Array (trailing, leading) in C order; a view if ``values`` is laid out like that already."""
    trailing = values.shape[values.ndim - n_trailing :].numel()
    return values.reshape(-1, trailing).T.contiguous()
