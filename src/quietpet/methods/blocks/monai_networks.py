"""The parts of MONAI that methods are made of, imported without the rest.

Whatever is imported of MONAI, all its modules are, and with them plotting, tables, statistics and image
processing: two core seconds, in each process that trains or applies a network. MONAI does without these
packages where they are not installed, and here they seem not to be while it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["BasicUNet", "CABlock", "DiffusionModelUNet", "FeedForward", "get_timestep_embedding"]

_NOT_FOR_NETWORKS = (
    *("h5py", "joblib", "matplotlib", "nibabel", "pandas", "PIL", "rich", "skimage", "sklearn"),
    *("scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.spatial", "scipy.stats"),
)


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Within, modules that are not imported yet cannot be."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: importing it fails
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _hidden(*_NOT_FOR_NETWORKS):
    from monai.networks.blocks.cablock import CABlock, FeedForward
    from monai.networks.nets.basic_unet import BasicUNet
    from monai.networks.nets.diffusion_model_unet import (
        DiffusionModelUNet,
        get_timestep_embedding,
    )
