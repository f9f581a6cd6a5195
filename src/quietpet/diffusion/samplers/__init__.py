"""Samplers: one file each, found by itself and called by its name; none of them imports torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from quietpet.diffusion.sampler import Sampler

FOLDER = "diffusion.samplers"
"""Name of this folder below the package."""


def _found() -> dict[str, Sampler]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"quietpet.{FOLDER}.{name}").SAMPLER for name in names}


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(_found())
"""Samplers by their name in the settings."""
