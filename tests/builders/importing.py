"""A scan of the tiny PET-BIDS data set located and imported, as the two steps of the workflow do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import petbids

from quietpet.config.invivo import WindowSettings
from quietpet.config.scan_sources import SourceSettings
from quietpet.files.named import Files
from quietpet.jobs.invivo import FetchInvivoJob, ImportScanJob
from quietpet.stages import fetch_invivo, import_scan

WINDOWS = {
    "standard": WindowSettings(minutes=1.6, start_minutes=0.5),
    "half": WindowSettings(minutes=0.5, start_minutes=0.5),
    "16s": WindowSettings(frames=1, start_minutes=1.0),
}


def fetch_job(root: Path, participant: str = "02", **source: Any) -> FetchInvivoJob:
    settings = SourceSettings(kind="folder", root=str(root), **source)
    return FetchInvivoJob(name="own", source=settings, participant=participant, root=str(root))


def import_job(participant: str = "02", **other: Any) -> ImportScanJob:
    known = {"windows": WINDOWS, "rounding": "nearest", "requirements": {}}
    return ImportScanJob(source="own", participant=participant, **{**known, **other})


def imported(root: Path, results: Path, *, job: ImportScanJob | None = None, **source: Any) -> Path:
    job = job or import_job()
    located = results / "located.json"
    fetch_invivo.run(
        fetch_job(root, job.participant, **source), Files({}), Files({"located": [located]})
    )
    outputs = {
        "standard": [results / "standard.nii.gz"],
        "low": [results / f"{name}.nii.gz" for name in job.windows if name != "standard"],
        "t1": [results / "T1w.nii.gz"],
        "scan": [results / "scan.json"],
    }
    import_scan.run(job, Files({"located": [located]}), Files(outputs))
    return results


def expected_mean(first: int, count: int, *, decay: bool = True) -> np.ndarray:
    """Frames of participant 2 weighted by the decays in them, in RAS order (the x axis was reversed)."""
    values = petbids.frames(2)[::-1, ..., first : first + count].astype(float) * 0.5
    rate = np.log(2) / petbids.HALF_LIFE_S
    weights = np.exp(-rate * petbids.FRAME_S * np.arange(count)) if decay else np.ones(count)
    return np.average(values, axis=-1, weights=weights)
