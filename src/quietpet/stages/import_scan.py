"""``import_scan``: the images of one scan's windows and its T1, with what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.config.invivo import STANDARD, scan_name
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.series import frames
from quietpet.files.text import read_json, write_json
from quietpet.files.volumes import in_ras_order, write_volume
from quietpet.geometry.volume import Volume, missing_t1
from quietpet.invivo.audit import inspect
from quietpet.invivo.bids import PARTICIPANTS, files_read, read_image, read_others, read_table
from quietpet.invivo.exchange import with_notes_in_place
from quietpet.invivo.facts import (
    BQ_PER_ML,
    RunFacts,
    ScanFacts,
    applied,
    known_reference,
    per_frame,
    reference_s,
    require_cohort,
    require_usable,
    run_facts,
    scan_facts,
    scan_timing,
)
from quietpet.invivo.findings import Finding, merged
from quietpet.invivo.frame_times import FrameTiming, choose_frames
from quietpet.invivo.injection import Injection, injection_of
from quietpet.invivo.plausible import MOST_OF_DOSE
from quietpet.invivo.scans import BQ_PER_MBQ, Dataset, Image, Participant, Table
from quietpet.invivo.windows import FrameWindow, weigh_frames, window_means
from quietpet.jobs.invivo import ImportScanJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.units import MM3_PER_ML


def run(job: ImportScanJob, inputs: Files, outputs: Files) -> None:
    """``located`` -> ``standard``, ``low`` (one per short window, named after it), ``t1``, ``scan``.

    A missing ``t1`` is NaN on the grid of PET. Images are NIfTI in RAS order, PET in Bq/mL; ``scan``
    (JSON, written last) tells how each was made.
    """
    try:
        _import(job, inputs, outputs)
    except InputError as error:
        raise InputError(f"{scan_name(job.source, job.participant)}: {error}") from None


def _import(job: ImportScanJob, inputs: Files, outputs: Files) -> None:
    watch = Stopwatch()
    located = read_json(inputs.one("located"))
    targets = _targets(job, outputs)
    scan = _read_scan(job, located)
    windows = _windows(job, scan.timing, scan.facts, scan.runs, scan.injection)
    _require_several_frames(job, scan.present)
    t1 = _t1(scan.root, scan.t1) if scan.t1 else None
    images = window_means(_all_frames(scan.root, scan.present, scan.runs, windows), windows)
    affine = _common_affine(scan.present)
    _require_possible(images, windows, scan, voxel_mm3=abs(np.linalg.det(affine[:3, :3])))
    for name, image in images.items():
        volume = Volume(values=image, affine_ras_mm=affine)
        write_volume(targets[name], in_ras_order(volume), description=f"{name}, {BQ_PER_ML}")
    head = t1 or missing_t1(Volume(values=images[STANDARD], affine_ras_mm=affine))
    write_volume(outputs.one("t1"), in_ras_order(head), description="T1w" if t1 else "no T1")
    read = [*inputs.all(), *files_read(scan.root, scan.dataset.participants)]
    write_json(
        outputs.one("scan"),
        {
            "source": job.source,
            "participant": job.participant,
            "data_source": located["data_source"],
            **scan.record(),
            "rounding": job.rounding,
            "windows": {name: _recorded(window, job, name) for name, window in windows.items()},
            "t1": scan.t1.opened().file if scan.t1 else None,
            "provenance": provenance("import_scan", settings=job.model_dump(), inputs=read, watch=watch),
            "complete": True,
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """What is known of the scan of one participant before its images are read.

    ``present`` are the runs that are imported; ``runs`` tells of each. ``t1`` is None of a scan that has
    none.
    """

    root: Path
    dataset: Dataset
    label: str
    present: list[Image]
    t1: Image | None
    findings: list[Finding]
    facts: ScanFacts
    runs: list[RunFacts]
    injection: Injection
    timing: FrameTiming

    @property
    def corrected_to_s(self) -> float:
        """Time to which its images are corrected for decay, after the injection began [s]."""
        return reference_s(self.runs, otherwise=self.injection.seconds) - self.injection.seconds

    def record(self) -> dict[str, Any]:
        """For the file of the scan."""
        return {
            "units": BQ_PER_ML,
            **asdict(self.facts),
            "frame_times_from": self.timing.source,
            "time_zero": "the injection: times below are seconds after it began",
            "injection_from": self.injection.source,
            "injection_after_time_zero_s": self.injection.seconds,
            # None: to one time for all frames, which nothing tells.
            "decay_corrected_to_s": self.corrected_to_s if known_reference(self.runs) else None,
            "runs": [
                _recorded_run(*each, self.injection)
                for each in zip(self.present, self.runs, strict=True)
            ],
            "corrections": [asdict(each) for each in merged(applied(self.findings, self.label))],
        }


def _read_scan(job: ImportScanJob, located: Mapping[str, Any]) -> _Scan:
    """Names, side-cars and headers of the located scan.

    Raises:
        InputError: they leave something open, or are not of the cohort that the job names.
    """
    root = Path(located["root"])
    table = read_table(root / PARTICIPANTS)
    participant = _located_participant(root, located, table, f"sub-{job.participant}")
    dataset = _with_others(root, participant, table)
    all_runs = with_notes_in_place(dataset).of(participant.label).pet
    present = [image for image in all_runs if image.stem in located["pet"]]
    t1 = participant.t1[0] if participant.t1 else None
    findings = list(inspect(dataset))
    require_usable(findings, (*present, *participant.t1))
    facts = scan_facts(participant, all_runs, present)
    require_cohort(job.requirements, facts)
    runs = run_facts(all_runs, present, half_life_s=facts.half_life_s)
    return _Scan(
        root=root,
        dataset=dataset,
        label=participant.label,
        present=present,
        t1=t1,
        findings=findings,
        facts=facts,
        runs=runs,
        injection=injection_of(all_runs),
        timing=scan_timing(all_runs, present),
    )


def _require_possible(
    images: Mapping[str, np.ndarray],
    windows: Mapping[str, FrameWindow],
    scan: _Scan,
    *,
    voxel_mm3: float,
) -> None:
    """Every mean of a window holds activity, and no more than was given."""
    decayed = float(np.exp2(np.clip(-scan.corrected_to_s / scan.facts.half_life_s, -1000, 1000)))
    for name, image in images.items():
        _require_activity(image, name, windows[name], scan.present)
        _require_less_than_was_given(
            image, name, scan.facts, millilitres=voxel_mm3 / MM3_PER_ML, decayed=decayed
        )


def _located_participant(
    root: Path, located: Mapping[str, Any], table: Table, label: str
) -> Participant:
    """The participant with the images of the located scan alone.

    Of runs that are not asked for, the side-cars are read: they tell when the scan began.
    """
    t1 = [located["t1"]] if located["t1"] else []
    opened = (*located["pet"], *t1)
    images = {stem: read_image(root, stem, headers=stem in opened) for stem in (*located["runs"], *t1)}
    if gone := [stem for stem in opened if not (images[stem].header or images[stem].fault)]:
        raise InputError(
            f"{root}: {gone[0]} was an image when the scan was located, and is none now. Put it back, "
            "or run the command again, which looks for the scan anew."
        )
    return Participant(
        label=label,
        rows=table.of(label),
        pet=[images[stem] for stem in located["runs"]],
        t1=[images[stem] for stem in t1],
    )


def _t1(root: Path, image: Image) -> Volume:
    header = image.opened()
    ((_, values),) = frames(root / header.file, header)
    return Volume(values=values, affine_ras_mm=header.affine_ras_mm)


def _with_others(root: Path, participant: Participant, table: Table) -> Dataset:
    """The participant, and of everybody else whose side-car may be the right one, the same scan."""
    kind = participant.pet[0].kind
    others = [
        replace(other, pet=[image for image in other.pet if image.kind == kind])
        for other in read_others(root, participant)
    ]
    return Dataset(description={}, participants=[participant, *others], table=table)


def _targets(job: ImportScanJob, outputs: Files) -> dict[str, Path]:
    """Output file of every window."""
    low = {path.name.removesuffix(".nii.gz"): path for path in outputs.many("low")}
    expected = [name for name in job.windows if name != STANDARD]
    if sorted(low) != sorted(expected):
        raise InputError(f"outputs called 'low' are {sorted(low)}, but the windows are {expected}.")
    return {STANDARD: outputs.one(STANDARD), **low}


def _require_several_frames(job: ImportScanJob, present: Sequence[Image]) -> None:
    """One frame is its own low dose: a network would learn nothing from the pair."""
    low = [name for name in job.windows if name != STANDARD]
    if low and sum(image.n_frames or 1 for image in present) == 1:
        raise InputError(
            f"{present[0].image_origin.file}: is one frame, of which invivo.windows.low.{low[0]} cannot "
            "be a shorter part than the standard window. Take a scan of several frames, in one file or "
            "in one for each run."
        )


def _require_activity(
    image: np.ndarray, name: str, window: FrameWindow, present: Sequence[Image]
) -> None:
    if not image.max() > 0:
        files = ", ".join(each.image_origin.file for each in present)
        raise InputError(
            f"{files}: frames {window.frames[0]} to {window.frames[-1]}, invivo.windows.{name}, hold no "
            f"activity (largest mean {image.max():g}); look at the image, or choose another window."
        )


def _require_less_than_was_given(
    image: np.ndarray, name: str, facts: ScanFacts, *, millilitres: float, decayed: float
) -> None:
    """Refuse an image [Bq/mL] with more activity than the dose: its unit, or the dose, is another.

    ``millilitres`` is the volume of a voxel, ``decayed`` what is left of the dose at the time to which
    the image is corrected.
    """
    dose_mbq = facts.header_dose_mbq or facts.noted_dose_mbq
    held_mbq = float(image.sum(dtype=np.float64)) * millilitres / BQ_PER_MBQ
    if dose_mbq is not None and held_mbq > MOST_OF_DOSE * dose_mbq * decayed:
        raise InputError(
            f"invivo.windows.{name}: the image holds {held_mbq:.3g} MBq, but only {dose_mbq:g} MBq were "
            f"injected, of which {decayed:.3g} is left at its time of decay correction; correct Units, "
            "ImageDecayCorrected, ImageDecayCorrectionTime, or the dose (RadionuclideTotalDose, "
            "InjectedRadioactivity) in the side-car."
        )


def _windows(
    job: ImportScanJob,
    timing: FrameTiming,
    facts: ScanFacts,
    runs: Sequence[RunFacts],
    injection: Injection,
) -> dict[str, FrameWindow]:
    """Frames and weights of every window, which begins so long after the injection."""
    since_injection = timing.later(-injection.seconds)
    to_s = reference_s(runs, otherwise=injection.seconds)
    corrected_to_s = [to_s if run.corrected_to_s is None else run.corrected_to_s for run in runs]
    windows = {}
    for name, window in job.windows.items():
        chosen = choose_frames(
            since_injection,
            start_s=window.start_s,
            seconds=window.seconds,
            n_frames=window.frames,
            rounding=job.rounding,
            name=name,
        )
        windows[name] = weigh_frames(
            since_injection,
            chosen,
            half_life_s=facts.half_life_s,
            decay_corrected=per_frame(runs, [run.decay_corrected for run in runs]),
            reference_s=to_s - injection.seconds,
            corrected_to_s=per_frame(runs, corrected_to_s) - injection.seconds,
        )
    return windows


def _all_frames(
    root: Path,
    present: Sequence[Image],
    runs: Sequence[RunFacts],
    windows: Mapping[str, FrameWindow],
) -> Iterator[tuple[int, np.ndarray]]:
    """Wanted frames of all runs, numbered through, in Bq/mL."""
    wanted = {number for window in windows.values() for number in window.frames}
    before = 0
    for image, run in zip(present, runs, strict=True):
        own, header = {number - before for number in wanted}, image.opened()
        for number, frame in frames(root / header.file, header, wanted=own):
            in_bq = frame if run.to_bq_per_ml == 1 else frame * np.float32(run.to_bq_per_ml)
            yield before + number, in_bq
        before += header.n_frames


def _common_affine(present: Sequence[Image]) -> np.ndarray:
    first = present[0].opened()
    for image in present[1:]:
        header = image.opened()
        same = header.frame_shape == first.frame_shape
        if not same or np.abs(header.affine_ras_mm - first.affine_ras_mm).max() > 1e-3:
            raise InputError(
                f"{header.file}: lies on another grid than {first.file}: no average of their frames. "
                "Name one of the runs in invivo.sources.*.runs."
            )
    return first.affine_ras_mm


def _recorded_run(image: Image, run: RunFacts, injection: Injection) -> dict[str, Any]:
    corrected_to_s = None if run.corrected_to_s is None else run.corrected_to_s - injection.seconds
    return {"file": image.opened().file, **asdict(run), "corrected_to_s": corrected_to_s}


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
