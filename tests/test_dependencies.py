"""The lock holds what pyproject.toml asks for, exactly, and nothing that depends on the machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def _pins() -> dict[str, str]:
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def _required(texts: list[str]) -> Iterator[Requirement]:
    """Requirements, with those of the project's own extras in their place."""
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from _required(PROJECT["optional-dependencies"][extra])
        else:
            yield requirement


REQUIRED = list(_required([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]))


@pytest.mark.parametrize("requirement", REQUIRED, ids=lambda requirement: requirement.name)
def test_the_lock_has_what_the_project_asks_for(requirement: Requirement):
    pin = _pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin), f"run: make lock ({requirement}, locked: {pin})"


def test_no_package_of_cuda_is_locked():
    assert not [name for name in _pins() if re.match(r"nvidia|cuda|triton", name)]


def test_torch_is_a_range_in_the_project():
    (torch,) = (requirement for requirement in REQUIRED if requirement.name == "torch")
    assert all(part.operator not in ("==", "===") for part in torch.specifier)


def test_what_users_ask_for_comes_with_the_package():
    names = {requirement.name for requirement in _required(PROJECT["dependencies"])}
    assert {"brainweb", "nipype"} <= names
