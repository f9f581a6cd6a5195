"""How long do the 1000 slices of the published protocol take, from phantoms to packed data sets?

    python benchmarks/generate_dataset.py --cores 4 --directory runs/paper
    python benchmarks/generate_dataset.py --cores 4 --directory runs/paper --in-process

Makes the data sets of workflow/configs/paper.yaml (no learning), both doses, and prints wall seconds,
core seconds and core-ms per slice of each step; then the published input row (Table 1, LPET) measured
over all 20 phantoms, on which the whole simulation rests. The first command runs Snakemake, as users do.
The second calls the same stages in one process per core, so that what remains is their own time, without
the start of some 120 processes. Needs the BrainWeb volumes: QUIETPET_BRAINWEB.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

# Before NumPy and torch are imported, here and in the worker processes: one thread each.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

from quietpet.config.datasets import SPLITS
from quietpet.data.dataset import PairDataset
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metrics import METRICS
from quietpet.files.named import Files
from quietpet.files.text import read_json
from quietpet.steps import STEPS
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study
from quietpet.study.select import settings_for
from quietpet.usage import core_seconds

REPOSITORY = Path(__file__).parents[1]
CONFIGURATION = REPOSITORY / "workflow/configs/paper.yaml"
SOURCES = REPOSITORY / "workflow/sources.tsv"
DOSES = ("standard", "low")
STAGES = ("fetch", "phantom", "slices", "simulate", "reconstruct", "pack")
PUBLISHED = {"psnr_db": (21.13, 2.71), "ssim": (0.839, 0.041), "nmse": (0.176, 0.055)}

Seconds = dict[str, list[float]]
"""Seconds of every job, by stage."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--directory", type=Path, default=Path("runs/paper"))
    parser.add_argument("--in-process", action="store_true", help="without Snakemake's processes")
    options = parser.parse_args()
    make = with_workers if options.in_process else with_snakemake
    wall_s, core_s, seconds = make(options.directory.absolute(), options.cores)

    pairs = [PairDataset(options.directory / "results" / packed(split)) for split in SPLITS]
    n_slices = sum(len(each) for each in pairs)
    print(
        f"{n_slices} slices, both doses, HDF5 included: {wall_s:.1f} s on {options.cores} cores, "
        f"{core_s:.0f} core seconds ({1e3 * core_s / n_slices:.1f} core-ms per slice)"
    )
    for stage in STAGES:
        core_ms = 1e3 * sum(seconds[stage]) / n_slices
        print(f"  {stage:<12} {len(seconds[stage]):3d} jobs, {core_ms:6.1f} core-ms per slice")
    print_input_row(pairs)


def packed(split: str) -> str:
    """The packed data set of a split, below the folder of results."""
    return f"datasets/phantom/low/{split}.h5"


def with_snakemake(directory: Path, cores: int) -> tuple[float, float, Seconds]:
    """Wall seconds, core seconds of all processes, and core seconds of each job."""
    began, core_began = time.monotonic(), children_core_s()
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"),
            *("--quiet", "all", "--configfile", CONFIGURATION, "--cores", str(cores)),
            *("--directory", directory, *(f"results/{packed(split)}" for split in SPLITS)),
        ],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    wall_s, core_s = time.monotonic() - began, children_core_s() - core_began
    return wall_s, core_s, {stage: job_seconds(directory / "logs", stage) for stage in STAGES}


def job_seconds(logs: Path, stage: str) -> list[float]:
    """Core seconds of the jobs of ``stage``, which the last line of each log tells."""
    paths = [*logs.glob(f"{stage}.log"), *logs.glob(f"{stage}/*.log")]
    told = [core_seconds(path.read_text().splitlines()) for path in paths]
    return [seconds for seconds in told if seconds is not None]


def children_core_s() -> float:
    """User and system seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def with_workers(directory: Path, cores: int) -> tuple[float, float, Seconds]:
    """Wall seconds and core seconds from when every worker is ready, and core seconds of each job."""
    study = load_study(read_yaml(CONFIGURATION), origin=str(CONFIGURATION))
    results = directory / "results"
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(cores + 1)
    with context.Pool(cores, prepare_worker, (ready,)) as pool:
        ready.wait()
        began = time.monotonic()
        decision = results / "phantoms/source.json"
        timed = [run_stage(study, "fetch", {"sources": [SOURCES]}, {"decision": [decision]})]
        volumes = read_json(decision)["volumes"]
        subjects = [
            (study, results, subject, Path(volumes[subject])) for subject in study.splits.subjects
        ]
        timed += [each for jobs in pool.starmap(make_subject, subjects, chunksize=1) for each in jobs]
        timed += pool.starmap(pack, [(study, results, split) for split in SPLITS], chunksize=1)
        wall_s = time.monotonic() - began
    seconds: Seconds = {stage: [each for name, each in timed if name == stage] for stage in STAGES}
    return wall_s, sum(each for _, each in timed), seconds


def prepare_worker(ready: Barrier) -> None:
    """Import everything, then wait for the others."""
    for stage in STAGES:
        importlib.import_module(f"quietpet.stages.{stage}")
    ready.wait()


def make_subject(study: Study, results: Path, subject: str, labels: Path) -> list[tuple[str, float]]:
    """One subject's jobs up to the images of both doses."""
    phantom, slices = (results / f"{kind}/{subject}.h5" for kind in ("phantoms", "slices"))
    volume = {"labels": [labels], "sources": [SOURCES]}
    timed = [
        run_stage(study, "phantom", volume, {"phantom": [phantom]}, subject=subject),
        run_stage(study, "slices", {"phantom": [phantom]}, {"slices": [slices]}, subject=subject),
    ]
    for dose in DOSES:
        names = {"subject": subject, "dose": dose}
        sinograms, images = (results / f"{kind}/{subject}/{dose}.h5" for kind in ("sinograms", "images"))
        timed += [
            run_stage(study, "simulate", {"slices": [slices]}, {"sinograms": [sinograms]}, **names),
            run_stage(study, "reconstruct", {"sinograms": [sinograms]}, {"images": [images]}, **names),
        ]
    return timed


def pack(study: Study, results: Path, split: str) -> tuple[str, float]:
    """One split's data set."""
    subjects = getattr(study.splits, split)
    inputs = {
        "slices": [results / f"slices/{subject}.h5" for subject in subjects],
        **{dose: [results / f"images/{subject}/{dose}.h5" for subject in subjects] for dose in DOSES},
    }
    names = {"dataset": "phantom", "setting": "low", "split": split}
    return run_stage(study, "pack", inputs, {"dataset": [results / packed(split)]}, **names)


def run_stage(
    study: Study,
    stage: str,
    inputs: Mapping[str, Sequence[Path]],
    outputs: Mapping[str, Sequence[Path]],
    **names: str,
) -> tuple[str, float]:
    """Run one job in this process, as the command line would; the stage and its core seconds."""
    began = time.process_time()
    job = STEPS[stage].job.model_validate_json(settings_for(study, stage, **names))
    importlib.import_module(f"quietpet.stages.{stage}").run(job, Files(inputs), Files(outputs))
    return stage, time.process_time() - began


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
