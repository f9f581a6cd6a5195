"""Simulated pairs, made once for all tests of registration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from registration_pairs import brainweb_anatomy, pair, template_anatomy

from quietpet.registration.head import coarsened

SMALLER = (140, 140, 127)
"""PET voxels around the head: the empty rest of the mMR's 344 x 344 only costs time."""


@pytest.fixture(scope="session")
def template_pair():
    """30 minutes, 14.5 degrees and 17.5 mm, and a T1 with a receive field of 1 +- 20 %."""
    return pair(
        template_anatomy(bias=0.2),
        noise="30min",
        euler_deg=(10.0, -4.0, 10.0),
        translation_mm=(10.0, -12.0, 8.0),
        shape=SMALLER,
    )


@pytest.fixture(scope="session")
def coarse_pair(template_pair):
    """The same with voxels of 4 mm, which takes an engine a fraction of the time."""
    t1, pet = (
        coarsened(each, spacing_mm=4.0, fwhm_mm=5.0) for each in (template_pair.t1, template_pair.pet)
    )
    return replace(template_pair, t1=t1, pet=pet)


@pytest.fixture(scope="session")
def brainweb_pair(shared):
    """30 minutes, 20 degrees and 20 mm, and such a T1."""
    return pair(
        brainweb_anatomy(shared / "brainweb", "04", bias=0.2),
        noise="30min",
        euler_deg=(0.0, 0.0, -20.0),
        translation_mm=(-20.0, 0.0, 0.0),
        shape=SMALLER,
    )
