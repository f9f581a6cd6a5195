"""Non-local means: the low-dose image averaged over pixels whose surroundings are alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from skimage.restoration import denoise_nl_means
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.nlm.settings import Settings
from quietpet.methods.tuning import least_errors

_DECADES_TOLERANCE = 0.05
"""Strengths are tuned to 12 %, where the error is flat to 1e-2 of itself."""

_NOT_COMPARED = 1e-6
"""Factor on the image that is averaged, beside the guides: squared distances feel it by 1e-12."""


class NonLocalMeans(Restorer):
    """The filter with one strength per guide, numbers tuned once and saved with the method."""

    strengths: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._stabilised = settings.stabilised
        self._patch_pixels = settings.patch_pixels
        self._search_pixels = settings.search_pixels
        self._range = settings.strength
        self._guides = ("low", "t1") if settings.guide == "both" else (settings.guide,)
        self.register_buffer("strengths", torch.zeros(len(self._guides), dtype=torch.float64))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        raise TypeError("non-local means is not trained")

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._filtered(batch, self.strengths.tolist())

    def tune(self, validation: Sequence[Batch]) -> None:
        """Choose the strengths of least NMSE of the validation slices."""
        least, most = map(math.log10, self._range)

        def restored(decades: Sequence[float]) -> Iterable[torch.Tensor]:
            return (self._filtered(batch, [10.0**each for each in decades]) for batch in validation)

        decades = least_errors(
            restored,
            validation,
            bounds=[(least, most)] * len(self._guides),
            tolerance=_DECADES_TOLERANCE,
        )
        self.strengths.copy_(10.0 ** torch.tensor(decades, dtype=torch.float64))

    def _filtered(self, batch: Batch, strengths: Sequence[float]) -> torch.Tensor:
        if not all(strengths):  # not tuned
            return batch.low.clone()
        stabilised = batch.low.clamp(min=0).sqrt() if self._stabilised else batch.low
        guides = [
            (batch.known_t1() if name == "t1" else stabilised)[:, 0] / strength
            for name, strength in zip(self._guides, strengths, strict=True)
        ]
        filtered = [
            non_local_means(
                low,
                guides_of_slice,
                patch_pixels=self._patch_pixels,
                search_pixels=self._search_pixels,
            )
            for low, *guides_of_slice in zip(*map(_array, (batch.low[:, 0], *guides)), strict=True)
        ]
        return torch.from_numpy(np.stack(filtered)[:, None]).to(batch.low)


def non_local_means(
    image: np.ndarray, guides: Sequence[np.ndarray], *, patch_pixels: int, search_pixels: int
) -> np.ndarray:
    """Averages of ``image`` (y, x) over the pixels around each, with weights exp(-sum of d**2).

    d is the root mean square difference of two patches of a guide, (y, x) in units of its strength; the
    sum is over the guides. By the fast algorithm of Darbon et al. (2008). scikit-image compares and
    averages all channels of an image, so the one that is not a guide is scaled to differ by nothing.
    """
    channels = np.stack([_NOT_COMPARED * image, *guides], axis=-1)
    averaged = denoise_nl_means(
        channels,
        patch_size=patch_pixels,
        patch_distance=search_pixels,
        h=1 / math.sqrt(channels.shape[-1]),  # it takes the mean over the channels, not the sum
        fast_mode=True,
        preserve_range=True,
        channel_axis=-1,
    )
    return averaged[..., 0] / _NOT_COMPARED


def _array(images: torch.Tensor) -> np.ndarray:
    return images.double().cpu().numpy()


def build(settings: Settings) -> NonLocalMeans:
    """The filter, which gives back the low-dose image until it is tuned."""
    return NonLocalMeans(settings)
