"""Folders and files that the user names in a configuration: relative to the folder of that file."""

from __future__ import annotations

import os
from pathlib import Path

from quietpet.config.invivo import InvivoSettings
from quietpet.config.registration import RegistrationSettings
from quietpet.study.root import Study

CACHE_VARIABLE = "QUIETPET_BRAINWEB"
DEFAULT_CACHE = "resources/brainweb"


def absolute_cache(named: str) -> str:
    """A folder in the variable, relative to where the command is given.

    That is PWD: Snakemake's --directory changes the working folder only.
    """
    return os.path.normpath(Path(os.environ.get("PWD", ".")).absolute() / Path(named).expanduser())


def with_paths_from(configuration: Path, study: Study) -> Study:
    """``study`` with every path as seen from the working directory.

    ``configuration`` is the file that they are relative to. They stay relative, so that the jobs of a
    project that was moved as a whole have the settings they had; absolute ones stay absolute, and ``~``
    is the home folder.
    """
    folder, phantoms = configuration.absolute().parent, study.phantoms
    cache_dir = _from_working_directory(folder, phantoms.cache_dir)
    return study.model_copy(
        update={
            "phantoms": phantoms.model_copy(update={"cache_dir": cache_dir}),
            "invivo": _placed(folder, study.invivo) if study.invivo else None,
            "registration": _with_transform_from(folder, study.registration),
        }
    )


def _placed(folder: Path, invivo: InvivoSettings) -> InvivoSettings:
    sources = {
        name: source.model_copy(
            update={
                key: _from_working_directory(folder, getattr(source, key))
                for key in ("root", "manifest")
            }
        )
        for name, source in invivo.sources.items()
    }
    return invivo.model_copy(update={"sources": sources})


def _with_transform_from(folder: Path, registration: RegistrationSettings) -> RegistrationSettings:
    """The pattern of the user's transforms, in which braces of the folder itself are doubled."""
    doubled = Path(str(folder).replace("{", "{{").replace("}", "}}"))
    transform = _from_working_directory(doubled, registration.transform)
    return registration.model_copy(update={"transform": transform})


def _from_working_directory(folder: Path, named: str | None) -> str | None:
    if named is None:
        return None
    path = Path(named).expanduser()
    return os.path.normpath(path) if path.is_absolute() else os.path.relpath(folder / path)
