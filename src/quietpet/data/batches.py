"""Batches for networks: which slices a training step sees, and which square of each.

What step ``n`` sees is a pure function of the names that seed it and of ``n``. Resuming at any step is
therefore exact, and the number of worker processes never matters.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad
from torch.utils.data import Dataset

from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.data.pairs import Batch, DosePair
from quietpet.errors import InputError
from quietpet.seeds import Name, numpy_rng

Window = tuple[slice, slice]
"""Rows and columns of a square."""

_Seed = tuple[int, *tuple[Name, ...]]
"""The study's seed, and the names of what is drawn."""

_NETWORK_IMAGES = ("low", "standard", "t1")


class StepBatches(Dataset[Batch]):
    """The training batch of every step: item ``step`` (counted from 1) is a :class:`Batch`.

    Each epoch visits the slices in an order seeded by ``(study_seed, *names, "epoch", epoch)``; the
    square and the mirroring of each slice are seeded by step and position in the batch.
    ``patch_pixels`` None takes whole slices, or of each the central square of ``whole_pixels``;
    otherwise each square is centred, as far as the image allows, on a random pixel of the head.

    After step ``patch_steps`` the squares are central ones that hold whole heads, in batches of as many
    pixels as before, rounded down, but a multiple of the ``processes`` that share them, rounded up.
    Their sides are multiples of ``divisor``.
    """

    def __init__(
        self,
        pairs: PairDataset | JointPairs,
        *,
        study_seed: int,
        names: Sequence[Name],
        batch_size: int,
        patch_pixels: int | None,
        flip: bool,
        patch_steps: int | None = None,
        processes: int = 1,
        whole_pixels: int | None = None,
        divisor: int = 1,
    ) -> None:
        _require_fits(pairs, patch_pixels or whole_pixels)
        self.pairs = pairs
        self._seed: _Seed = (study_seed, *names)
        self._batch_size = batch_size
        self._patch_pixels = patch_pixels
        self._flip = flip
        self._patch_steps = patch_steps if patch_pixels else None
        self._whole_pixels = whole_pixels or pairs.pixels
        self._whole_slices = batch_size
        if patch_pixels and patch_steps is not None:
            self._whole_pixels = head_square(pairs, divisor=divisor)
            as_many_pixels = max(1, batch_size * patch_pixels**2 // self._whole_pixels**2)
            self._whole_slices = -(-as_many_pixels // processes) * processes

    def __getitem__(self, step: int) -> Batch:
        squares = []
        for position, row in enumerate(self.rows(step)):
            pair = self.pairs[row]
            window, mirrored = self.place(pair.head, step=step, position=position)
            squares.append(cut(pair, window, mirrored=mirrored))
        return stack(squares, pixel_mm=self.pairs.pixel_mm)

    def rows(self, step: int) -> list[int]:
        """Rows of the data set in the batch of ``step``; batches run on across epochs."""
        whole_before = max(0, step - 1 - self._patch_steps) if self._patch_steps is not None else 0
        first = (step - 1 - whole_before) * self._batch_size + whole_before * self._whole_slices
        return [self._row(first + position) for position in range(self.slices(step))]

    def slices(self, step: int) -> int:
        """How many slices are in the batch of ``step``."""
        return self._whole_slices if self._patch(step) is None else self._batch_size

    def place(self, head: np.ndarray, *, step: int, position: int) -> tuple[Window, bool]:
        """Which square of the slice at ``position`` in the batch is seen, and whether mirrored."""
        rng = numpy_rng(*self._seed, "patch", step, position)
        patch_pixels = self._patch(step)
        window = (
            central_window(self.pairs.pixels, self._whole_pixels)
            if patch_pixels is None
            else random_window(head, patch_pixels, rng)
        )
        return window, self._flip and rng.random() < 0.5

    def _patch(self, step: int) -> int | None:
        """Side of the squares that ``step`` sees; None where it sees whole heads."""
        whole = self._patch_steps is not None and step > self._patch_steps
        return None if whole else self._patch_pixels

    def _row(self, drawn_before: int) -> int:
        epoch, position = divmod(drawn_before, len(self.pairs))
        return int(_permutation(self._seed, epoch, len(self.pairs))[position])


class ResidentBatches(Dataset[Batch]):
    """The batches of ``drawn``, bit for bit, cut on ``device`` from images that all lie there.

    So nothing is read, scaled or copied between steps.
    """

    def __init__(self, drawn: StepBatches, device: torch.device) -> None:
        pairs = drawn.pairs
        whole = central_window(pairs.pixels, pairs.pixels)
        self._drawn = drawn
        self._heads = []
        self._scales = []
        self._has_t1 = []
        shape = (len(pairs), pairs.pixels, pairs.pixels)
        self._images = {name: torch.empty(shape, device=device) for name in _NETWORK_IMAGES}
        for row in range(len(pairs)):
            pair = pairs[row]
            square = cut(pair, whole)
            self._heads.append(pair.head)
            self._scales.append(pair.scale)
            self._has_t1.append(square.has_t1)
            for name, images in self._images.items():
                images[row] = torch.from_numpy(getattr(square, name))

    @staticmethod
    def bytes(pairs: PairDataset | JointPairs) -> int:
        """Device memory that the images of ``pairs`` would take."""
        return len(_NETWORK_IMAGES) * len(pairs) * pairs.pixels**2 * 4

    def rows(self, step: int) -> list[int]:
        """As :meth:`StepBatches.rows`."""
        return self._drawn.rows(step)

    def __getitem__(self, step: int) -> Batch:
        rows = self.rows(step)
        places = [
            self._drawn.place(self._heads[row], step=step, position=position)
            for position, row in enumerate(rows)
        ]

        def squares(images: torch.Tensor) -> torch.Tensor:
            cuts = [images[row][window] for row, (window, _) in zip(rows, places, strict=True)]
            turned = zip(cuts, places, strict=True)
            return torch.stack([each.flip(-1) if mirrored else each for each, (_, mirrored) in turned])

        pairs = self._drawn.pairs
        return Batch(
            low=squares(self._images["low"])[:, None],
            standard=squares(self._images["standard"])[:, None],
            t1=squares(self._images["t1"])[:, None],
            has_t1=torch.tensor([self._has_t1[row] for row in rows]),
            scale=torch.tensor([self._scales[row] for row in rows], dtype=torch.float32),
            keys=tuple(pairs.keys[row] for row in rows),
            pixel_mm=pairs.pixel_mm,
        )


@dataclass(frozen=True, kw_only=True)
class Square:
    """A square of one pair, its images (y, x) float32 divided by the scales of the pair.

    A missing T1 is NaN.
    """

    key: str
    scale: float
    low: np.ndarray
    standard: np.ndarray
    t1: np.ndarray
    has_t1: bool


def cut(pair: DosePair, window: Window, *, mirrored: bool = False) -> Square:
    """The square ``window`` of ``pair``; ``mirrored`` swaps left and right."""

    def scaled(image: np.ndarray, scale: float) -> np.ndarray:
        square = image[window][:, ::-1] if mirrored else image[window]
        return (square / scale).astype(np.float32)

    low = scaled(pair.low, pair.scale)
    return Square(
        key=pair.key,
        scale=pair.scale,
        low=low,
        standard=scaled(pair.standard, pair.scale),
        t1=np.full_like(low, np.nan) if pair.t1 is None else scaled(pair.t1, pair.t1_scale),
        has_t1=pair.t1 is not None,
    )


def stack(squares: Sequence[Square], *, pixel_mm: float) -> Batch:
    """One batch, on the CPU."""

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(square, name) for square in squares])[:, None])

    return Batch(
        low=tensor("low"),
        standard=tensor("standard"),
        t1=tensor("t1"),
        has_t1=torch.tensor([square.has_t1 for square in squares]),
        scale=torch.tensor([square.scale for square in squares], dtype=torch.float32),
        keys=tuple(square.key for square in squares),
        pixel_mm=pixel_mm,
    )


def central_batches(
    pairs: PairDataset, *, pixels: int, batch_size: int, rows: Sequence[int] | None = None
) -> Iterator[Batch]:
    """The slices in ``rows``, or all in the order of the file, as batches of their central squares."""
    _require_fits(pairs, pixels)
    window = central_window(pairs.pixels, pixels)
    rows = range(len(pairs)) if rows is None else rows
    for first in range(0, len(rows), batch_size):
        some = rows[first : first + batch_size]
        yield stack([cut(pairs[row], window) for row in some], pixel_mm=pairs.pixel_mm)


def spread_rows(count: int, wanted: int) -> list[int]:
    """``wanted`` of ``count`` rows, evenly spread: the middles of as many equal parts."""
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def head_extent(pairs: PairDataset | JointPairs) -> int:
    """Side of the smallest central square that holds every head."""
    offsets = np.argwhere(pairs.any_head()) - pairs.pixels // 2
    return 2 * int(max(-offsets.min(), offsets.max() + 1)) if offsets.size else 2


def head_square(pairs: PairDataset | JointPairs, *, divisor: int = 1, step: int = 32) -> int:
    """The head's extent rounded up to a multiple of ``step`` and of ``divisor``, if the image allows.

    Else the largest multiple of 16 and of ``divisor`` that it allows.
    """
    step, least_step = math.lcm(step, divisor), math.lcm(16, divisor)
    return min(-(-head_extent(pairs) // step) * step, pairs.pixels // least_step * least_step)


def central_window(image_pixels: int, pixels: int) -> Window:
    """The central square of side ``pixels``; pixel ``n // 2`` of the image stays the centre."""
    first = image_pixels // 2 - pixels // 2
    return slice(first, first + pixels), slice(first, first + pixels)


def recentred(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Square images (..., y, x) cropped or padded with 0 to ``pixels``; the centre stays the centre."""
    side = images.shape[-1]
    before = pixels // 2 - side // 2
    after = pixels - side - before
    return pad(images, (before, after, before, after))


def random_window(head: np.ndarray, pixels: int, rng: np.random.Generator) -> Window:
    """A square of side ``pixels`` inside the image, centred on a random pixel of ``head`` if it fits.

    ``head`` is a mask (y, x); where it is empty, any pixel may be the centre.
    """
    candidates = np.flatnonzero(head) if head.any() else np.arange(head.size)
    centre = np.unravel_index(rng.choice(candidates), head.shape)
    first_y, first_x = (
        int(np.clip(middle - pixels // 2, 0, side - pixels))
        for middle, side in zip(centre, head.shape, strict=True)
    )
    return slice(first_y, first_y + pixels), slice(first_x, first_x + pixels)


@functools.lru_cache(maxsize=8)
def _permutation(seed: _Seed, epoch: int, count: int) -> np.ndarray:
    return numpy_rng(*seed, "epoch", epoch).permutation(count)


def _require_fits(pairs: PairDataset | JointPairs, pixels: int | None) -> None:
    if pixels and pixels > pairs.pixels:
        raise InputError(
            f"{pairs.path}: its images have {pairs.pixels} x {pairs.pixels} pixels, too few for squares "
            f"of {pixels}. Lower training.patch_pixels or inference.pixels, or pack larger images."
        )
