"""Random generators seeded by the name of what is drawn, never by the order of calls.

Adding a subject, a count level or a method therefore changes no existing draw, and a job may run
anywhere, in any order, on any number of cores.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Name = str | int


def named_seed(study_seed: int, *names: Name) -> int:
    """A 63-bit seed for the thing called ``names`` in the study ``study_seed``.

    The parts are hashed with their types and lengths, so ("a", "bc") and ("ab", "c"), or 1 and "1",
    get different seeds.
    """
    digest = hashlib.sha256()
    for part in (study_seed, *names):
        text = f"{type(part).__name__}:{part}".encode()
        digest.update(len(text).to_bytes(4, "big") + text)
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def numpy_rng(study_seed: int, *names: Name) -> np.random.Generator:
    """NumPy generator for the thing called ``names``."""
    return np.random.default_rng(named_seed(study_seed, *names))


def torch_generator(study_seed: int, *names: Name, device: str = "cpu") -> torch.Generator:
    """Torch generator for the thing called ``names``, on ``device``."""
    import torch

    return torch.Generator(device=device).manual_seed(named_seed(study_seed, *names))
