"""What a sampler is: a function of a denoiser, a walk and a source of noise, and what it says of itself.

A denoiser maps (x_t, t), with one integer time for all slices, to its estimate of x_0. Nothing is
clipped: activity has no natural upper limit, and clipping would bias hot lesions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quietpet.diffusion.walk import Spacing, Walk

if TYPE_CHECKING:
    import torch

Denoiser = Callable[["torch.Tensor", int], "torch.Tensor"]
Draw = Callable[[], "torch.Tensor"]
"""Standard normal noise of the shape of the images, anew with each call."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One way from noise to an image.

    ``words`` stand in tables. The planner compares it with the
    ``spacings`` that suit it. Every stride of a walk costs ``evaluations_per_stride`` runs of the
    network, but for the last, which costs one.
    """

    sample: Callable[[Denoiser, Walk, Draw], torch.Tensor]
    words: str
    spacings: tuple[Spacing, ...]
    evaluations_per_stride: int = 1

    def __call__(self, denoise: Denoiser, walk: Walk, draw: Draw) -> torch.Tensor:
        """A sample of x_0, of the shape that ``draw`` gives noise in."""
        return self.sample(denoise, walk, draw)

    @property
    def summary(self) -> str:
        """What the settings say of it: the first paragraph of what ``sample`` does."""
        return " ".join((self.sample.__doc__ or "").split("\n\n")[0].split()).rstrip(".")

    def network_evaluations(self, steps: int) -> int:
        """How often the network runs for one sample of ``steps`` strides."""
        return self.evaluations_per_stride * (steps - 1) + 1

    def steps_within(self, evaluations: int) -> int:
        """The most strides that ``evaluations`` runs of the network allow."""
        return (evaluations - 1) // self.evaluations_per_stride + 1
