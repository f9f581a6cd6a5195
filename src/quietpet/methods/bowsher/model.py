"""MAP-EM with the Bowsher prior: the sinograms reconstructed again, smoothed where T1 is alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from quietpet.data.batches import recentred
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.bowsher.settings import Settings
from quietpet.methods.tuning import least_error
from quietpet.recon.bowsher import bowsher_prior
from quietpet.recon.map_em import QuadraticPrior, map_em

_DECADES_TOLERANCE = 0.05
"""The weight is tuned to 12 %, where the error is flat to 1e-3."""


_T1_TOLERANCE = 0.01
"""T1 differences that count as none, relative to the T1 signal of the slice."""


class BowsherMAPEM(Restorer):
    """Reconstruction with the weight ``beta``, a number tuned once and saved with the method."""

    beta: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.register_buffer("beta", torch.zeros(()))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        raise TypeError("MAP-EM is not trained")

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._reconstruct(batch, self._prior(batch), beta=float(self.beta))

    def tune(self, validation: Sequence[Batch]) -> None:
        """Choose the weight of least NMSE of the validation slices."""
        priors = [self._prior(batch) for batch in validation]
        decade = least_error(
            lambda decade: (
                self._reconstruct(batch, prior, beta=10.0**decade)
                for batch, prior in zip(validation, priors, strict=True)
            ),
            validation,
            bounds=(math.log10(self._settings.beta[0]), math.log10(self._settings.beta[1])),
            tolerance=_DECADES_TOLERANCE,
        )
        self.beta.fill_(10.0**decade)

    def _prior(self, batch: Batch) -> QuadraticPrior:
        (pixels, _) = batch.measured().model.projector.image_shape
        return bowsher_prior(
            recentred(batch.known_t1()[:, 0], pixels),
            neighbours=self._settings.neighbours,
            radius_pixels=self._settings.radius_pixels,
            tolerance=_T1_TOLERANCE,
            symmetric=self._settings.symmetric,
        )

    def _reconstruct(self, batch: Batch, prior: QuadraticPrior, *, beta: float) -> torch.Tensor:
        """Scaled images (slice, 1, y, x), the square of the batch."""
        measurement = batch.measured()
        activity = map_em(
            measurement.prompts,
            measurement.model,
            prior=prior,
            # Of differences in units of the scale.
            beta=beta / batch.scale.square(),
            iterations=self._settings.iterations,
            subsets=self._settings.subsets,
        )
        return recentred(activity, batch.low.shape[-1])[:, None] / batch.scale[:, None, None, None]


def build(settings: Settings) -> BowsherMAPEM:
    """The reconstruction, without a prior until it is tuned."""
    return BowsherMAPEM(settings)
