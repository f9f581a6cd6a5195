"""Stage ``standin``: one participant of a simulated in-vivo data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.acquisition.dose import decay_factor
from quietpet.config.standin import KineticsSettings
from quietpet.data_source import BRAINWEB, standin_of
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.nifti import SeriesWriter, write_integers, write_series
from quietpet.files.text import write_json
from quietpet.geometry.grid import ImageGrid
from quietpet.jobs.standin import StandinJob
from quietpet.phantom.brainweb import with_sound_end
from quietpet.phantom.heads import data_source, label_volume
from quietpet.phantom.tissues import LabelVolume
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng
from quietpet.standin import sidecars
from quietpet.standin.anatomy import (
    CLASSES,
    T1Geometry,
    attenuation_slices,
    draw_t1_geometry,
    t1_image,
    tissue_fractions,
)
from quietpet.standin.kinetics import (
    BOLUS_FRACTIONS,
    Administration,
    Plasma,
    frame_decays,
    frame_weights,
)
from quietpet.standin.layout import runs_of
from quietpet.standin.scan import Frame, Scanner, head_in_scanner, measured_frames, standin_grid
from quietpet.standin.schedule import ScheduledFrame, frame_schedule

BQ_PER_KBQ = 1000.0
HEADROOM = 32
"""Largest value that can be stored / largest true activity of any tissue in any frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scan:
    """One participant's scan before anything is drawn: of whose ``head``, which frames in which run."""

    head: str
    runs: list[range]
    schedule: tuple[ScheduledFrame, ...]
    grid: ImageGrid
    kinetics: dict[str, KineticsSettings]
    frames: list[Frame]

    @property
    def means(self) -> np.ndarray:
        """Decay-corrected mean of each tissue in each frame [kBq/ml], (frame, class)."""
        return np.array([frame.decays / frame.weight_minutes for frame in self.frames])


def run(job: StandinJob, inputs: Files, outputs: Files) -> None:
    """``labels`` and ``sources``, or neither -> ``pet``, ``pet_json``, ``t1``, ``t1_json``, ``truth``.

    ``pet`` and ``pet_json`` are one path per run. ``truth`` is a JSON outside the BIDS tree: the rigid
    motion and the time-activity curves. No file appears before all frames are drawn.
    """
    watch = Stopwatch()
    scan = _scan(job, data_source(inputs))
    _require_files_of_runs(job, scan, outputs)
    volume = _head(job, inputs)
    geometry = draw_t1_geometry(
        shape=job.scan.t1_shape,
        voxel_mm=job.scan.t1_voxel_mm,
        max_rotation_deg=job.scan.max_rotation_deg,
        max_translation_mm=job.scan.max_translation_mm,
        rng=_rng(job, "motion"),
    )
    t1 = t1_image(volume, geometry, values=job.t1, noise=job.scan.t1_noise, rng=_rng(job, "t1"))
    scanner = _scanner(job, volume, scan.grid)
    with ExitStack() as written:
        writers = [written.enter_context(each) for each in _series(job, scan, outputs.many("pet"))]
        prompts = _write_frames(job, scanner, scan, writers)
        write_integers(outputs.one("t1"), t1, geometry.affine_ras_mm)
        write_json(outputs.one("t1_json"), sidecars.t1_sidecar(_facts(job, job.participant, scan)))
        for number, path in enumerate(outputs.many("pet_json")):
            write_json(path, _pet_sidecar(job, scan, number, prompts))
        origin = provenance("standin", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
        truth = {**_truth(job, scan, geometry), "prompts": prompts, "provenance": origin}
        write_json(outputs.one("truth"), truth)


def _truth(job: StandinJob, scan: _Scan, geometry: T1Geometry) -> dict[str, Any]:
    """Whose head it is, how it lay, and its activity."""
    return {
        "data_source": standin_of(scan.head),
        "anatomy_source": scan.head,
        "cohort": job.cohort,
        "participant": job.participant,
        "anatomy": job.participants[job.participant].anatomy,
        **_motion_truth(geometry),
        **_activity_truth(job, scan),
    }


def _scan(job: StandinJob, head: str) -> _Scan:
    schedule, kinetics = frame_schedule(job.scan), _kinetics(job)
    return _Scan(
        head=head,
        runs=runs_of(job.scan),
        schedule=schedule,
        grid=standin_grid(job.scanner, axial_step=job.scan.axial_step),
        kinetics=kinetics,
        frames=_frames(job, kinetics, [frame.edges_minutes for frame in schedule]),
    )


def _require_files_of_runs(job: StandinJob, scan: _Scan, outputs: Files) -> None:
    images, tables = len(outputs.many("pet")), len(outputs.many("pet_json"))
    if not images == tables == len(scan.runs):
        raise InputError(
            f"{images} files called 'pet' and {tables} called 'pet_json' were given, but "
            f"{job.scan.n_frames} frames make {len(scan.runs)} runs."
        )


def _head(job: StandinJob, inputs: Files) -> LabelVolume:
    anatomy = job.participants[job.participant].anatomy
    volume = label_volume(anatomy, inputs, template=job.template, study_seed=job.study_seed)
    return with_sound_end(volume) if data_source(inputs) == BRAINWEB else volume


def _scanner(job: StandinJob, volume: LabelVolume, grid: ImageGrid) -> Scanner:
    fine = grid.refined(job.scanner.data_refinement)
    return head_in_scanner(
        tissue_fractions(volume, grid=fine),
        attenuation_slices(volume, values=job.mu_per_cm, grid=fine),
        grid=grid,
        scanner=job.scanner,
        scan=job.scan,
        rng=_rng(job, "efficiencies"),
    )


def _series(
    job: StandinJob, scan: _Scan, paths: Sequence[Path]
) -> Iterator[AbstractContextManager[SeriesWriter]]:
    """A writer for each run; all have one scale."""
    scale = HEADROOM * BQ_PER_KBQ * float(scan.means.max()) / np.iinfo(np.int16).max
    for number, (path, frames) in enumerate(zip(paths, scan.runs, strict=True)):
        yield write_series(
            path,
            shape=scan.grid.shape,
            frames=len(frames),
            affine_ras_mm=_pet_affine(scan.grid),
            frame_seconds=float(np.mean([scan.schedule[frame].seconds for frame in frames])),
            scale=scale,
            compressed=not job.defects or not _stored_plainly(job, number, len(scan.runs)),
        )


def _rng(job: StandinJob, *what: str | int, participant: str | None = None) -> np.random.Generator:
    return numpy_rng(job.study_seed, "standin", job.cohort, participant or job.participant, *what)


def _kinetics(job: StandinJob) -> dict[str, KineticsSettings]:
    """The rate constants of this participant: log-normal around those of the settings."""
    sigma = np.sqrt(np.log1p(job.scan.kinetics_cv**2))
    own = {}
    for name in CLASSES:
        usual = getattr(job.scan.kinetics, name)
        factors = np.exp(sigma * _rng(job, "kinetics", name).standard_normal(3) - sigma**2 / 2)
        rates = {
            rate: factor * getattr(usual, rate)
            for rate, factor in zip(("k1", "k2", "k3"), factors.tolist(), strict=True)
        }
        own[name] = usual.model_copy(update=rates)
    return own


def _frames(
    job: StandinJob,
    kinetics: dict[str, KineticsSettings],
    edges_minutes: Sequence[tuple[float, float]],
) -> list[Frame]:
    """The activity in each frame."""
    member, scan = job.participants[job.participant], job.scan
    half_life_minutes = scan.half_life_minutes
    administration = Administration(
        injected_mbq=member.injected_mbq,
        bolus_fraction=BOLUS_FRACTIONS[member.administration],
        infusion_minutes=job.infusion_minutes,
    )
    plasma = Plasma(suv=scan.plasma_suv, weight_kg=scan.weight_kg)
    decays = [
        frame_decays(
            kinetics[name],
            plasma,
            administration,
            edges_minutes,
            half_life_minutes=half_life_minutes,
        )
        for name in CLASSES
    ]
    weights = frame_weights(edges_minutes, half_life_minutes=half_life_minutes)
    middles = [(start + end) / 2 for start, end in edges_minutes]
    return [
        Frame(
            decays=of_tissues,
            weight_minutes=float(weight),
            body_mbq=administration.given_mbq(middle)
            * decay_factor(middle, half_life_minutes=half_life_minutes),
        )
        for of_tissues, weight, middle in zip(np.stack(decays, axis=1), weights, middles, strict=True)
    ]


def _write_frames(
    job: StandinJob, scanner: Scanner, scan: _Scan, writers: Sequence[SeriesWriter]
) -> list[int]:
    """Draw, reconstruct and write all frames; returns their prompts."""
    measured = measured_frames(
        scanner,
        scan.frames,
        scan=job.scan,
        generator_of=lambda number: _rng(job, "prompts", scan.schedule[number].name),
    )
    into = [writer for writer, numbers in zip(writers, scan.runs, strict=True) for _ in numbers]
    prompts = []
    label = f"frames of {job.cohort} {job.participant}"
    for writer, (image, counts) in track(
        zip(into, measured, strict=True), label=label, total=len(scan.frames), unit="frames"
    ):
        writer.append(BQ_PER_KBQ * image[:, ::-1, ::-1])
        prompts.append(counts)
    return prompts


def _pet_affine(grid: ImageGrid) -> np.ndarray:
    """4x4 matrix from the stored voxels (x, y, z, 1) to RAS mm: x runs to the left, y to the front."""
    turned = np.zeros((4, 4))
    turned[0, 2], turned[1, 1], turned[2, 0], turned[3, 3] = 1, -1, -1, 1
    turned[1:3, 3] = grid.n_pixels - 1
    return grid.affine_ras_mm @ turned


def _facts(job: StandinJob, participant: str, scan: _Scan) -> sidecars.ScanFacts:
    member, grid = job.participants[participant], scan.grid
    return sidecars.ScanFacts(
        layout=job.layout,
        data_source=standin_of(scan.head),
        administration=member.administration,
        infusion_minutes=job.infusion_minutes,
        injected_mbq=member.injected_mbq,
        started_s=sidecars.draw_start_s(_rng(job, "clock", participant=participant)),
        voxel_mm=(grid.pixel_mm, grid.pixel_mm, grid.slice_mm),
    )


def _pet_sidecar(job: StandinJob, scan: _Scan, number: int, prompts: Sequence[int]) -> dict[str, Any]:
    """The side-car of run ``number``, of all frames' ``prompts``."""
    own, frames = _facts(job, job.participant, scan), scan.runs[number]
    described = sidecars.Run(
        number=number,
        starts_s=[scan.schedule[frame].start_s for frame in frames],
        durations_s=[scan.schedule[frame].seconds for frame in frames],
        prompts=[prompts[frame] for frame in frames],
        shape=scan.grid.shape[::-1],
        affine_ras_mm=_pet_affine(scan.grid),
    )
    if not job.defects:
        return sidecars.pet_sidecar(own, described, job.scan)
    if job.layout == "ds003397":
        summarised = number + 1 == len(scan.runs)
        return sidecars.defective_ds003397(own, described, job.scan, summarised=summarised)
    everyone = list(job.participants)
    ordinal = everyone.index(job.participant)
    return sidecars.defective_ds002898(
        own,
        described,
        job.scan,
        noted=_facts(job, everyone[(ordinal + 1) % len(everyone)], scan),
        ordinal=ordinal,
        last=ordinal + 1 == len(everyone),
    )


def _stored_plainly(job: StandinJob, run: int, runs: int) -> bool:
    """Defects of ds003397: not compressed though called .nii.gz, all runs but the last of several."""
    return job.layout == "ds003397" and (runs == 1 or run + 1 < runs)


def _motion_truth(geometry: T1Geometry) -> dict[str, Any]:
    motion = geometry.t1_to_pet_ras_mm
    cosine = np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1)
    return {
        "t1_to_pet_ras_mm": motion.tolist(),
        "t1_to_pet_is": "4x4 matrix from T1 world to PET world, both RAS mm",
        "rotation_deg": float(np.rad2deg(np.arccos(cosine))),
        "translation_mm": motion[:3, 3].tolist(),
    }


def _activity_truth(job: StandinJob, scan: _Scan) -> dict[str, Any]:
    means = scan.means
    return {
        "kinetics": {name: rates.model_dump() for name, rates in scan.kinetics.items()},
        "frame_edges_minutes": [list(frame.edges_minutes) for frame in scan.schedule],
        "mean_kbq_per_ml": {name: means[:, n].tolist() for n, name in enumerate(CLASSES)},
        "mean_is": f"decay-corrected to the injection (half-life {job.scan.half_life_minutes:g} min)",
    }
