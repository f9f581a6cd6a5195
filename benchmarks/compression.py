"""How small do filters of HDF5 make results, and what do they cost?

    python benchmarks/compression.py results/sinograms/phantom/45/low.h5 results/images/phantom/45/low.h5

Each filter stores the images of a file anew, a slice per chunk with its checksum, as the project does.
The size is that of the file, times are core time of writing and of reading it, the least of some turns.
The project has shuffle and gzip 1: on files of the small study smaller than lzf, read as fast, known to
every HDF5 library; higher levels take several times as long to write.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import h5py
import numpy as np

FILTERS: dict[str, dict[str, object]] = {
    "none": {},
    "shuffle + lzf": {"shuffle": True, "compression": "lzf"},
    "lzf": {"compression": "lzf"},
    **{
        f"shuffle + gzip {level}": {"shuffle": True, "compression": "gzip", "compression_opts": level}
        for level in (1, 2, 4, 6, 9)
    },
    "gzip 4": {"compression": "gzip", "compression_opts": 4},
}


@dataclass(frozen=True)
class Measured:
    """Size of a file and core seconds to write and to read it."""

    mib: float
    write_s: float
    read_s: float


def measured(arrays: Mapping[str, np.ndarray], filters: Mapping[str, object], turns: int) -> Measured:
    """What storing ``arrays`` with ``filters`` costs; what is read back must be what was stored."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stored.h5"
        write_s = least_core_seconds(lambda: store(path, arrays, filters), turns)
        read_s = least_core_seconds(lambda: read(path), turns)
        found = read(path)
        assert all(np.array_equal(found[name], arrays[name], equal_nan=True) for name in arrays)
        return Measured(mib=path.stat().st_size / 2**20, write_s=write_s, read_s=read_s)


def store(path: Path, arrays: Mapping[str, np.ndarray], filters: Mapping[str, object]) -> None:
    """A slice per chunk."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            chunks = {"chunks": (1, *array.shape[1:]), "fletcher32": True, **filters}
            file.create_dataset(name, data=array, **chunks)


def read(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: each[()] for name, each in file.items()}


def least_core_seconds(work: Callable[[], object], turns: int) -> float:
    """Of this process, so that what else the machine does counts little."""
    found = []
    for _ in range(turns):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def slices_of(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that are compressed: those of three axes."""
    return {name: array for name, array in read(path).items() if array.ndim == 3 and array.size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="HDF5 files of results")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    for path in options.files:
        arrays = slices_of(path)
        raw = sum(array.nbytes for array in arrays.values()) / 2**20
        print(f"\n{path}: {raw:.2f} MiB in {', '.join(arrays)}\n")
        print("| filter | MiB | of none (%) | write (ms/MiB) | read (ms/MiB) |\n|---|---|---|---|---|")
        for name, filters in FILTERS.items():
            found = measured(arrays, filters, options.turns)
            times = " | ".join(f"{1000 * each / raw:.1f}" for each in (found.write_s, found.read_s))
            print(f"| {name} | {found.mib:.2f} | {100 * found.mib / raw:.0f} | {times} |")


if __name__ == "__main__":
    main()
