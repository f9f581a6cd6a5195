"""What a metric is: a function of one slice's images, and all that fixes its value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from quietpet.errors import InputError
from quietpet.evaluation.comparison import NO_MASK, Known, Mask, Rule, SliceImages, Variant, View

_AGGREGATION = "mean=slices"
"""How values of slices become one of a table: their mean."""


class Views:
    """One slice in the views of all variants, each made once."""

    def __init__(self, images: SliceImages, *, paper_window_pixels: int) -> None:
        self.images = images
        self._paper_window_pixels = paper_window_pixels
        self._made: dict[Variant, View] = {}

    def of(self, variant: Variant) -> View:
        """The images as metrics of ``variant`` see them; InputError where they cannot."""
        if variant not in self._made:
            self._made[variant] = variant.view(
                self.images, paper_window_pixels=self._paper_window_pixels
            )
        return self._made[variant]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A function of (images, data range), and the variant that fixes reference, scaling and window.

    ``mask`` says where the function looks: it is given as ``images.inside``. With ``beside``, another
    scaling, the value is the part [%] of the function's that is not there when images are scaled so;
    where more is there, minus the part of that. ``needs`` are fields of SliceImages that not all data
    have; without one of them, or one that the variant needs, the metric is undefined. ``also`` are
    numbers of the function that its id names, ``digits`` those behind the decimal point on the page.
    ``better`` says whether more (1) or less (-1) of it is better, or neither by itself (0).
    """

    name: str
    label: str
    function: Callable[[SliceImages, float], float]
    variant: Variant
    mask: Mask = NO_MASK
    beside: Rule[[SliceImages], SliceImages] | None = None
    needs: tuple[Known, ...] = ()
    also: str = ""
    digits: int = 2
    better: int = 0

    def id(self, *, paper_window_pixels: int) -> str:
        """All that fixes its value: reference, scaling, window, data range, mask, aggregation."""
        rules = [
            self.variant.id(paper_window_pixels=paper_window_pixels),
            *([f"beside={self.beside.id}"] if self.beside else []),
            f"mask={self.mask.id}",
            *([self.also] if self.also else []),
            _AGGREGATION,
        ]
        return f"{self.name}:{','.join(rules)}"

    def needs_of(self, images: SliceImages) -> list[Known]:
        """What the metric needs and ``images`` have not."""
        wanted = dict.fromkeys((*self.variant.needs, *self.needs))
        return [name for name in wanted if getattr(images, name) is None]

    def measure(self, images: SliceImages, *, paper_window_pixels: int) -> float:
        """Value for one whole slice; NaN where the metric is undefined (no lesion, for one)."""
        return self.measure_in(Views(images, paper_window_pixels=paper_window_pixels))

    def measure_in(self, views: Views) -> float:
        """The same of a slice of which several metrics are measured."""
        if self.needs_of(views.images):
            return np.nan
        value = self._in(views.of(self.variant))
        if self.beside is None:
            return value
        other = self._in(views.of(replace(self.variant, scale=self.beside)))
        larger = max(value, other)
        return 100.0 * (value - other) / larger if larger > 0 else np.nan

    def _in(self, view: View) -> float:
        images = replace(view.images, inside=self.mask(view.images))
        return self.function(images, view.data_range)


def measured(
    images: SliceImages, *, metrics: Iterable[Metric], paper_window_pixels: int
) -> Iterator[tuple[Metric, float]]:
    """Each of the ``metrics`` that ``images`` have all of, with its value.

    NaN where it is undefined. Raises InputError, naming the metric, where a slice cannot be measured.
    """
    views = Views(images, paper_window_pixels=paper_window_pixels)
    for metric in metrics:
        if metric.needs_of(images):
            continue
        try:
            yield metric, metric.measure_in(views)
        except InputError as error:
            raise InputError(f"{metric.name}: {error}") from None
