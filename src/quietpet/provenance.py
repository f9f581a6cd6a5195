"""Where an output came from: settings, inputs, code, versions, engines, time.

Also the code fingerprint that makes Snakemake re-run a step when, and only when, the code which that
step reaches has changed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PACKAGE = "quietpet"
_PACKAGE_FOLDER = Path(__file__).parent

# Modules and packages that cannot change a result: settings reach a step by value, as its parameters.
_WITHOUT_EFFECT = tuple(
    f"{PACKAGE}.{name}"
    for name in ("cli", "config", "errors", "invivo.settings", "jobs", "progress", "provenance", "study")
)

_REPORTED_PACKAGES = (
    "quietpet",
    "torch",
    "numpy",
    "scipy",
    "h5py",
    "monai",
    "nilearn",
    "nibabel",
    "SimpleITK",
    "nipype",
    "scikit-image",
)


class Stopwatch:
    """Wall time since construction."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)


def provenance(
    stage: str,
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    watch: Stopwatch,
    device: str = "cpu",
    also: tuple[str, ...] = (),
    engines: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A JSON-able record of how an output was made.

    ``also`` names modules that the stage loads by name, which its imports do not show; ``engines`` gives
    versions of programs that are no Python packages.
    """
    return {
        "stage": stage,
        "settings": dict(settings),
        "inputs": {str(path): file_digest(path) for path in inputs},
        "code": fingerprint(f"stages.{stage}", *also),
        "versions": {**_versions(), **(engines or {})},
        "python": platform.python_version(),
        "device": device,
        "wall_s": watch.seconds(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Short name of a set of settings, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(*roots: str) -> str:
    """Hash of the code that the modules ``quietpet.<root>`` reach by import.

    Syntax trees without docstrings are hashed, so comments, docstrings and formatting re-run nothing.
    Modules that only describe or carry settings are left out: a step gets its settings by value.
    """
    reached: set[str] = set()
    waiting = [f"{PACKAGE}.{root}" for root in roots]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(_imported_modules(module))
    digest = hashlib.sha256()
    for module in sorted(filter(_changes_results, reached)):
        digest.update(f"{module}\0{_meaning(module)}\0".encode())
    return digest.hexdigest()[:16]


def _changes_results(module: str) -> bool:
    return not any(module == name or module.startswith(f"{name}.") for name in _WITHOUT_EFFECT)


def _versions() -> dict[str, str]:
    found = {}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _source_of(module: str) -> Path | None:
    base = _PACKAGE_FOLDER.joinpath(*module.split(".")[1:])
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _tree(module: str) -> ast.Module:
    source = _source_of(module)
    if source is None:
        raise ModuleNotFoundError(f"no module {module} below {_PACKAGE_FOLDER}")
    return ast.parse(source.read_text())


@functools.cache
def _imported_modules(module: str) -> frozenset[str]:
    names: set[str] = set()
    for node in _statements(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name.startswith(f"{PACKAGE}.") and _source_of(name))


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """All statements, in any depth: a tenth of the nodes, and imports are nothing else."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            for inner in getattr(node, block, ()):
                waiting.append(inner)
                if isinstance(inner, ast.stmt):
                    yield inner


@functools.cache
def _meaning(module: str) -> str:
    return ast.dump(_WithoutDocstrings().visit(_tree(module)))


class _WithoutDocstrings(ast.NodeTransformer):
    """Drop the docstring of every module, class and function."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
        return node


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
