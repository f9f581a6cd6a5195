"""Read a study."""

from __future__ import annotations

from pathlib import Path

from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study


def read_study(path: str | Path) -> Study:
    """A checked configuration, with all its defaults.

    Raises InputError, which names the key, the value and the remedy.
    """
    return load_study(read_yaml(Path(path)), origin=str(path))
