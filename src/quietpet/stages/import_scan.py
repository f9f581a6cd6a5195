"""``import_scan``: the images of one scan's windows and its T1, with what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.errors import InputError
from quietpet.invivo.audit import inspect
from quietpet.invivo.exchange import find_exchanges
from quietpet.invivo.facts import (
    BQ_PER_ML,
    ScanFacts,
    applied,
    require_cohort,
    require_usable,
    scan_facts,
    scan_timing,
)
from quietpet.invivo.findings import merged
from quietpet.invivo.scans import Dataset, Image, Participant
from quietpet.invivo.series import frames
from quietpet.invivo.settings import STANDARD, scan_name
from quietpet.invivo.timing import FrameTiming
from quietpet.invivo.windows import FrameWindow, choose_frames, weigh_frames, window_means
from quietpet.jobs.invivo import ImportScanJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.volume import Volume
from quietpet.stages.bids import images_by_stem, read_tree
from quietpet.stages.files import Files
from quietpet.stages.volumes import in_ras_order, write_volume
from quietpet.store import read_json, write_json


def run(job: ImportScanJob, inputs: Files, outputs: Files) -> None:
    """``located`` -> ``standard``, ``low`` (one per short window, named after it), ``t1``, ``scan``.

    Images are NIfTI in RAS order, PET in Bq/mL; ``scan`` (JSON, written last) tells how each was made.
    """
    watch = Stopwatch()
    located = read_json(inputs.one("located"))
    root = Path(located["root"])
    targets = _targets(job, outputs)
    dataset = read_tree(root)
    participant = _participant(dataset, f"sub-{job.participant}")
    chosen = images_by_stem((*participant.pet, *participant.t1))
    all_runs = [chosen[name] for name in located["runs"]]
    present = [chosen[name] for name in located["pet"]]
    t1 = chosen[located["t1"]]
    findings = list(inspect(dataset))
    require_usable(findings, (*present, t1))
    exchange = find_exchanges(dataset.pet).get(participant.label)
    owner = _participant(dataset, exchange.owner) if exchange else None
    facts = scan_facts(participant, all_runs, noted_in=owner.pet if owner else all_runs)
    require_cohort(job.requirements, facts, scan_name(job.source, job.participant))
    timing = scan_timing(all_runs, present, owner)
    windows = _windows(job, timing, facts)
    ((_, t1_values),) = frames(root / t1.header.file, t1.header)
    images = window_means(_all_frames(root, present, windows), windows)
    affine = _common_affine(present)
    for name, image in images.items():
        volume = Volume(values=image * np.float32(facts.to_bq_per_ml), affine_ras_mm=affine)
        write_volume(targets[name], in_ras_order(volume), description=f"{name}, {BQ_PER_ML}")
    head = Volume(values=t1_values, affine_ras_mm=t1.header.affine_ras_mm)
    write_volume(outputs.one("t1"), in_ras_order(head), description="T1w")
    sources = [root / image.header.file for image in (*present, t1)]
    sources += [path for image in present if (path := root / f"{image.stem}.json").exists()]
    write_json(
        outputs.one("scan"),
        {
            "source": job.source,
            "participant": job.participant,
            "data_source": located["data_source"],
            "units": BQ_PER_ML,
            **asdict(facts),
            "frame_times_from": timing.source,
            "rounding": job.rounding,
            "windows": {name: _recorded(window, job, name) for name, window in windows.items()},
            "corrections": [asdict(finding) for finding in merged(applied(findings, participant.label))],
            "t1": t1.header.file,
            "provenance": provenance(
                "import_scan", settings=job.model_dump(), inputs=[*inputs.all(), *sources], watch=watch
            ),
            "complete": True,
        },
    )


def _targets(job: ImportScanJob, outputs: Files) -> dict[str, Path]:
    """Output file of every window."""
    low = {path.name.removesuffix(".nii.gz"): path for path in outputs.many("low")}
    expected = [name for name in job.windows if name != STANDARD]
    if sorted(low) != sorted(expected):
        raise InputError(f"outputs called 'low' are {sorted(low)}, but the windows are {expected}.")
    return {STANDARD: outputs.one(STANDARD), **low}


def _participant(dataset: Dataset, label: str) -> Participant:
    return next(each for each in dataset.participants if each.label == label)


def _windows(job: ImportScanJob, timing: FrameTiming, facts: ScanFacts) -> dict[str, FrameWindow]:
    windows = {}
    for name, window in job.windows.items():
        chosen = choose_frames(
            timing,
            start_s=window.start_s,
            seconds=window.seconds,
            n_frames=window.frames,
            rounding=job.rounding,
            name=name,
        )
        windows[name] = weigh_frames(
            timing, chosen, half_life_s=facts.half_life_s, decay_corrected=facts.decay_corrected
        )
    return windows


def _all_frames(
    root: Path, present: Sequence[Image], windows: Mapping[str, FrameWindow]
) -> Iterator[tuple[int, np.ndarray]]:
    """Wanted frames of all runs, numbered through."""
    wanted = {number for window in windows.values() for number in window.frames}
    before = 0
    for image in present:
        own = {number - before for number in wanted}
        for number, frame in frames(root / image.header.file, image.header, wanted=own):
            yield before + number, frame
        before += image.header.n_frames


def _common_affine(present: Sequence[Image]) -> np.ndarray:
    first = present[0].header
    for image in present[1:]:
        header = image.header
        same = header.frame_shape == first.frame_shape
        if not same or np.abs(header.affine_ras_mm - first.affine_ras_mm).max() > 1e-3:
            raise InputError(
                f"{header.file}: lies on another grid than {first.file}: no average of their frames. "
                "Name one of the runs in invivo.sources.*.runs."
            )
    return first.affine_ras_mm


def _recorded(window: FrameWindow, job: ImportScanJob, name: str) -> dict[str, Any]:
    asked = job.windows[name]
    return {
        "frames": [window.frames[0], window.frames[-1]],
        "n_frames": len(window.frames),
        "start_s": window.start_s,
        "end_s": window.end_s,
        "seconds": window.seconds,
        "asked": asked.describe(),
        "weights": [min(window.weights), max(window.weights)],
    }
