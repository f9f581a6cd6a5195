"""EDM (Karras et al., "Elucidating the design space of diffusion-based generative models", 2022).

x = y + sigma n, with data y of standard deviation sigma_data and n ~ N(0, 1). Noise levels are tensors
(slice, 1, 1, 1), or numbers, in the unit of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from quietpet.diffusion.sampler import Denoiser
from quietpet.diffusion.schedule import Schedule
from quietpet.diffusion.walk import Walk

USUAL_SIGMA_DATA = 0.5
"""Standard deviation of the data that the paper's noise levels are for."""

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""F of Eq. 7: (scaled noisy image, c_noise (slice,)) to an image of the same shape."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Preconditioning:
    """Table 1, column "ours": the network's inputs and training targets have unit variance.

    ``sigma_data``: standard deviation of the data, a tensor of one number.
    """

    sigma_data: torch.Tensor

    def skip(self, sigma: torch.Tensor) -> torch.Tensor:
        """c_skip, the part of the noisy image in the estimate."""
        return self.sigma_data**2 / (sigma**2 + self.sigma_data**2)

    def out(self, sigma: torch.Tensor) -> torch.Tensor:
        """c_out, the scale of what the network adds to it."""
        return sigma * self.sigma_data / (sigma**2 + self.sigma_data**2).sqrt()

    def into(self, sigma: torch.Tensor) -> torch.Tensor:
        """c_in, the factor on the noisy image that the network sees."""
        return 1 / (sigma**2 + self.sigma_data**2).sqrt()

    def noise(self, sigma: torch.Tensor) -> torch.Tensor:
        """c_noise (slice,), the noise level as the network sees it."""
        return sigma.log().flatten() / 4

    def weight(self, sigma: torch.Tensor) -> torch.Tensor:
        """lambda, which makes the loss weigh errors of the network alike at all noise levels."""
        return 1 / self.out(sigma) ** 2

    def denoised(self, network: Network, noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """D of Eq. 7, the estimate of the data in ``noisy`` (slice, 1, y, x)."""
        raw = network(self.into(sigma) * noisy, self.noise(sigma))
        return self.skip(sigma) * noisy + self.out(sigma) * raw

    def loss(
        self, network: Network, clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        """Weighted squared error of the denoised image, a mean over pixels (Eq. 8)."""
        denoised = self.denoised(network, clean + sigma * noise, sigma)
        return (self.weight(sigma) * (denoised - clean).square()).mean()


def draw_sigma(
    count: int, *, log_mean: float, log_std: float, generator: torch.Generator
) -> torch.Tensor:
    """Noise levels to train on, (count, 1, 1, 1) on the CPU: ln sigma is normal (Table 1)."""
    return (log_mean + log_std * torch.randn(count, 1, 1, 1, generator=generator)).exp()


def noise_levels(steps: int, *, least: float, most: float, rho: float) -> np.ndarray:
    """The falling levels that a sampler visits before 0 (Eq. 5), shape (steps,); one step: ``most``."""
    ends = most ** (1 / rho), least ** (1 / rho)
    return np.linspace(*ends, steps) ** rho


def walk_of(levels: np.ndarray) -> Walk:
    """A walk from the first of the falling ``levels`` sigma to the last, and then to 0.

    Its samplers see x / sqrt(1 + sigma^2), whose signal and noise are those of a schedule with
    alpha_bar = 1 / (1 + sigma^2). That changes no stride: they follow the same curve of x against sigma.
    The start is N(0, 1 + sigma^2), where the paper takes N(0, sigma^2): for data of unit variance, which
    ``levels`` should be in units of, it is that of the noisy data.
    """
    rising = np.concatenate([[0.0], levels[::-1]])
    schedule = Schedule(alpha_bar=1 / (1 + rising**2))
    return Walk(schedule=schedule, times=tuple(range(len(levels), -1, -1)))


def denoiser_of(denoised: Callable[[torch.Tensor, float], torch.Tensor], walk: Walk) -> Denoiser:
    """``denoised``, a function of x and sigma, as samplers call it on this walk."""

    def denoise(noisy: torch.Tensor, time: int) -> torch.Tensor:
        level = walk.schedule.level(time)
        return denoised(noisy / level.signal, float(level.spread / level.signal))

    return denoise
