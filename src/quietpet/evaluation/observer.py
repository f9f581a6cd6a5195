"""Model observers of a signal that is known exactly, on a background that is: channels and templates.

A template rates an image by their scalar product. The channelised Hotelling observer has the best
linear template that a few channels allow (Barrett and Myers, Foundations of Image Science 2004, ch. 13
and 14), the non-prewhitening matched filter the mean signal itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import eval_laguerre


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Images of one place with and without the signal, each (image, value): channels or pixels."""

    present: np.ndarray
    absent: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Mean signal (value,)."""
        return self.present.mean(axis=0) - self.absent.mean(axis=0)

    @property
    def deviations(self) -> np.ndarray:
        """Noise (image, value): all images less the mean of their class."""
        return np.concatenate([each - each.mean(axis=0) for each in (self.present, self.absent)])


Observer = Callable[[Sequence[Pair]], list[np.ndarray]]
"""Learns from training images of several places; gives the template (value,) of each."""

_DEPENDENT = 1e-6
"""Part of a channel that those before it must leave for it to count."""

_LEAST_VARIANCE = 1e-9
"""Of a value, relative to the mean of all."""

OCTAVE = 2.0
"""Ratio of the centre frequencies of neighbouring difference-of-Gaussians channels, and of the two
Gaussians of each: alpha and Q of the sparse set of Abbey and Barrett, J Opt Soc Am A 2001;18:473."""


def channel_basis(channels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Orthonormal templates (channel, y, x) of what ``channels`` (channel, y, x) see ``inside`` a mask.

    A Hotelling observer does not depend on the choice of a basis; a matched filter in this one is the
    mean signal as the channels see it, of which a few images leave less noise than in single pixels. A
    channel that in so few pixels is a sum of those before it sees nothing: its template is 0.
    """
    seen = np.where(inside, channels, 0.0).reshape(len(channels), -1)
    basis, triangle = np.linalg.qr(seen.T)
    left = np.abs(np.diag(triangle))
    own = np.linalg.norm(seen, axis=1)
    return np.where(left > _DEPENDENT * own, basis, 0.0).T.reshape(channels.shape)


def laguerre_gauss_channels(distance_mm: np.ndarray, *, count: int, width_mm: float) -> np.ndarray:
    """Channels (channel, y, x) of a signal of rotational symmetry.

    u_p(r) = sqrt(2) / a exp(-pi r^2 / a^2) L_p(2 pi r^2 / a^2), p = 0 ... ``count`` - 1, in 1/mm, with
    a = ``width_mm`` (Barrett et al., Proc SPIE 1998;3340:27; Gallas and Barrett, J Opt Soc Am A
    2003;20:1725).
    """
    squared = np.pi * (distance_mm / width_mm) ** 2
    envelope = np.sqrt(2.0) / width_mm * np.exp(-squared)
    return np.stack([envelope * eval_laguerre(order, 2.0 * squared) for order in range(count)])


def difference_of_gaussians_channels(
    distance_mm: np.ndarray, *, count: int, width_mm: float
) -> np.ndarray:
    """Band-pass channels (channel, y, x) an octave apart, none of which sees the mean.

    In frequency f [1/mm] C_j(f) = exp(-(f / (Q s_j))^2 / 2) - exp(-(f / s_j)^2 / 2), s_j = alpha^j s_0,
    alpha = Q = 2 (Abbey and Barrett 2001); here in space. The inner Gaussian of the first channel is
    that of :func:`laguerre_gauss_channels` of this width.
    """
    lowest = 1.0 / (OCTAVE * width_mm * np.sqrt(2.0 * np.pi))
    spread = lowest * OCTAVE ** np.arange(count + 1)
    gaussians = [2.0 * np.pi * s**2 * np.exp(-2.0 * (np.pi * s * distance_mm) ** 2) for s in spread]
    return np.diff(gaussians, axis=0)


def matched_filter(training: Sequence[Pair]) -> list[np.ndarray]:
    """Templates of the non-prewhitening matched filter: the mean signal of each place."""
    return [pair.difference for pair in training]


def hotelling(training: Sequence[Pair]) -> list[np.ndarray]:
    """Templates of the Hotelling observer, K^-1 times the mean signal of each place.

    K is the covariance of the noise within both classes. A template's scale does not matter, so K of all
    places is estimated as one, each place's noise divided by its own root mean square: it may be strong
    here and faint there, its correlations are those of the method.
    """
    noise = np.concatenate([_standardised(pair.deviations) for pair in training])
    covariance = shrunk_covariance(noise, classes=2 * len(training))
    return [np.linalg.solve(covariance, pair.difference) for pair in training]


def shrunk_covariance(deviations: np.ndarray, *, classes: int) -> np.ndarray:
    """Covariance (value, value) from deviations (image, value) from the means of ``classes`` classes.

    Few images make the inverse of the sample covariance poor. The correlations are multiplied by 1 - l,
    the variances kept; l = sum of the variances of the correlations / sum of their squares, at most 1,
    estimated from the same images (Schaefer and Strimmer, Stat Appl Genet Mol Biol 2005;4:32, target D).
    It vanishes where images are many. A value that hardly varies has the least variance that its inverse
    bears, 1e-9 of the mean: what differs there is seen in every image.
    """
    images = len(deviations)
    freedom = images - classes
    sample = deviations.T @ deviations / freedom
    variance = np.diag(sample)
    if not variance.any():
        return np.eye(len(sample))
    sample = sample + np.diag(np.maximum(variance, _LEAST_VARIANCE * variance.mean()) - variance)
    std = np.sqrt(np.diag(sample))
    products = (deviations / std)[:, :, None] * (deviations / std)[:, None, :]
    correlation_variance = products.var(axis=0) * (images / freedom) ** 2 / freedom
    correlation = sample / np.outer(std, std)
    apart = ~np.eye(len(std), dtype=bool)
    squares = np.sum(correlation[apart] ** 2)
    shrinkage = min(1.0, np.sum(correlation_variance[apart]) / squares) if squares > 0 else 1.0
    return sample * np.where(apart, 1.0 - shrinkage, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """Ratings (image,) of images with and without the signal by one trained observer."""

    present: np.ndarray
    absent: np.ndarray


def rate_halves(pairs: Sequence[Pair], observer: Observer) -> list[tuple[Ratings, Ratings]]:
    """For each place, ratings of each half of its images by the observer that the other half trained.

    The halves are the even and the odd images; no image has a part in a template that rates it.
    """
    halves = [
        [Pair(present=pair.present[start::2], absent=pair.absent[start::2]) for pair in pairs]
        for start in (0, 1)
    ]
    rated = [
        [
            Ratings(present=pair.present @ template, absent=pair.absent @ template)
            for pair, template in zip(test, observer(training), strict=True)
        ]
        for test, training in (halves, halves[::-1])
    ]
    return [*zip(*rated, strict=True)]


def _standardised(deviations: np.ndarray) -> np.ndarray:
    spread = np.sqrt(np.mean(deviations**2))
    return deviations / spread if spread > 0 else deviations
