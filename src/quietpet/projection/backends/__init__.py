"""Engines of the system model: one file each, found by itself and called by its name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from quietpet.config.scanner import PROJECTORS
from quietpet.projection.backend import Backend

FOLDER = "projection.backends"
"""Name of this folder below the package."""


def _found() -> dict[str, Backend]:
    return {name: importlib.import_module(f"quietpet.{FOLDER}.{name}").BACKEND for name in PROJECTORS}


BACKENDS: Mapping[str, Backend] = MappingProxyType(_found())
"""Engines by their name in the settings."""
