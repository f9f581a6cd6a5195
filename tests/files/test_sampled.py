"""Large files told apart by parts of them: by what changed, and not by when or where."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

from quietpet.files.sampled import sampled_digest


def test_a_copy_of_another_time_and_place_is_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        path.write_bytes(b"head" * 100_000)
    os.utime(second, (1, 1))
    assert sampled_digest([first]) == sampled_digest([second])
    assert sampled_digest([first]) != sampled_digest([first, second])
    assert sampled_digest([tmp_path / "none", first]) != sampled_digest([first])


def test_one_voxel_of_a_compressed_image_is_another_file(tmp_path: Path) -> None:
    """Wherever it lies: gzip ends with the checksum of everything, of the same size here."""
    values = np.random.default_rng(0).integers(0, 256, 1_000_000, dtype=np.uint8)
    digests = set()
    for place in (None, 10, 300_000, 777_777):
        changed = values.copy()
        if place is not None:
            changed[place] ^= 1
        path = tmp_path / f"{place}.gz"
        path.write_bytes(gzip.compress(changed.tobytes(), compresslevel=1, mtime=0))
        digests.add(sampled_digest([path]))
    assert len(digests) == 4


def test_uncompressed_images_differ_by_the_head_in_their_middle(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 64), np.float32)
    digests = set()
    for activity in (1, 2):
        image[24:40, 24:40, 24:40] = activity
        (tmp_path / "a.nii").write_bytes(image.tobytes())
        digests.add(sampled_digest([tmp_path / "a.nii"]))
    assert len(digests) == 2
