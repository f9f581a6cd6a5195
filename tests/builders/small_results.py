"""A small folder of results, made by the project's own writers: sinograms, images, weights, tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import matplotlib.image
import numpy as np
import torch

from quietpet.files.hdf5 import write_hdf5
from quietpet.files.tensors import write_tensors
from quietpet.files.text import write_csv, write_json, write_text
from quietpet.files.volumes import write_volume
from quietpet.geometry.volume import Volume
from quietpet.provenance import file_digest

VOLUMES = Path("brainweb")
"""Folder of what the study is made of, beside that of results."""


def small_results(study: Path) -> Path:
    """``study``/results, each file with a record that has the digests of its inputs."""
    root, rng = study / "results", np.random.default_rng(0)
    volume = study / VOLUMES / "subject_45.bin.gz"
    volume.parent.mkdir(parents=True)
    volume.write_bytes(b"labels")
    hdf5 = _Writer(study)
    hdf5("slices/phantom/45.h5", "slices", activity=rng.random((3, 8, 8), np.float32))
    prompts = rng.poisson(9, (3, 8, 8)).astype(np.int32)
    hdf5(
        "sinograms/phantom/45/low.h5",
        "simulate",
        "slices/phantom/45.h5",
        settings={"doses": {"counts": 9e7}},
        prompts=prompts,
        key=np.array([b"45-1", b"45-2", b"45-3"]),
    )
    hdf5(
        "images/phantom/45/low.h5",
        "reconstruct",
        "sinograms/phantom/45/low.h5",
        settings={"protocol": {"iterations": 10}},
        image=rng.random((3, 8, 8), np.float32),
    )
    write_csv(
        root / "counts.csv",
        ("subject", "counts"),
        [{"subject": "45", "counts": count} for count in (801, 799, 805)],
    )
    hdf5(
        "datasets/phantom/low/test.h5",
        "pack",
        "images/phantom/45/low.h5",
        low=rng.random((3, 8, 8), np.float32),
    )
    model = root / "models/phantom/low/unet/r0"
    record = hdf5.record("fit", ["datasets/phantom/low/test.h5"], {"training": {"rate": 1e-3}})
    tensors = {"a": torch.arange(4.0), "b": torch.ones(2, dtype=torch.bfloat16)}
    write_tensors(model / "weights.safetensors", tensors, {"parameters": 6, "provenance": record})
    write_csv(
        model / "training.csv",
        ("step", "loss", "iterations_per_s"),
        [{"step": 1, "loss": 0.5, "iterations_per_s": 12.0}],
    )
    card = "# unet\n\n12.1 iterations/s, 48 slices/s at the end.\n\n## Made with\n\n- at noon, in 3 s\n"
    write_text(model / "card.md", card)
    hdf5(
        "restored/phantom/low/unet/r0.h5",
        "restore",
        "models/phantom/low/unet/r0/weights.safetensors",
        "datasets/phantom/low/test.h5",
        single=rng.random((3, 8, 8), np.float32),
    )
    scores = root / "scores/phantom/low/unet/r0.csv"
    rows = [{"key": f"45-{row}", "psnr": f"{30 + row / 7:.6g}"} for row in range(3)]
    write_csv(scores, ("key", "psnr"), rows)
    write_json(
        scores.with_suffix(".json"), hdf5.record("score", ["restored/phantom/low/unet/r0.h5"], {})
    )
    write_csv(root / "tables.csv", ("method", "mean"), [{"method": "unet", "mean": "30.1429"}])
    write_text(root / "tables.md", "| method | mean |\n| --- | --- |\n| unet | 30.1 |\n")
    matplotlib.image.imsave(root / "tables.png", rng.random((6, 6)))
    write_json(root / "tables.json", hdf5.record("tables", ["scores/phantom/low/unet/r0.csv"], {}))
    write_text(root / "report.html", "<main>\n<p>30.1</p>\n</main>\n")
    _write_scan(root / "invivo/ds_sub-01", hdf5, rng)
    return root


def _write_scan(folder: Path, hdf5: _Writer, rng: np.random.Generator) -> None:
    values = rng.random((4, 4, 4), np.float32)
    write_volume(folder / "standard.nii.gz", Volume(values=values, affine_ras_mm=np.eye(4)))
    record = hdf5.record("import_scan", [], {"windows": {"standard": {"minutes": 30.0}}})
    write_json(folder / "scan.json", {"units": "Bq/mL", "provenance": record})
    record = hdf5.record("register", ["invivo/ds_sub-01/standard.nii.gz"], {})
    made = {"engine": "embedded", "offset_mm": 0.5, "seconds": 7.7, "provenance": record}
    write_json(folder / "registered/registration.json", made)


class _Writer:
    """Writes HDF5 files of results, with records."""

    def __init__(self, study: Path) -> None:
        self._study = study

    def __call__(
        self, path: str, step: str, *inputs: str, settings: dict[str, Any] | None = None, **arrays: Any
    ) -> None:
        write_hdf5(
            self._study / "results" / path,
            kind=step,
            arrays=arrays,
            attributes={
                "subject": "45",
                "lineage": {"projector": "embedded"},
                "provenance": self.record(step, inputs, settings or {}),
            },
        )

    def record(self, step: str, inputs: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """As :func:`quietpet.provenance.provenance` makes it."""
        read = [self._study / "results" / path for path in inputs]
        if step == "slices":
            read.append(self._study / VOLUMES / "subject_45.bin.gz")
        return {
            "stage": step,
            "settings": {"study_seed": 0, "cache_dir": str(self._study / VOLUMES), **settings},
            "inputs": {str(path): file_digest(path) for path in read},
            "code": f"code of {step}",
            "modules": {f"stages.{step}": "1a", "recon.osem": "2b"},
            "versions": {"numpy": "2.4.6", "torch": "2.13.0"},
            "python": "3.11.7",
            "device": "cpu",
            "processor": "x86",
            "wall_s": 1.5,
            "made": "2026-01-01T00:00:00+00:00",
        }


def edit_hdf5(path: Path, name: str, values: Any) -> None:
    """Put other ``values`` in an array of a file."""
    with h5py.File(path, "r+") as file:
        file[name][...] = values


def edit_record(path: Path, **entries: Any) -> None:
    """Put other ``entries`` in the record of a file of HDF5 or JSON."""
    if path.suffix == ".json":
        held = json.loads(path.read_text())
        held.get("provenance", held).update(entries)
        path.write_text(json.dumps(held))
        return
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps({**json.loads(file.attrs["provenance"]), **entries})
