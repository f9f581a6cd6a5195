"""Other projectors behind this project's protocol, each used as its documentation advises.

All of them see the bins that our engine sees and no others, keep what can be prepared once per subset,
and run in the same OSEM. What differs between them and our engine is said in ``differences``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from problem import GRID, SCANNER
from scipy import sparse

from quietpet.phantom.ellipses import ParallelBins
from quietpet.projection.embedded import EmbeddedProjector, embedded_projector
from quietpet.projection.system_matrix import system_matrix


class Peer:
    """A projector made of functions of one batch, for the views and bins given.

    ``build(views)`` prepares forward and adjoint, (slice, y, x) to (slice, view, bin) and back, NumPy.
    """

    def __init__(
        self, build: Callable[[range], tuple[Callable, Callable]], *, views: range, bins: ParallelBins
    ):
        self.views = views
        self.image_shape = GRID.shape[1:]
        self.sinogram_shape = (len(views), bins.offsets_mm.size)
        self.seen_bins = slice(0, bins.offsets_mm.size)
        self._build, self._bins = build, bins
        self._forward, self._adjoint = build(views)
        self._subset = functools.cache(lambda index, of: Peer(build, views=views[index::of], bins=bins))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._forward(image.numpy()))

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._adjoint(sinogram.numpy()))

    def subset(self, index: int, of: int) -> Peer:
        return self._subset(index, of)

    def trimmed(self) -> Peer:
        return self


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A projector that takes part, its bins, and in what it differs from ours."""

    name: str
    projector: Peer | EmbeddedProjector
    bins: ParallelBins
    batch: int
    rays: int | None = None
    differences: str = ""

    @property
    def label(self) -> str:
        """Name, rays and batch."""
        rays = f", rays={self.rays}" if self.rays else ""
        return f"{self.name}{rays}, batch {self.batch}"


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A peer that is not installed."""

    name: str
    remedy: str


def embedded_engine(*, rays: int, batch: int) -> Engine:
    """Our projector, bins and disc as the pipeline uses them."""
    projector = embedded_projector(SCANNER, GRID, rays=rays)
    return Engine(
        name="embedded",
        rays=rays,
        projector=projector.trimmed(),
        bins=scanner_bins(projector.seen_bins),
        batch=batch,
    )


def scanner_bins(seen: slice) -> ParallelBins:
    """Some of the scanner's own bins, all views."""
    return ParallelBins(
        angles_rad=SCANNER.view_angles_rad,
        offsets_mm=SCANNER.bin_offsets_mm[seen],
        widths_mm=SCANNER.bin_widths_mm[seen],
    )


def equidistant(bins: ParallelBins) -> ParallelBins:
    """The same number of bins, all as wide as those in the middle."""
    middle = int(np.abs(bins.offsets_mm).argmin())
    width = bins.widths_mm[middle]
    offsets = (np.arange(bins.offsets_mm.size) - middle) * width
    return ParallelBins(
        angles_rad=bins.angles_rad, offsets_mm=offsets, widths_mm=np.full(offsets.size, width)
    )


def scipy_engine(ours: Engine) -> Engine:
    """The same matrix as ``ours`` in ``scipy.sparse``, all slices of a batch in one product."""
    seen = embedded_projector(SCANNER, GRID, rays=ours.rays).seen_bins
    numbers = np.arange(SCANNER.n_views * SCANNER.n_bins).reshape(SCANNER.sinogram_shape)
    matrix = system_matrix(SCANNER, GRID, rays=ours.rays)
    n_bins = ours.bins.offsets_mm.size

    def build(views: range) -> tuple[Callable, Callable]:
        part = sparse.csr_array(matrix[numbers[views, seen].ravel()])
        transposed = sparse.csr_array(part.T)

        def forward(images: np.ndarray) -> np.ndarray:
            columns = np.ascontiguousarray(images.reshape(len(images), -1).T)
            return (part @ columns).T.reshape(len(images), len(views), n_bins)

        def adjoint(sinograms: np.ndarray) -> np.ndarray:
            columns = np.ascontiguousarray(sinograms.reshape(len(sinograms), -1).T)
            return (transposed @ columns).T.reshape(len(sinograms), *GRID.shape[1:])

        return forward, adjoint

    return Engine(
        name="scipy.sparse CSR",
        rays=ours.rays,
        projector=Peer(build, views=range(SCANNER.n_views), bins=ours.bins),
        bins=ours.bins,
        batch=ours.batch,
        differences="the same matrix",
    )


def astra_engines(bins: ParallelBins) -> list[Engine | Absent]:
    """ASTRA's CPU projectors: equidistant bins, one slice at a time (it has no batches in 2-D)."""
    try:
        import astra  # noqa: PLC0415 (may be absent)
    except ImportError as error:
        return [Absent(name="ASTRA", remedy=f"pip install astra-toolbox ({error})")]
    even = equidistant(bins)
    pixel_mm, n = GRID.pixel_mm, GRID.n_pixels
    # ASTRA's y points upwards, and the axis passes through the centre of pixel n // 2.
    low, high = -GRID.centre_index - 0.5, n - GRID.centre_index - 0.5
    volume = astra.create_vol_geom(n, n, low, high, -high, -low)
    middle = even.offsets_mm.mean() / pixel_mm
    width = even.widths_mm[0] / pixel_mm

    def build(kind: str, views: range) -> tuple[Callable, Callable]:
        angles = -even.angles_rad[list(views)]
        along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ray = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
        vectors = np.concatenate([ray, middle * along, width * along], axis=1)
        geometry = astra.create_proj_geom("parallel_vec", even.offsets_mm.size, vectors)
        projector = astra.create_projector(kind, geometry, volume)
        image = np.zeros((n, n), np.float32)
        sinogram = np.zeros((len(views), even.offsets_mm.size), np.float32)
        linked = {
            "image": astra.data2d.link("-vol", volume, image),
            "sinogram": astra.data2d.link("-sino", geometry, sinogram),
        }
        algorithms = {}
        for name, keys in {
            "FP": {"VolumeDataId": "image", "ProjectionDataId": "sinogram"},
            "BP": {"ReconstructionDataId": "image", "ProjectionDataId": "sinogram"},
        }.items():
            settings = astra.astra_dict(name) | {"ProjectorId": projector}
            settings |= {key: linked[which] for key, which in keys.items()}
            algorithms[name] = astra.algorithm.create(settings)

        def forward(images: np.ndarray) -> np.ndarray:
            projected = np.empty((len(images), *sinogram.shape), np.float32)
            for row, each in enumerate(images):
                image[:] = each
                astra.algorithm.run(algorithms["FP"])
                projected[row] = sinogram
            return projected

        def adjoint(sinograms: np.ndarray) -> np.ndarray:
            back = np.empty((len(sinograms), *image.shape), np.float32)
            for row, each in enumerate(sinograms):
                sinogram[:] = each
                astra.algorithm.run(algorithms["BP"])
                back[row] = image
            return back

        return forward, adjoint

    return [
        Engine(
            name=f"ASTRA {kind}",
            projector=Peer(functools.partial(build, kind), views=range(SCANNER.n_views), bins=even),
            bins=even,
            batch=1,
            differences="equidistant bins, square instead of disc, slice by slice",
        )
        for kind in ("linear", "line", "strip")
    ]


def skimage_engine() -> Engine | Absent:
    """scikit-image's ``radon`` and unfiltered ``iradon``: bins as wide as pixels, no adjoint pair."""
    try:
        from skimage.transform import iradon, radon  # noqa: PLC0415 (may be absent)
    except ImportError as error:
        return Absent(name="scikit-image", remedy=f"pip install scikit-image ({error})")
    n = GRID.n_pixels
    bins = ParallelBins(
        angles_rad=SCANNER.view_angles_rad,
        offsets_mm=GRID.axis_mm,
        widths_mm=np.full(n, GRID.pixel_mm),
    )

    disc = GRID.within_radius(GRID.centre_index * GRID.pixel_mm)

    def build(views: range) -> tuple[Callable, Callable]:
        # Its angles run from x towards the upper side of the image.
        degrees = -np.rad2deg(bins.angles_rad[list(views)])

        def forward(images: np.ndarray) -> np.ndarray:
            return np.stack([radon(image * disc, degrees, circle=True).T for image in images])

        def adjoint(sinograms: np.ndarray) -> np.ndarray:
            return np.stack(
                [iradon(each.T, degrees, filter_name=None, circle=True) for each in sinograms]
            )

        return forward, adjoint

    return Engine(
        name="scikit-image radon, iradon",
        projector=Peer(build, views=range(SCANNER.n_views), bins=bins),
        bins=bins,
        batch=1,
        differences="128 bins as wide as a pixel, back-projection not the adjoint, slice by slice",
    )
