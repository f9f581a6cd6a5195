"""A tiny PET-BIDS data set without a fault, to be spoiled by the tests that use it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from quietpet.invivo.audit import audit
from quietpet.invivo.findings import Finding
from quietpet.invivo.scans import Dataset, Image, Participant

SHAPE = (6, 5, 4)
N_FRAMES = 12
FRAME_S = 16.0
HALF_LIFE_S = 6586.2
PET_AFFINE = np.array([[-2.0, 0, 0, 6], [0, 2, 0, -5], [0, 0, 2, -4], [0, 0, 0, 1]])
T1_AFFINE = np.array([[1.0, 0, 0, -6], [0, 1, 0, -5], [0, 0, 1, -4], [0, 0, 0, 1]])


def decay_factors() -> list[float]:
    """Decay from TimeZero of every frame: written here as DICOM defines it."""
    rate = np.log(2) / HALF_LIFE_S
    starts = FRAME_S * np.arange(N_FRAMES)
    return (np.exp(rate * starts) * rate * FRAME_S / (1 - np.exp(-rate * FRAME_S))).tolist()


def sidecar(number: int, **other: Any) -> dict[str, Any]:
    """A valid side-car of participant ``number``; every scan begins at another time."""
    clock = f"{9 + number:02d}:30:{number:02d}"
    return {
        "Manufacturer": "Siemens",
        "ManufacturersModelName": "Biograph_mMR",
        "Units": "Bq/mL",
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "InjectedRadioactivity": 230.0 + number,
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": 1.0,
        "InjectedMassUnits": "ug",
        "SpecificRadioactivity": 100.0,
        "SpecificRadioactivityUnits": "Bq/g",
        "ModeOfAdministration": "infusion",
        "TimeZero": clock,
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": (FRAME_S * np.arange(N_FRAMES)).tolist(),
        "FrameDuration": [FRAME_S] * N_FRAMES,
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "ReconMethodName": "OP-OSEM",
        "ReconMethodParameterLabels": ["subsets", "iterations"],
        "ReconFilterType": "Gaussian",
        "AttenuationCorrection": "measured",
        "DecayCorrectionFactor": decay_factors(),
        "ImageVoxelSize": [2.0, 2.0, 2.0],
        "ImageOrientationPatientDICOM": [1, 0, 0, 0, 1, 0],
        "AcquisitionTime": f"{clock}.000000",
        "RadionuclideTotalDose": (230.0 + number) * 1e6,
        "RadionuclideHalfLife": HALF_LIFE_S,
        **other,
    }


def frames(number: int) -> np.ndarray:
    """Raw values (x, y, z, frame), int16, different in every frame."""
    return np.random.default_rng(number).integers(0, 1000, (*SHAPE, N_FRAMES), dtype=np.int16)


def write_image(
    path: Path, values: np.ndarray, affine: np.ndarray, *, slope: float = 1.0, gzipped: bool = True
) -> None:
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    content = bytearray(image.to_bytes())
    # nibabel writes NaN where data are unscaled, and refuses infinity: put in what was asked for.
    content[112:120] = np.array([slope, 0], "<f4").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(bytes(content), mtime=0) if gzipped else bytes(content))


def pet_path(root: Path, number: int) -> Path:
    return root / f"sub-{number:02d}" / "pet" / f"sub-{number:02d}_task-rest_pet.nii.gz"


def t1_path(root: Path, number: int) -> Path:
    return root / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_T1w.nii.gz"


def write_sidecar(root: Path, number: int, values: Mapping[str, Any]) -> Path:
    path = pet_path(root, number).with_name(f"sub-{number:02d}_task-rest_pet.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def write_participant(root: Path, number: int, *, slope: float = 0.5, **other: Any) -> None:
    write_sidecar(root, number, sidecar(number, **other))
    write_image(pet_path(root, number), frames(number), PET_AFFINE, slope=slope)
    t1 = np.random.default_rng(100 + number).integers(0, 500, (12, 10, 8), dtype=np.int16)
    write_image(t1_path(root, number), t1, T1_AFFINE)
    clock = f"{9 + number:02d}:40:{number:02d}.0"
    t1_path(root, number).with_name(f"sub-{number:02d}_T1w.json").write_text(
        json.dumps({"Modality": "MR", "AcquisitionTime": clock})
    )


def write_dataset(root: Path, *, participants: int = 6) -> Path:
    """A data set in which nothing contradicts anything."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": "tiny", "BIDSVersion": "1.8.0"}))
    rows = "".join(f"sub-{number:02d}\tI\n" for number in range(1, participants + 1))
    (root / "participants.tsv").write_text(f"participant_id\tgroup\n{rows}")
    for number in range(1, participants + 1):
        write_participant(root, number)
    return root


def pet_image(run: int | None = None, **changes: Any) -> Image:
    """Participant 1's image, as its side-car alone; None takes a key away."""
    values = {k: v for k, v in {**sidecar(1), **changes}.items() if v is not None}
    name = "sub-01_pet" if run is None else f"sub-01_run-{run}_pet"
    stem = f"sub-01/pet/{name}"
    return Image(participant="sub-01", stem=stem, sidecar=values, sidecar_files=(f"{stem}.json",))


def findings_of(*runs: Image) -> list[Finding]:
    """What the audit finds in the side-cars of one participant's PET runs."""
    participant = Participant(label="sub-01", pet=runs, t1=[])
    found = audit(Dataset(description={"BIDSVersion": "1.8.0"}, participants=[participant]))
    return [finding for finding in found if finding.check != "no-images"]
