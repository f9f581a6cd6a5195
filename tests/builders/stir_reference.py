"""STIR's results for one slice: an excerpt that lies in the repository, and the whole beside it.

``python tests/builders/stir_reference.py FOLDER`` cuts the excerpt anew from the whole in FOLDER.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "reference" / "stir"
"""The excerpt, STIR's geometry and its header; ``README.md`` there says how they were computed."""

_WHOLE = ("inputs", "projections", "osem_noiseless")
_SINOGRAMS = ("fwd_rt1", "fwd_rt10", "af_rt10")
_IMAGES = (
    *("activity", "mu_per_cm", "blurred_activity_psf2.5"),
    *("nl_osem10x15_psf2.5_manual", "nl_osem14x10_psf4.0"),
)
_VIEW_STEP = 5
"""In each quarter turn other views, as 5 does not divide its 63."""
_SENSITIVITY_ROW_STEP = 8


@dataclass(frozen=True, kw_only=True)
class StirReference:
    """Arrays by name: images (y, x), and sinograms (view, bin) of every ``view_step``-th view.

    Of the sensitivity there is every ``sensitivity_row_step``-th row.
    """

    arrays: Mapping[str, np.ndarray]
    view_step: int = 1
    sensitivity_row_step: int = 1

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def excerpt(self) -> StirReference:
        """What the repository has of the whole."""
        return StirReference(
            arrays={
                **{name: self[name] for name in _IMAGES},
                **{name: self[name][::_VIEW_STEP] for name in _SINOGRAMS},
                "sens_rt10": self["sens_rt10"][::_SENSITIVITY_ROW_STEP],
            },
            view_step=_VIEW_STEP,
            sensitivity_row_step=_SENSITIVITY_ROW_STEP,
        )


def whole(folder: Path) -> StirReference:
    """All arrays, in the files of ``folder``."""
    arrays: dict[str, np.ndarray] = {}
    for name in _WHOLE:
        with np.load(folder / f"{name}.npz") as file:
            arrays |= file
    return StirReference(arrays=arrays)


def excerpt() -> StirReference:
    """The part in the repository."""
    with np.load(FOLDER / "excerpt.npz") as file:
        return StirReference(
            arrays=dict(file), view_step=_VIEW_STEP, sensitivity_row_step=_SENSITIVITY_ROW_STEP
        )


if __name__ == "__main__":
    np.savez_compressed(FOLDER / "excerpt.npz", **whole(Path(sys.argv[1])).excerpt().arrays)
