"""Which methods exist: every folder of ``quietpet.methods`` with a ``settings.py`` is one.

Adding a method means adding a folder; nothing is listed by hand. A method's settings lie in its folder,
and are imported by the name of that folder; none of them imports torch.
"""

from __future__ import annotations

import functools
import importlib
import operator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, GetPydanticSchema

from quietpet.config.methods import MethodSettings

_METHODS = Path(__file__).parents[1] / "methods"


def method_kinds() -> tuple[str, ...]:
    """Names of the method folders, sorted."""
    return tuple(sorted(path.parent.name for path in _METHODS.glob("*/settings.py")))


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
