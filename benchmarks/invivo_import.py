"""How long does it take to read a whole dynamic PET series, and how much memory?

    python benchmarks/invivo_import.py --folder /scratch

Writes a 4-D image as the Monash data sets have them (16-s frames of 344 x 344 x 127 voxels, int16 with a
scale, gzip: about 1 GB for 225 frames) unless it is there, takes its 30-min, 2-min and 16-s windows, and
prints seconds and the greatest memory of the process.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from quietpet.invivo.series import frames, read_header
from quietpet.invivo.timing import FrameTiming
from quietpet.invivo.windows import choose_frames, weigh_frames, window_means

SHAPE = (344, 344, 127)
FRAME_S = 16.0
HALF_LIFE_S = 6586.2
BQ_PER_ML_PER_STEP = 2.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder with some 2 GB free")
    parser.add_argument("--frames", type=int, default=225)
    parser.add_argument("--plain", action="store_true", help="do not compress (7 GB)")
    options = parser.parse_args()
    path = options.folder / f"dynamic_{options.frames}.nii{'' if options.plain else '.gz'}"
    if not path.exists():
        began = time.monotonic()
        write_series(path, options.frames)
        print(f"{path.name}: written in {time.monotonic() - began:.0f} s")
    gigabytes = path.stat().st_size / 1e9
    before_mb = peak_mb()
    began = time.monotonic()
    windows = read_windows(path)
    print(
        f"{path.name}: {gigabytes:.2f} GB, {options.frames} frames of {SHAPE}, {len(windows)} windows: "
        f"{time.monotonic() - began:.1f} s, peak memory {peak_mb():.0f} MB ({before_mb:.0f} before)"
    )


def write_series(path: Path, n_frames: int) -> None:
    """A head-sized cylinder of noise: background zeros compress, noise does not, as in real images."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*SHAPE, n_frames))
    header.set_sform(np.diag([-1.39084, 1.39084, 2.03125, 1]), code=1)
    header.set_xyzt_units("mm", "sec")
    header["scl_slope"], header["vox_offset"] = BQ_PER_ML_PER_STEP, 352
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    head = ((x - 172) ** 2 + (y - 172) ** 2 < 75**2)[:, :, None]
    rng = np.random.default_rng(0)
    frame = np.zeros(SHAPE, np.int16)
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as stream:
        stream.write(header.binaryblock + bytes(4))
        noise = (rng.standard_normal(SHAPE) * 2000 + 8000).astype(np.int16)
        for number in range(n_frames):
            np.multiply(np.roll(noise, number, axis=2), head, out=frame)
            stream.write(frame.tobytes(order="F"))


def read_windows(path: Path) -> dict[str, np.ndarray]:
    """What the import does with a series."""
    header = read_header(path)
    timing = FrameTiming(
        starts_s=FRAME_S * np.arange(header.n_frames),
        durations_s=np.full(header.n_frames, FRAME_S),
        source="regular",
    )
    windows = {
        name: weigh_frames(
            timing,
            choose_frames(timing, start_s=0, seconds=seconds, rounding="nearest", name=name),
            half_life_s=HALF_LIFE_S,
            decay_corrected=True,
        )
        for name, seconds in {"standard": 1800, "2min": 120, "16s": 16}.items()
    }
    wanted = {frame for window in windows.values() for frame in window.frames}
    return window_means(frames(path, header, wanted=wanted), windows)


def peak_mb() -> float:
    """Greatest resident memory of this process so far [MB]; Linux counts in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
