"""The tiny study, which takes a minute, once for all tests and workers."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from workflow_runs import interrupted, snakemake


@pytest.fixture(scope="session")
def configuration(repository):
    return yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())


@pytest.fixture(scope="session")
def finished(repository, tmp_path_factory) -> Path:
    """The tiny study, killed without warning half way and then run to its end. Nobody writes to it."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "finished"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "results/tables.csv").exists():
            _run_with_a_kill(repository, folder)
    return folder


@pytest.fixture
def study(finished, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "study"))


def _run_with_a_kill(repository: Path, folder: Path) -> None:
    study = ("--configfile", repository / "workflow/configs/tiny.yaml", "--directory", folder)
    tables = (*study, "--show-failed-logs", "results/tables.csv")

    def images():
        return list(folder.glob("results/images/*/*/*.h5"))

    interrupted(repository, *tables, when=images, by=signal.SIGKILL)
    assert not (folder / "results/tables.csv").exists()
    measured = {path.parent.name for path in images()}
    slices = [path for path in folder.glob("results/slices/*/*.h5") if path.stem in measured]
    written = [path.stat().st_mtime_ns for path in slices]
    snakemake(repository, *study, "--unlock")
    snakemake(repository, *tables)
    assert slices
    assert [path.stat().st_mtime_ns for path in slices] == written, "finished work ran again"
