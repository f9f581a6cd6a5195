"""How long do the 1000 slices of the published protocol take, from phantoms to packed data sets?

    python benchmarks/generate_dataset.py --cores 4 --directory runs/paper

Runs Snakemake on workflow/configs/paper.yaml up to the packed data sets (no learning) and prints, from
the job records, seconds per slice of each step; then the published input row (Table 1, LPET) measured
over all 20 phantoms, on which the whole simulation rests. Needs the BrainWeb volumes: QUIETPET_BRAINWEB.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from quietpet.data.dataset import PairDataset
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metrics import METRICS

REPOSITORY = Path(__file__).parents[1]
CONFIGURATION = REPOSITORY / "workflow/configs/paper.yaml"
SPLITS = ("train", "validation", "test")
PUBLISHED = {"psnr_db": (21.13, 2.71), "ssim": (0.839, 0.041), "nmse": (0.176, 0.055)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--directory", type=Path, default=Path("runs/paper"))
    options = parser.parse_args()
    datasets = [f"results/datasets/phantom/low/{split}.h5" for split in SPLITS]

    began = time.monotonic()
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"),
            *("--quiet", "all", "--configfile", CONFIGURATION, "--cores", str(options.cores)),
            *("--directory", options.directory, *datasets),
        ],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    wall_s = time.monotonic() - began

    pairs = [PairDataset(options.directory / path) for path in datasets]
    n_slices = sum(len(each) for each in pairs)
    print(f"{n_slices} slices, both doses, HDF5 included: {wall_s:.0f} s on {options.cores} cores")
    for rule in ("phantom", "slices", "simulate", "reconstruct"):
        seconds = job_seconds(options.directory / "logs" / rule)
        core_ms = 1e3 * sum(seconds) / n_slices
        print(f"  {rule:<12} {len(seconds):3d} jobs, {core_ms:6.1f} core-ms per slice")
    print_input_row(pairs)


def job_seconds(folder: Path) -> list[float]:
    """Wall seconds of the jobs whose Snakemake benchmark files lie in ``folder``."""
    seconds = []
    for path in folder.glob("*.tsv"):
        with path.open() as stream:
            seconds += [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
    return seconds


def print_input_row(datasets: list[PairDataset]) -> None:
    """Low-dose images against standard-dose images, variant ``paper``, over all slices."""
    metrics = [metric for metric in METRICS if metric.variant.name == "paper"]
    values = {metric.name: [] for metric in metrics}
    for dataset in datasets:
        for row in range(len(dataset)):
            pair = dataset[row]
            images = SliceImages(
                restored=pair.low,
                standard=pair.standard,
                t1=pair.t1,
                head=pair.head > 0,
                pet_lesions=pair.pet_lesions,
                t1_lesions=pair.t1_lesions,
            )
            for metric in metrics:
                values[metric.name].append(metric.measure(images, paper_window_pixels=132))
    for name, (mean, spread) in PUBLISHED.items():
        found = values[name]
        print(
            f"  lpet {name:<8} {statistics.mean(found):7.3f} +- {statistics.stdev(found):.3f}"
            f"   published {mean} +- {spread}"
        )


if __name__ == "__main__":
    main()
