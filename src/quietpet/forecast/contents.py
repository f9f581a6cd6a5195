"""How many slices the files of a study hold, which follows from the jobs that make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from quietpet.forecast.jobs import Part, StudyJob
from quietpet.jobs.datasets import PackJob, PackScansJob
from quietpet.jobs.phantoms import SlicesJob
from quietpet.jobs.realisations import RealiseJob

Kind = TypeVar("Kind")

FETCH = "fetch"
"""The step that has volumes of BrainWeb ready; before it ran nothing names them."""

_COUNTED_INPUTS = {
    "simulate": "slices",
    "thin": "standard",
    "reconstruct": "sinograms",
    "realise": "slices",
    "counts": "sinograms",
    "pack": "low",
    "learning_rate": "train",
    "fit": "train",
    "plan": "validation",
    "restore": "test",
    "robustness": "test",
    "score": "test",
    "recovery": "restored",
    "observe": "restored",
    "uncertainty": "restored",
    "gallery": "restored",
    "tables": "scores",
    "export": "scores",
    "truth": "scores",
    "dose_response": "scores",
    "subjects": "subjects",
    "cohorts": "regions",
    "robustness_table": "robustness",
    "recovery_table": "lesions",
    "detection": "ratings",
}
"""Name of the input whose slices a step goes through; of several files all of them."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a file holds: ``slices``, in squares of so many ``pixels`` (0: not packed)."""

    slices: int = 0
    pixels: int = 0


class Contents:
    """What each file of ``jobs`` holds; a file that none of them makes holds nothing."""

    def __init__(self, jobs: Iterable[StudyJob]) -> None:
        self._maker: Mapping[Path, Part] = {
            path: part for job in jobs for part in job.parts for path in part.outputs.all()
        }
        self._known: dict[int, Held] = {}
        steps = {part.step for part in self._maker.values()}
        self.heads = "brainweb" if FETCH in steps else "template"
        """Where heads are from that name no volume: a study of the template fetches none."""

    def of_file(self, path: Path) -> Held:
        """What ``path`` holds."""
        maker = self._maker.get(path)
        return self.of_part(maker) if maker else Held()

    def of_part(self, part: Part) -> Held:
        """What the step ``part`` goes through, and what each file that it makes holds."""
        if id(part) not in self._known:
            self._known[id(part)] = self._found(part)
        return self._known[id(part)]

    def named(self, part: Part, name: str) -> Held:
        """What the inputs called ``name`` hold together."""
        held = [self.of_file(path) for path in part.inputs.any(name)]
        return Held(
            slices=sum(each.slices for each in held),
            pixels=max((each.pixels for each in held), default=0),
        )

    def _found(self, part: Part) -> Held:
        if part.step in _OWN:
            return _OWN[part.step](self, part)
        return self.named(part, _COUNTED_INPUTS.get(part.step, ""))

    def _cut(self, part: Part) -> Held:
        job = _as(part, SlicesJob)
        return Held(slices=len(job.slices.indices) * job.slices.rotations)

    def _packed(self, part: Part) -> Held:
        return Held(slices=self.named(part, "low").slices, pixels=_as(part, PackJob).pixels)

    def _of_scans(self, part: Part) -> Held:
        job = _as(part, PackScansJob)
        per_scan = len(job.slices.indices) * job.slices.rotations
        return Held(slices=len(job.participants) * per_scan, pixels=job.pixels)

    def _realised(self, part: Part) -> Held:
        job, once = _as(part, RealiseJob), self.named(part, "slices").slices
        return Held(slices=once * job.count * (1 + len(job.lesion_sets)), pixels=job.pixels)


_OWN: Mapping[str, Callable[[Contents, Part], Held]] = {
    "slices": Contents._cut,
    "pack": Contents._packed,
    "pack_scans": Contents._of_scans,
    "realise": Contents._realised,
}


def _as(part: Part, kind: type[Kind]) -> Kind:
    if not isinstance(part.job, kind):
        raise TypeError(f"{part.step}: {type(part.job).__name__} is no {kind.__name__}")
    return part.job
