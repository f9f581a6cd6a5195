"""Folders that the user names in the configuration."""

from __future__ import annotations

import os
from pathlib import Path


def from_here(folder: str) -> str:
    """A folder that the user named, relative to where the command was given.

    That is PWD: Snakemake's --directory changes the working folder only.
    """
    return os.path.normpath(Path(os.environ.get("PWD", ".")) / Path(folder).expanduser())
