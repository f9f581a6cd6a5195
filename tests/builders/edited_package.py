"""A copy of the package with some of its files edited, as a developer would, and its command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import quietpet

ORIGINAL = Path(quietpet.__file__).parent


@dataclass(frozen=True)
class EditedPackage:
    """The copy in ``folder``."""

    folder: Path

    def run(self, *arguments: str | Path) -> str:
        """Run ``quietpet`` with ``arguments``; it must succeed. Returns what it prints."""
        return self.run_all(arguments)

    def run_all(self, *commands: Sequence[str | Path]) -> str:
        """The same with several commands, in one process."""
        script = (
            "import json, sys; from quietpet.cli import main\n"
            "for arguments in json.loads(sys.argv[1]):\n"
            "    if status := main(arguments): sys.exit(status)"
        )
        return self.python(
            script, json.dumps([[str(each) for each in arguments] for arguments in commands])
        )

    def python(self, script: str, *arguments: str | Path) -> str:
        """Run a Python ``script`` that imports the copy; it must succeed. Returns what it prints."""
        done = self._started(sys.executable, "-c", script, *map(str, arguments))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def broken_contracts(self, configuration: Path) -> list[str]:
        """Contracts of import-linter in the file ``configuration`` that the copy breaks."""
        done = self._started("lint-imports", "--config", str(configuration), "--no-cache")
        lines = done.stdout.splitlines()
        found = [re.fullmatch(r"(.+) BROKEN( \(.+\))?", line) for line in lines]
        broken = [match[1] for match in found if match]
        assert any(line.startswith("Contracts: ") for line in lines), done.stdout + done.stderr
        assert bool(broken) == bool(done.returncode)
        return broken

    def _started(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "200"}
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False
        )

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
