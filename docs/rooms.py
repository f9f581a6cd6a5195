"""The page of rooms: the folders and modules of the package by layer, each with its own first line."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src/quietpet"

INTRODUCTION = """\
# Rooms

Made from the layers in `pyproject.toml`, which `lint-imports` checks, and the first line of each room. A
room imports those below it only; rooms of one layer do not import each other. A room that has no layer
there is refused.
"""


def rooms_page() -> str:
    """One table, highest layer first."""
    rows = ["| layer | room | what it is for |", "|---|---|---|"]
    for number, layer in enumerate(_layers(), start=1):
        rows += [f"| {number} | `{room}` | {_purpose(room)} |" for room in layer]
    return "\n\n".join([INTRODUCTION.strip(), "\n".join(rows)]) + "\n"


def _layers() -> list[list[str]]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    separators = str.maketrans("|:", "  ")
    (container,) = contract["containers"]
    return [
        [f"{container}.{room}" for room in layer.translate(separators).split()]
        for layer in contract["layers"]
    ]


def _purpose(room: str) -> str:
    path = PACKAGE.joinpath(*room.split(".")[1:])
    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(module.read_text())) or ""
    return " ".join(docstring.split("\n\n")[0].split())
