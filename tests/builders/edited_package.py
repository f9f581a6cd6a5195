"""A copy of the package with some of its files edited, as a developer would, and its command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import quietpet

ORIGINAL = Path(quietpet.__file__).parent


@dataclass(frozen=True)
class EditedPackage:
    """The copy in ``folder``."""

    folder: Path

    def run(self, *arguments: str | Path) -> None:
        """Run ``quietpet`` with ``arguments``; it must succeed."""
        script = "import sys; from quietpet.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def touched(self) -> set[str]:
        """Files that the original lacks, or has otherwise."""
        copy = self.folder / "quietpet"
        files = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
        return {
            str(path)
            for path in files
            if path.suffix != ".pyc"
            and not (
                (ORIGINAL / path).is_file()
                and (ORIGINAL / path).read_bytes() == (copy / path).read_bytes()
            )
        }


def edited_package(folder: Path, added: Mapping[str, str]) -> EditedPackage:
    """A copy of the package below ``folder``, with text ``added`` at the end of files."""
    shutil.copytree(
        ORIGINAL, folder / "quietpet", ignore=shutil.ignore_patterns("__pycache__", ".cache")
    )
    for name, text in added.items():
        path = folder / "quietpet" / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            stream.write(text)
    return EditedPackage(folder)
