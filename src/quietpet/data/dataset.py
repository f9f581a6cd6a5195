"""Slices of a packed data set, read one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from quietpet.data.pairs import DosePair
from quietpet.errors import InputError, replacing
from quietpet.files.packed import PackedImages

_FINITE = ("low", "standard", "truth")


class PairDataset(Dataset[DosePair]):
    """The rows of a file of kind "dataset", as :class:`DosePair`.

    Attributes: ``keys``, ``subjects`` and ``has_t1`` of all rows; ``pixels``, the side of the square
    images; ``pixel_mm``; ``has_truth``; and the file's own ``dataset``, ``setting``, ``split`` and
    ``lineage``.

    Raises:
        InputError: the file is missing, incomplete, of another kind, or lacks something; on reading a
            row, an image holds NaN or infinity.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._images = PackedImages(path)
        self._about = about = self._images.about
        self.keys, self.subjects = about.key, about.subject
        self.pixels, self.has_truth = self._images.pixels, self._images.has_truth
        self.has_t1 = about.has_t1
        self.dataset, self.setting, self.split = about.dataset, about.setting, about.split
        self.lineage, self.affine_ras_mm = about.lineage, about.affine_ras_mm
        # Index order (z, y, x): the third column is one step along x.
        self.pixel_mm = float(np.linalg.norm(self.affine_ras_mm[:3, 2]))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, row: int) -> DosePair:
        images, about = self._images.row(row), self._about
        has_t1 = bool(self.has_t1[row])
        for name in (*_FINITE, *(("t1",) if has_t1 else ())):
            if name in images:
                self._require_finite(images[name], name=name, row=row)
        return DosePair(
            key=self.keys[row],
            subject=self.subjects[row],
            slice_mm=float(about.slice_mm[row]),
            angle_deg=float(about.angle_deg[row]),
            low=images["low"],
            standard=images["standard"],
            t1=images["t1"] if has_t1 else None,
            head=images["head"].astype(bool),
            pet_lesions=images["pet_lesions"],
            t1_lesions=images["t1_lesions"],
            truth=images.get("truth"),
            scale=float(about.scale[row]),
            t1_scale=float(about.t1_scale[row]),
            affine_ras_mm=self.affine_ras_mm,
        )

    def require_split(self, split: str) -> None:
        """Refuse slices of another split.

        Raises:
            InputError: names the file and its split.
        """
        if self.split != split:
            raise InputError(
                f"{self.path}: holds the split {self.split!r}, but {split!r} belongs in its place. Run "
                "the step that makes it again."
            )

    def any_head(self) -> np.ndarray:
        """Pixels (y, x) that lie in the head of any slice."""
        return np.any(self._images.whole("head"), axis=0)

    def _require_finite(self, image: np.ndarray, *, name: str, row: int) -> None:
        bad = int(np.count_nonzero(~np.isfinite(image)))
        if bad:
            raise InputError(
                f"{self.path}: slice {self.keys[row]!r}: {bad} of {image.size} values of {name!r} are "
                f"not finite. {replacing(self.path)}"
            )
