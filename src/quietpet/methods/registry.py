"""Which methods exist: every folder of this package with a ``settings.py`` is one.

Adding a method means adding a folder; nothing is listed by hand. Reading settings never imports torch.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import pkgutil
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetPydanticSchema

import quietpet.methods
from quietpet.config.methods import MethodSettings

if TYPE_CHECKING:
    from quietpet.methods.base import Restorer

MEASURING = "recon.measuring"
"""Module, below the package, that a method which reconstructs needs to have its slices measured."""


def method_kinds() -> tuple[str, ...]:
    """Names of the method folders, sorted."""
    found = []
    for package in pkgutil.iter_modules(quietpet.methods.__path__):
        if package.ispkg and _has_settings(package.name):
            found.append(package.name)
    return tuple(sorted(found))


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


def _has_settings(kind: str) -> bool:
    return importlib.util.find_spec(f"quietpet.methods.{kind}.settings") is not None


def _settings_class(kind: str) -> type[MethodSettings]:
    return importlib.import_module(f"quietpet.methods.{kind}.settings").Settings


def _union() -> Any:
    return functools.reduce(operator.or_, (_settings_class(kind) for kind in method_kinds()))


AnyMethodSettings = Annotated[
    MethodSettings,
    GetPydanticSchema(
        lambda _type, schema_of: schema_of(Annotated[_union(), Field(discriminator="kind")])
    ),
]
"""The settings of any method; read as those of the folder that their ``kind`` names."""
