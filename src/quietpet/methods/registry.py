"""From settings to the method that they describe, and to the code that it is made of."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from quietpet.config.methods import MethodSettings

if TYPE_CHECKING:
    from quietpet.methods.base import Restorer

MEASURING = "recon.measuring"
"""Module, below the package, that a method which reconstructs needs to have its slices measured."""


def build(settings: MethodSettings) -> Restorer:
    """The untrained method that ``settings`` describes; its initial weights use torch's generator."""
    return importlib.import_module(f"quietpet.methods.{settings.kind}.model").build(settings)


def code_of(*methods: MethodSettings) -> tuple[str, ...]:
    """Names, below the package, of the modules that methods need; their results depend on them.

    They are imported under computed names, so that nothing else tells that a step reaches them.
    """
    found: list[str] = []
    for settings in methods:
        found += [f"methods.{settings.kind}.model", f"methods.{settings.kind}.settings"]
        found += [*settings.modules, *([MEASURING] if settings.reconstructs else [])]
    return tuple(dict.fromkeys(found))
