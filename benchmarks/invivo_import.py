"""How long does it take to import a whole dynamic PET scan, and how much memory?

    python benchmarks/invivo_import.py --folder /scratch

Writes a BIDS tree with one scan as the Monash data sets have them (16-s frames of 344 x 344 x 127
voxels, int16 with a scale, gzip: 1 GB for 225 frames) unless it is there. Imports its 30-min, 2-min
and 16-s windows and its T1 as the pipeline does, and prints seconds and the process's greatest memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import resource
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from quietpet.config.invivo import WindowSettings
from quietpet.config.scan_sources import SourceSettings
from quietpet.files.named import Files
from quietpet.jobs.invivo import FetchInvivoJob, ImportScanJob
from quietpet.stages import fetch_invivo, import_scan

SHAPE = (344, 344, 127)
T1_SHAPE = (176, 256, 256)
FRAME_S = 16.0
BQ_PER_ML_PER_STEP = 2.5
WINDOWS = {
    "standard": WindowSettings(minutes=30, start_minutes=0),
    "2min": WindowSettings(minutes=2, start_minutes=0),
    "16s": WindowSettings(frames=1, start_minutes=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder with some 2 GB free")
    parser.add_argument("--frames", type=int, default=225)
    parser.add_argument("--plain", action="store_true", help="misnamed, not compressed (7 GB)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    root = options.folder / f"bids_{options.frames}{'_plain' if options.plain else ''}"
    pet = root / "sub-01/pet/sub-01_task-rest_pet.nii.gz"
    if not (root / "dataset_description.json").exists():
        began = time.monotonic()
        write_tree(root, pet, n_frames=options.frames, gzipped=not options.plain)
        print(f"{root}: written in {time.monotonic() - began:.0f} s")
    before_mb, began = peak_mb(), time.monotonic()
    import_windows(root, options.folder / "imported")
    print(
        f"{pet.name}: {pet.stat().st_size / 1e9:.2f} GB, {options.frames} frames of {SHAPE}: "
        f"{time.monotonic() - began:.1f} s, peak memory {peak_mb():.0f} MB ({before_mb:.0f} before)"
    )


def import_windows(root: Path, results: Path) -> None:
    """What the two steps of the pipeline do."""
    located = results / "located.json"
    source = SourceSettings(kind="folder", root=str(root))
    job = FetchInvivoJob(name="scratch", source=source, participant="01", root=str(root))
    fetch_invivo.run(job, Files({}), Files({"located": [located]}))
    outputs = {
        **{name: [results / f"{name}.nii.gz"] for name in ("standard", "t1")},
        "low": [results / "2min.nii.gz", results / "16s.nii.gz"],
        "scan": [results / "scan.json"],
    }
    windows = ImportScanJob(
        source="scratch", participant="01", windows=WINDOWS, rounding="nearest", requirements={}
    )
    import_scan.run(windows, Files({"located": [located]}), Files(outputs))


def write_tree(root: Path, pet: Path, *, n_frames: int, gzipped: bool) -> None:
    """One participant; dataset_description.json comes last."""
    t1 = root / "sub-01/anat/sub-01_T1w.nii.gz"
    for path in (pet, t1):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_series(pet, n_frames, gzipped=gzipped)
    values = np.random.default_rng(1).integers(0, 500, T1_SHAPE, dtype=np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1, 1, 1])), t1)
    sidecar = {
        "Units": "Bq/mL",
        "TracerRadionuclide": "F18",
        "ImageDecayCorrected": True,
        "FrameTimesStart": (FRAME_S * np.arange(n_frames)).tolist(),
        "FrameDuration": [FRAME_S] * n_frames,
    }
    pet.with_name(f"{pet.name.removesuffix('.nii.gz')}.json").write_text(json.dumps(sidecar))
    (root / "dataset_description.json").write_text('{"Name": "scratch", "BIDSVersion": "1.8.0"}')


def write_series(path: Path, n_frames: int, *, gzipped: bool) -> None:
    """A head-sized cylinder of noise: background zeros compress, noise does not, as in real images."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*SHAPE, n_frames))
    header.set_sform(np.diag([-1.39084, 1.39084, 2.03125, 1]), code=1)
    header.set_xyzt_units("mm", "sec")
    header["pixdim"][1:4] = 1.39084, 1.39084, 2.03125
    header["scl_slope"], header["vox_offset"], header["magic"] = BQ_PER_ML_PER_STEP, 352, b"n+1"
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    head = ((x - 172) ** 2 + (y - 172) ** 2 < 75**2)[:, :, None]
    noise = (np.random.default_rng(0).standard_normal(SHAPE) * 2000 + 8000).astype(np.int16)
    with gzip.open(path, "wb", compresslevel=1) if gzipped else path.open("wb") as stream:
        stream.write(header.binaryblock + bytes(4))
        for number in range(n_frames):
            stream.write((np.roll(noise, number, axis=2) * head).tobytes(order="F"))


def peak_mb() -> float:
    """Greatest resident memory of this process so far [MB]; Linux counts in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
