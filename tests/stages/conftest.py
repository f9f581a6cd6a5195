"""Fixtures of the tests of stages."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def on_the_cpu():
    """Stages compute on the CPU, whatever the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIETPET_DEVICE", "cpu")
        yield
