"""The result of training: a method's tensors, with its settings and history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quietpet.config.methods import NOT_OF_WEIGHTS, MethodSettings
from quietpet.errors import InputError
from quietpet.files.tensors import require_same_network
from quietpet.files.weights import Weights, read_weights, write_weights
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build


def save_weights(
    target: Path,
    method: Restorer,
    *,
    settings: MethodSettings,
    lineage: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> None:
    """Write the method's parameters and buffers."""
    weights = Weights(
        settings=settings.for_training().model_dump(mode="json"),
        parameters=method.parameter_count,
        lineage=dict(lineage),
        tensors=method.state_dict(),
    )
    write_weights(target, weights, provenance=provenance)


def load_weights(path: Path, settings: MethodSettings) -> tuple[Restorer, dict[str, str]]:
    """The method that ``settings`` describe with the weights of ``path``, and the weights' lineage.

    Raises:
        InputError: the file is of another method, or its tensors do not fit the settings.
    """
    weights = read_weights(path)
    _require_same_settings(weights.settings, settings, path=path)
    method = build(settings)
    require_same_network(weights.tensors, method.state_dict(), path=path)
    method.load_state_dict(weights.tensors)
    return method.eval(), weights.lineage


def _require_same_settings(found: Mapping[str, Any], settings: MethodSettings, *, path: Path) -> None:
    if "kind" not in found:
        raise InputError(
            f"{path}: its settings do not say of which kind of method it is; train it again by `fit`."
        )
    wanted = settings.for_training().model_dump(mode="json", exclude=NOT_OF_WEIGHTS)
    # A file of before a setting was trained as its default says.
    defaults = type(settings).model_construct(kind=settings.kind).for_training().model_dump(mode="json")
    known = {**defaults, **found}
    for key, value in wanted.items():
        if known.get(key) != value:
            raise InputError(
                f"{path}: was trained with {key} = {known.get(key)!r}, but {value!r} is to be run. "
                "Train again with the settings wanted."
            )
