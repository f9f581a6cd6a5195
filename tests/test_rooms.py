"""What belongs into which room of the package."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from edited_package import edited_package
from pydantic import BaseModel

import quietpet.config
import quietpet.jobs
import quietpet.study
from quietpet.config.method_kinds import method_kinds
from quietpet.config.section import Section


def sections(kind: type[BaseModel] = Section) -> set[type[BaseModel]]:
    """All records below ``kind`` that are loaded and have keys of their own."""
    found = {kind} if kind.__annotations__ else set()
    return found.union(*map(sections, kind.__subclasses__()))


def test_settings_have_one_room():
    """A record is part of the configuration, a method's own numbers, or a job."""
    for room in (quietpet.config, quietpet.jobs, quietpet.study):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    own = {f"quietpet.methods.{kind}.settings" for kind in method_kinds()}
    for settings in own:
        importlib.import_module(settings)
    places = {each.__module__ for each in sections() if each.__module__.startswith("quietpet.")}
    assert own <= places
    strangers = {place for place in places - own if place.split(".")[1] not in ("config", "jobs")}
    assert not strangers


@pytest.mark.parametrize("library", ["h5py", "nibabel", "safetensors"])
def test_one_room_knows_the_formats_of_files(repository: Path, tmp_path: Path, library: str):
    edits = {"evaluation/peeking.py": f'"""Reads files by itself."""\n\nimport {library}\n'}
    (broken,) = edited_package(tmp_path, edits).broken_contracts(repository / "pyproject.toml")
    assert broken.startswith("one room knows the formats of files")


def test_a_new_room_needs_its_place_among_the_layers(repository: Path, tmp_path: Path):
    package = edited_package(tmp_path, {"attic/__init__.py": '"""Things nobody placed."""\n'})
    (broken,) = package.broken_contracts(repository / "pyproject.toml")
    assert broken.startswith("layers")
