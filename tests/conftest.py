"""Fixtures used across the tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

# Before NumPy and PyTorch: the images of the tests are small, and where other programs keep the cores
# busy, threads that wait for one another cost far more than they give. Commands set their own number.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import hypothesis
import pytest
from stir_reference import StirReference, excerpt, whole

REPOSITORY = Path(__file__).parents[1]

# A shell in the background ignores Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run; where other programs keep the cores busy, one may take any time.
# `pytest --hypothesis-profile=default` looks for others.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names of tests hold no bytes: compressed ones hold the second, in which workers would differ."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data that may lie beside the repository; never needed by the product."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder ../shared with reference data")
    return folder


@pytest.fixture(scope="session")
def stir() -> list[StirReference]:
    """STIR's results for one BrainWeb slice: the part in the repository, then the whole where it is."""
    folder = REPOSITORY.parent / "shared" / "reference" / "stir"
    return [excerpt(), *([whole(folder)] if folder.is_dir() else [])]


@pytest.fixture(scope="session")
def sirf():
    """SIRF, where it is installed."""
    from quietpet.projection.sirf_installation import sirf_is_installed

    if not sirf_is_installed():
        pytest.skip("SIRF is not installed")
    from quietpet.projection.sirf import engine

    return engine()


@pytest.fixture(scope="module", autouse=True)
def _nothing_large_stays():
    """Each worker runs many modules: what one has made, and nobody holds, leaves its memory."""
    yield
    if embedded := sys.modules.get("quietpet.projection.embedded"):
        embedded.forget_projector()
    gc.collect()


@pytest.fixture(scope="module")
def head_projector():
    """A projector for a head-sized disc, ten rays per bin, as STIR's reference has."""
    from quietpet.geometry.grid import mmr_grid
    from quietpet.geometry.scanner import siemens_mmr
    from quietpet.projection.embedded import embedded_projector

    return embedded_projector(siemens_mmr(), mmr_grid(128), rays=10)
