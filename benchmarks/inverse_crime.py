"""What do data that share the model's matrix and pixels change, and a wrong blur in the model?

    python benchmarks/inverse_crime.py --brainweb <folder> --heads 45 46

Measures eight slices of each head as `workflow/configs/paper.yaml` does, with `scanner.data` same and
finer, and prints NMSE to the true activity of the standard dose, of the low dose, of a low dose almost
without noise, and of thinned events with the right and a wrong point spread in the model; then PSNR
(`paper`) of the low against the standard dose.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from measures import measured

from quietpet.evaluation.comparison import PAPER
from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.files.named import Files
from quietpet.stages import phantom, reconstruct, simulate, slices, thin
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study
from quietpet.study.select import job_of

REPOSITORY = Path(__file__).parents[1]
PROTOCOL = REPOSITORY / "workflow" / "configs" / "paper.yaml"
RECONSTRUCTION = {"iterations": 10, "subsets": 14}
LEVELS = {
    "low": {"counts": 1.05e8, "psf_fwhm_mm": 4.0, **RECONSTRUCTION},
    "noiseless": {"counts": 1e13, "psf_fwhm_mm": 4.0, **RECONSTRUCTION},
    **{
        f"{name}_{sharpness}": {"thinned": {"fraction": part}, "psf_fwhm_mm": fwhm_mm, **RECONSTRUCTION}
        for name, part in (("half", 0.5), ("tenth", 0.1))
        for sharpness, fwhm_mm in (("right", 2.5), ("wrong", 4.0))
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brainweb", type=Path, required=True, help="folder of subject_XX.bin.gz")
    parser.add_argument("--heads", nargs="+", default=["45", "46"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for data in ("same", "finer"):
        study = _study(data)
        found = []
        for head in options.heads:
            with tempfile.TemporaryDirectory() as folder:
                truth, images = _images(study, head, options.brainweb, Path(folder))
            errors = {name: _nmse(image, truth) for name, image in images.items()}
            found.append({**errors, "low PSNR": _psnr_db(images["low"], images["standard"])})
        means = {name: np.mean([each[name] for each in found]) for name in found[0]}
        print(
            f"{data}: " + ", ".join(f"{name} {value:.4g}" for name, value in means.items()), flush=True
        )


def _study(data: str) -> Study:
    raw = dict(read_yaml(PROTOCOL))
    raw["scanner"] = {**raw["scanner"], "data": data}
    raw["slices"] = {"indices": [65, 71, 77, 83], "rotations": 2}
    raw["doses"] = {"standard": raw["doses"]["standard"], "low": LEVELS}
    return load_study(raw, origin=str(PROTOCOL))


def _images(
    study: Study, head: str, brainweb: Path, folder: Path
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """True activity (slice, y, x), and the images of every dose."""
    made = {name: folder / f"{name}.h5" for name in ("phantom", "slices", "images", *study.doses.levels)}
    volume = {
        "labels": [brainweb / f"subject_{head}.bin.gz"],
        "sources": [REPOSITORY / "workflow" / "sources.tsv"],
    }
    phantom.run(job_of(study, "phantom", subject=head), Files(volume), _file("phantom", made["phantom"]))
    slices.run(
        job_of(study, "slices", subject=head),
        _file("phantom", made["phantom"]),
        _file("slices", made["slices"]),
    )
    with open_hdf5(made["slices"], kind="slices") as file:
        truth = read_array(file, "activity")
    images = {}
    for dose in study.doses.levels:
        names = {"subject": head, "dose": dose}
        sinograms = _file("sinograms", made[dose])
        if dose in study.doses.thinned:
            thin.run(job_of(study, "thin", **names), _file("standard", made["standard"]), sinograms)
        else:
            simulate.run(job_of(study, "simulate", **names), _file("slices", made["slices"]), sinograms)
        reconstruct.run(
            job_of(study, "reconstruct", **names), sinograms, _file("images", made["images"])
        )
        with open_hdf5(made["images"], kind="images") as file:
            images[dose] = read_array(file, "image")
    return truth, images


def _file(name: str, path: Path) -> Files:
    return Files({name: [path]})


def _nmse(images: np.ndarray, truth: np.ndarray) -> float:
    """Mean over slices of sum (x - y)^2 / sum y^2."""
    squares = ((images - truth) ** 2).sum(axis=(1, 2)) / (truth**2).sum(axis=(1, 2))
    return float(squares.mean())


def _psnr_db(low: np.ndarray, standard: np.ndarray) -> float:
    """Mean over slices; the images are smaller than the published window of 132 pixels."""
    margin = [(0, 0), (2, 2), (2, 2)]
    found = [
        measured("psnr_db", PAPER, image, reference, window_pixels=132)
        for image, reference in zip(np.pad(low, margin), np.pad(standard, margin), strict=True)
    ]
    return float(np.mean(found))


if __name__ == "__main__":
    main()
