"""FB-SEM: expectation maximisation unrolled, each update fused with what one shared network proposes.

Mehranian & Reader, IEEE TRPMS 5:54, 2021. In each update an image x becomes the maximiser, pixel by
pixel, of the surrogate of the likelihood minus a quadratic penalty,

    s (x_EM log x - x) - gamma / 2 (x - r)^2,

with the sensitivity s and the EM update x_EM of one subset of the sinogram and the network's image
r = network(x, T1): the positive root of gamma / s x^2 + (1 - gamma / s r) x - x_EM = 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from quietpet.data.batches import recentred
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.fbsem.settings import Settings
from quietpet.recon.map_em import fuse
from quietpet.recon.osem import EMUpdates, em_updates


class FBSEM(Restorer):
    """Unrolled reconstruction of the low-dose sinograms, trained end to end through the projector.

    ``log_gamma`` is the logarithm of gamma, which therefore stays positive.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.network = ResidualUnit(
            layers=settings.layers, kernels=settings.kernels, inputs=len(settings.inputs)
        )
        self.log_gamma = nn.Parameter(torch.tensor(math.log(settings.gamma)))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        return nn.functional.mse_loss(self._restored(batch), batch.standard)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._restored(batch)

    def _restored(self, batch: Batch) -> torch.Tensor:
        """Scaled images (slice, 1, y, x), the square of the batch.

        The updates are in units of the data, on the grid of the scanner. The network sees the square of
        the batch; outside it there is EM alone.
        """
        measurement = batch.measured()
        updates = em_updates(measurement.prompts, measurement.model, subsets=self._settings.subsets)
        square, (grid, _) = batch.low.shape[-1], measurement.model.projector.image_shape
        inside = recentred(torch.ones_like(batch.low[:, 0]), grid)
        scale = batch.scale[:, None, None]
        anatomy = seen(batch, self._settings.inputs[1:])
        weight = inside * self.log_gamma.exp() / scale.square()
        image = self._start(batch, updates, grid)
        for step in itertools.islice(itertools.cycle(updates.steps), self._settings.updates):
            current = recentred(image / scale, square)[:, None]
            proposed = recentred(self.network(current, *anatomy)[:, 0], grid) * scale
            image = fuse(step.update(image), proposed, weight * step.inverse_sensitivity)
        return recentred(image / scale, square)[:, None]

    def _start(self, batch: Batch, updates: EMUpdates, grid: int) -> torch.Tensor:
        if self._settings.start == "ones":
            return updates.start(None)
        return updates.start(recentred(batch.low[:, 0] * batch.scale[:, None, None], grid))


class ResidualUnit(nn.Module):
    """r = max(0, x + CNN(x, T1)) with batch normalisation after each convolution, the last one too.

    With one of the ``inputs`` it sees x alone.
    """

    def __init__(self, *, layers: int, kernels: int, inputs: int) -> None:
        super().__init__()
        widths = [inputs, *[kernels] * (layers - 1), 1]
        stages: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            stages += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.stages = nn.Sequential(*stages[:-1])
        # Training starts from r = x; with the published weight of 1 it starts from noise of order 1.
        last = self.stages[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)

    def forward(self, image: torch.Tensor, *anatomy: torch.Tensor) -> torch.Tensor:
        """Images and T1, if any, (slice, 1, y, x), scaled, to images of the same shape."""
        return torch.relu(image + self.stages(torch.cat([image, *anatomy], dim=1)))


def build(settings: Settings) -> FBSEM:
    """The untrained reconstruction."""
    return FBSEM(settings)
