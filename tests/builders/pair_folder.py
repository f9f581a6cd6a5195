"""Folders of pairs: the table, small heads in Bq/mL to spoil, and pairs of what a BIDS import made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from quietpet.config.registration import RegistrationSettings
from quietpet.files.named import Files
from quietpet.files.volumes import write_volume
from quietpet.geometry.volume import Volume
from quietpet.jobs.invivo import ImportPairJob
from quietpet.stages import import_pair

SHAPE, VOXEL_MM = (24, 28, 20), 6.0
HALF_LIFE_S = 6586.2
INJECTED_MBQ, WEIGHT_KG, DELAY_MINUTES = 200.0, 70.0, 50.0


def affine(voxel_mm: float = VOXEL_MM, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """RAS axes, the middle of the image at the origin."""
    matrix = np.diag([voxel_mm] * 3 + [1.0])
    matrix[:3, 3] = -voxel_mm * (np.array(shape) - 1) / 2
    return matrix


def activity(places_mm: np.ndarray) -> np.ndarray:
    """A head of 8 kBq/mL with a brighter part off its middle, at positions (..., 3) [Bq/mL]."""
    head = ((places_mm / [60.0, 70.0, 50.0]) ** 2).sum(axis=-1) <= 1
    bright = ((places_mm - [15.0, 20.0, 5.0]) ** 2).sum(axis=-1) <= 20.0**2
    return 8000.0 * head + 12000.0 * bright


def pet(*, voxel_mm: float = VOXEL_MM, shape: tuple[int, int, int] = SHAPE, noise: int = 0) -> Volume:
    """The head as PET; with ``noise``, a seed, by a fifth of its values."""
    empty = Volume(values=np.zeros(shape, np.float32), affine_ras_mm=affine(voxel_mm, shape))
    values = activity(empty.world_mm(np.argwhere(empty.values == 0)).reshape(*shape, 3))
    draws = np.random.default_rng(noise).uniform(0.8, 1.2, shape) if noise else 1.0
    return Volume(values=(values * draws).astype(np.float32), affine_ras_mm=empty.affine_ras_mm)


def write_table(root: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """``pairs.tsv`` of cells by column; those that a row has not are n/a."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, *([str(row.get(column, "n/a")) for column in columns] for row in rows)]
    root.mkdir(parents=True, exist_ok=True)
    table = root / "pairs.tsv"
    table.write_text("".join("\t".join(line) + "\n" for line in lines))
    return table


def rows_of(participant: str, **of_each: Any) -> list[dict[str, Any]]:
    """A standard and a low dose in Bq/mL."""
    known = {"participant": participant, "unit": "Bq/ml", "injected_mbq": INJECTED_MBQ, **of_each}
    files = {"pet": f"{participant}/sd.nii.gz", "t1": f"{participant}/t1.nii.gz"}
    return [
        {"dose": "standard", **files, **known},
        {"dose": "x20", **known, "pet": f"{participant}/ld.nii.gz"},
    ]


def write_images(root: Path, participant: str) -> None:
    """The images that :func:`rows_of` names; every participant has noise of its own."""
    seed = 2 * sum(map(ord, participant))
    write_volume(root / participant / "sd.nii.gz", pet(noise=seed + 1))
    write_volume(root / participant / "ld.nii.gz", pet(noise=seed + 2))
    write_volume(root / participant / "t1.nii.gz", pet(voxel_mm=4.0, shape=(36, 42, 30)))


def altered(path: Path, change: Any, *, matrix: np.ndarray | None = None) -> None:
    """Write an image anew with values that ``change`` makes of them, and another affine."""
    image = nib.load(path)
    values = np.asarray(change(image.get_fdata(dtype=np.float32)), np.float32)
    new = nib.Nifti1Image(values, image.affine if matrix is None else matrix)
    new.header.set_xyzt_units("mm")
    nib.save(new, path)


def job(participant: str = "01", *, doses: tuple[str, ...] = ("x20",), **other: Any) -> ImportPairJob:
    known = {
        "requirements": {},
        "t1_presence": "required",
        "registration": RegistrationSettings(engine="embedded"),
    }
    return ImportPairJob(source="own", participant=participant, doses=doses, **{**known, **other})


def imported(root: Path, results: Path, this: ImportPairJob | None = None) -> Path:
    """The stage's files of one participant, in the folder ``results``."""
    this = this or job()
    outputs = {
        "standard": [results / "standard.nii.gz"],
        "low": [results / f"{dose}.nii.gz" for dose in this.doses],
        "t1": [results / "T1w.nii.gz"],
        "scan": [results / "scan.json"],
    }
    import_pair.run(this, Files({"table": [root / "pairs.tsv"]}), Files(outputs))
    return results
