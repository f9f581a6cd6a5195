"""The projectors of STIR, driven through SIRF (``sirf.STIR``), behind the same protocol.

Ovtchinnikov et al., Comput Phys Commun 249:107087, 2020 (SIRF); Thielemans et al., Phys Med Biol
57:867, 2012 (STIR). SIRF computes on the CPU with its own images and sinograms, indexed (z, y, x) and
(time of flight, sinogram, view, bin); tensors are copied in and out. Values are line integrals in units
of the pixel size, as the protocol wants them.
"""

from __future__ import annotations

import atexit
import functools
import logging
import math
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quietpet.config.scanner import StirProjector
from quietpet.errors import InputError
from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.interfile import write_template
from quietpet.projection.linear_map import LinearMap
from quietpet.projection.sirf_installation import REMEDY

logger = logging.getLogger(__name__)

_LEVELS = {"information": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}
"""Our log level for each of STIR's channels."""

_HARMLESS = re.compile(
    r"imaging modality (is )?unknown|going ahead anyway|OpenMP with number of threads=1", re.IGNORECASE
)
"""What STIR warns of with every image made in memory, and with one thread, which is fastest here."""


class Engine:
    """``sirf.STIR``, set up for this process; get it from :func:`engine`.

    Acquisition data are kept in memory (files would have to be unique among the processes of a folder),
    STIR uses as many threads as torch, and its messages go to our log.
    """

    def __init__(self) -> None:
        import sirf  # noqa: PLC0415 (installed in few environments, and slow)
        import sirf.STIR as stir  # noqa: PLC0415
        from sirf.Utilities import error  # noqa: PLC0415

        self.stir = stir
        self.versions = {"SIRF": sirf.__version__, "STIR": stir.get_engine_version_string()}
        self._error = error
        folder = tempfile.TemporaryDirectory(prefix="quietpet-stir-")
        atexit.register(folder.cleanup)
        self._channels = {name: Path(folder.name) / name for name in _LEVELS}
        self._read = dict.fromkeys(_LEVELS, 0)
        self._said: set[str] = set()
        # STIR writes to these files for as long as the redirector lives. Its end needs SIRF's modules,
        # so it must come before Python takes them down; functions registered last are called first.
        self._redirector = stir.MessageRedirector(*map(str, self._channels.values()))
        atexit.register(self._drop_redirector)
        stir.set_verbosity(0)
        stir.set_max_omp_threads(torch.get_num_threads())
        stir.AcquisitionData.set_storage_scheme("memory")

    def _drop_redirector(self) -> None:
        self._redirector = None

    @contextmanager
    def doing(self, what: str) -> Iterator[Any]:
        """Yield ``sirf.STIR``; an error of the engine becomes one sentence with STIR's own words.

        Raises:
            InputError: the engine refused or failed.
        """
        try:
            yield self.stir
        except self._error as error:
            words = self._pass_messages()["error"] or [str(error)]
            raise InputError(f"SIRF failed while {what}: {' '.join(words)}") from error
        self._pass_messages()

    def _pass_messages(self) -> dict[str, list[str]]:
        """Log what STIR has written since the last time, every message once; return it by channel."""
        new = {}
        for name, path in self._channels.items():
            with path.open(errors="replace") as stream:
                stream.seek(self._read[name])
                new[name] = [line.strip() for line in stream.read().splitlines() if line.strip()]
                self._read[name] = stream.tell()
            for line in new[name]:
                if line not in self._said:
                    self._said.add(line)
                    logger.log(level_of(line, channel=name), "STIR %s: %s", name, line)
        return new


def level_of(line: str, *, channel: str) -> int:
    """Our log level of a line that STIR wrote to ``channel``: information, warning or error."""
    if channel == "warning" and _HARMLESS.search(line):
        return logging.DEBUG
    return _LEVELS[channel]


@functools.cache
def engine() -> Engine:
    """The engine of this process.

    Raises:
        InputError: SIRF is not installed, or cannot be loaded.
    """
    try:
        return Engine()
    # A SIRF of another release lacks functions; a broken one cannot load its libraries.
    except (ImportError, AttributeError, OSError) as error:
        raise InputError(
            f"scanner.projector: SIRF cannot be used ({type(error).__name__}: {error}); {REMEDY}."
        ) from error


class SirfProjector:
    """A :class:`~quietpet.projection.protocol.Projector` of STIR, differentiable like the embedded one.

    Build it with :func:`sirf_projector` or :func:`sirf_projector_3d`. ``acquisition`` and ``image`` are
    SIRF's containers of one call of the engine, which takes ``per_call`` images.
    """

    def __init__(
        self,
        acquisition: Any,
        image: Any,
        *,
        views: range,
        per_call: int,
        image_shape: tuple[int, ...],
        stir_projector: StirProjector,
        rays: int,
        device: torch.device,
    ) -> None:
        self.acquisition = acquisition
        self.image = image
        self.views = views
        self.per_call = per_call
        self.image_shape = image_shape
        planes, n_views, n_bins = (int(size) for size in acquisition.dimensions()[1:])
        self.sinogram_shape = (*((planes,) if self.is_volume else ()), n_views, n_bins)
        self.seen_bins = slice(0, n_bins)
        self.stir_projector: StirProjector = stir_projector
        self._rays = rays
        self._device = device
        model = self.acquisition_model()
        with engine().doing("setting up the projector"):
            model.set_up(acquisition, image)
        self._map = _StirMap(
            lambda block: model.forward(filled(image, block)),
            lambda block: model.backward(filled(acquisition, block)),
            source_shape=self.image_shape,
            target_shape=self.sinogram_shape,
            per_call=per_call,
            device=device,
        )
        # Not functools.cache, which would keep this projector alive: its maps are large.
        self._subsets: dict[tuple[int, int], SirfProjector] = {}

    @property
    def is_volume(self) -> bool:
        """Whether images are (z, y, x) and sinograms (plane, view, bin), instead of direct planes."""
        return len(self.image_shape) == 3

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Project images (..., [z,] y, x) to sinograms, in units of the pixel size."""
        return self._map(image)

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Back-project sinograms (..., [plane,] view, bin) to images."""
        return self._map.adjoint(sinogram)

    def trimmed(self) -> SirfProjector:
        """STIR leaves no bins out."""
        return self

    def subset(self, index: int, of: int) -> SirfProjector:
        """The projector of every ``of``-th view, from view ``index``; built once and kept."""
        if not 0 <= index < of <= len(self.views):
            raise ValueError(f"subset {index} of {of} does not exist for {len(self.views)} views")
        if (index, of) not in self._subsets:
            self._subsets[index, of] = self._build_subset(index, of)
        return self._subsets[index, of]

    def acquisition_model(self) -> Any:
        """A SIRF acquisition model of this projector that is not set up yet, without any factor.

        Its matrix is shared with the other models: STIR computes and caches it once. Attenuation and
        emission never share a *model*, which SIRF answers with NaN.

        Raises:
            InputError: this SIRF has no Parallelproj.
        """
        with engine().doing("making an acquisition model") as stir:
            if self.stir_projector == "ray_tracing":
                return stir.AcquisitionModelUsingRayTracingMatrix(self._matrix)
            if not hasattr(stir, "AcquisitionModelUsingParallelproj"):
                raise InputError(
                    "scanner.stir_projector = 'parallelproj', but SIRF was built without it; "
                    "use 'ray_tracing'."
                )
            return stir.AcquisitionModelUsingParallelproj()

    @functools.cached_property
    def _matrix(self) -> Any:
        with engine().doing("making the ray-tracing matrix") as stir:
            matrix = stir.RayTracingMatrix()
            matrix.set_num_tangential_LORs(self._rays)
            # With these symmetries STIR's subsets would not be every n-th view, and few would be legal.
            matrix.set_do_symmetry_90degrees_min_phi(False)
            matrix.set_do_symmetry_180degrees_min_phi(False)
            return matrix

    def _build_subset(self, index: int, of: int) -> SirfProjector:
        with engine().doing(f"taking subset {index} of {of}"):
            # STIR takes a subset of all views only, so that one of a subset cannot be made.
            if len(self.views) != self.views.stop:
                raise ValueError("a subset of STIR has no subsets itself")
            acquisition = self.acquisition.get_subset(list(self.views[index::of]))
        return SirfProjector(
            acquisition,
            self.image,
            views=self.views[index::of],
            per_call=self.per_call,
            image_shape=self.image_shape,
            stir_projector=self.stir_projector,
            rays=self._rays,
            device=self._device,
        )


class _StirMap(LinearMap):
    """A pair of functions of SIRF, each from a block of ``per_call`` items to a SIRF container."""

    def __init__(
        self,
        call: Callable[[np.ndarray], Any],
        transposed: Callable[[np.ndarray], Any],
        *,
        source_shape: tuple[int, ...],
        target_shape: tuple[int, ...],
        per_call: int,
        device: torch.device,
    ) -> None:
        self.source_shape = source_shape
        self.target_shape = target_shape
        self._call = call
        self._transposed = transposed
        self._per_call = per_call
        self._device = device

    def _make_adjoint(self) -> _StirMap:
        return _StirMap(
            self._transposed,
            self._call,
            source_shape=self.target_shape,
            target_shape=self.source_shape,
            per_call=self._per_call,
            device=self._device,
        )

    def multiply(self, values: torch.Tensor) -> torch.Tensor:
        """Copy the batch to SIRF in blocks, and the results back."""
        batch_shape = values.shape[: values.ndim - len(self.source_shape)]
        items = values.reshape(math.prod(batch_shape), *self.source_shape).cpu().numpy()
        if not len(items):
            return values.new_zeros((*batch_shape, *self.target_shape), device=self._device)
        with engine().doing("projecting"):
            results = [self._call(block).as_array() for block in in_blocks(items, self._per_call)]
        joined = np.concatenate([result.reshape(-1, *self.target_shape) for result in results])
        product = torch.from_numpy(joined[: len(items)]).to(self._device)
        return product.reshape(*batch_shape, *self.target_shape)


def sirf_projector(
    scanner: ScannerGeometry,
    grid: ImageGrid,
    *,
    rays: int,
    device: torch.device | str = "cpu",
    stir_projector: StirProjector = "ray_tracing",
    per_call: int = 1,
) -> SirfProjector:
    """STIR's projector of the direct planes: images (..., y, x) to sinograms (..., view, bin).

    ``per_call`` independent slices (at most the number of rings) go through the engine together, as the
    direct planes of that many rings. It saves no time per slice; with one thread, one is best.

    Raises:
        InputError: SIRF is absent or refuses the geometry.
    """
    if not 1 <= per_call <= scanner.n_rings:
        raise ValueError(f"per_call = {per_call}: {scanner.name} has {scanner.n_rings} rings")
    with (
        engine().doing(f"reading the template of {scanner.name}") as stir,
        tempfile.TemporaryDirectory(prefix="quietpet-stir-") as folder,
    ):
        acquisition = stir.AcquisitionData(str(write_template(Path(folder), scanner, n_rings=per_call)))
        # A plane per ring. With slices of half the ring spacing STIR's direct planes would see half.
        voxel_mm = (scanner.ring_spacing_mm, grid.pixel_mm, grid.pixel_mm)
        image = _image(stir, (per_call, *grid.shape[1:]), voxel_mm)
    return SirfProjector(
        acquisition,
        image,
        views=range(scanner.n_views),
        per_call=per_call,
        image_shape=grid.shape[1:],
        stir_projector=stir_projector,
        rays=rays,
        device=torch.device(device),
    )


def sirf_projector_3d(
    scanner: ScannerGeometry,
    grid: ImageGrid,
    *,
    rays: int,
    device: torch.device | str = "cpu",
    stir_projector: StirProjector = "ray_tracing",
) -> SirfProjector:
    """STIR's fully 3-D projector: images (..., z, y, x) to sinograms (..., plane, view, bin).

    The planes are those of the scanner's span and ring differences, in STIR's order: segment 0, then
    +1, -1, +2, -2, ...; for the mMR (837, 252, 344).

    Raises:
        InputError: SIRF is absent, or has no template without time of flight for this scanner.
    """
    if scanner.stir_name is None:
        raise InputError(f"scanner.model = {scanner.name!r}: SIRF in 3-D is only there for siemens_mmr.")
    with engine().doing(f"making the 3-D template of {scanner.name}") as stir:
        acquisition = stir.AcquisitionData(
            scanner.stir_name, span=scanner.span, max_ring_diff=scanner.max_ring_difference
        )
        image = _image(stir, grid.shape, (grid.slice_mm, grid.pixel_mm, grid.pixel_mm))
    return SirfProjector(
        acquisition,
        image,
        views=range(scanner.n_views),
        per_call=1,
        image_shape=grid.shape,
        stir_projector=stir_projector,
        rays=rays,
        device=torch.device(device),
    )


def in_blocks(items: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Consecutive blocks of ``size`` items along the first axis, the last one filled up with zeros."""
    for start in range(0, len(items), size):
        block = items[start : start + size]
        missing = size - len(block)
        yield np.pad(block, [(0, missing)] + [(0, 0)] * (items.ndim - 1)) if missing else block


def filled(template: Any, values: np.ndarray) -> Any:
    """A new SIRF image or sinogram like ``template`` that holds ``values``, reshaped to fit."""
    container = template.get_uniform_copy(0.0)
    container.fill(np.ascontiguousarray(values.reshape(template.dimensions()), np.float32))
    return container


def _image(stir: Any, shape: tuple[int, int, int], voxel_mm: tuple[float, float, float]) -> Any:
    image = stir.ImageData()
    image.initialise(dim=shape, vsize=voxel_mm, origin=(0.0, 0.0, 0.0))
    return image
