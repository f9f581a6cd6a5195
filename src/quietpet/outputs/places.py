"""Where the files of each step lie in a folder of results, in the order of the workflow.

The rules of the workflow decide the places; ``tests/outputs/test_places.py`` compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

RESULTS = "results"
"""Name of the folder of results in the working directory."""

_HIDDEN_OUTPUTS = {".bidsignore"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The files of one step that lie alike.

    ``pattern`` is that of their paths in the folder of results. ``record`` is the file that says how
    they were made, with the groups of ``pattern`` in braces; without, each file says it itself.
    ``reads`` begins the paths of what the step takes, of steps without a record. ``whole`` are
    files that each of its jobs makes, written as ``record`` is: those that no step with a record reads.
    """

    step: str
    pattern: str
    record: str | None = None
    reads: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()

    def record_of(self, path: str) -> str | None:
        """The file that says how ``path`` was made: itself, or the one beside it."""
        found = re.fullmatch(self.pattern, path)
        if found is None or self.reads:
            return None
        return path if self.record is None else self.record.format(**found.groupdict())

    def whole_of(self, path: str) -> tuple[str, ...]:
        """The files of ``whole`` which the job makes that makes ``path``."""
        found = re.fullmatch(self.pattern, path)
        return tuple(each.format(**found.groupdict()) for each in self.whole) if found else ()


def _tables(step: str, *names: str, whole: tuple[str, ...] = ()) -> Place:
    """Tables, section and figures of one step; the first name is that of its record."""
    pattern = rf"((sections|figures)/)?({'|'.join(names)})\.\w+"
    return Place(step=step, pattern=pattern, record=f"{names[0]}.json", whole=whole)


def _drawn(name: str) -> tuple[str, ...]:
    return tuple(f"figures/{name}.{suffix}" for suffix in ("png", "svg"))


def _sidecar(step: str, folder: str, *parts: str) -> Place:
    """Tables of a job, whose names go on where that of its record ends: with ``parts``, or anything."""
    part = "|".join(parts) or r"\w+"
    pattern = rf"{folder}/(?P<job>.+?/[^/.]+)(\.({part}))?\.(csv|json)"
    return Place(step=step, pattern=pattern, record=f"{folder}/{{job}}.json")


_REGISTERED = ("t1_to_pet.tfm", "t1_to_pet_ras_mm.txt", "pet_to_t1_flirt.mat", "qc.png")

PLACES = (
    Place(step="fetch", pattern=r"phantoms/source\.json"),
    Place(
        step="standin_cohort",
        pattern=r"standin/[^/]+/bids/[^/]+",
        reads=("phantoms/source.json",),
    ),
    Place(
        step="standin",
        pattern=r"standin/(?P<cohort>[^/]+)/bids/sub-(?P<participant>[^/]+)/.+",
        record="standin/{cohort}/truth/{participant}.json",
    ),
    Place(step="standin", pattern=r"standin/[^/]+/truth/[^/]+\.json"),
    Place(step="fetch_invivo", pattern=r"invivo/[^/]+/located\.json"),
    Place(step="import_scan", pattern=r"invivo/(?P<scan>[^/]+)/[^/]+", record="invivo/{scan}/scan.json"),
    Place(step="import_pair", pattern=r"invivo/(?P<scan>[^/]+)/[^/]+", record="invivo/{scan}/scan.json"),
    Place(step="phantom", pattern=r"phantoms/[^/]+/[^/]+\.h5"),
    Place(step="slices", pattern=r"slices/[^/]+/[^/]+\.h5"),
    Place(step="engine", pattern=r"engine\.json"),
    Place(step="simulate", pattern=r"sinograms/[^/]+/[^/]+/[^/]+\.h5"),
    Place(step="thin", pattern=r"sinograms/[^/]+/[^/]+/[^/]+\.h5"),
    Place(step="counts", pattern=r"counts\.csv", reads=("sinograms/",)),
    Place(step="reconstruct", pattern=r"images/[^/]+/[^/]+/[^/]+\.h5"),
    Place(step="registration_engine", pattern=r"registration_engine\.json"),
    Place(
        step="register",
        pattern=r"invivo/(?P<scan>[^/]+)/registered/[^/]+",
        record="invivo/{scan}/registered/registration.json",
        whole=tuple(f"invivo/{{scan}}/registered/{name}" for name in _REGISTERED),
    ),
    Place(step="pack", pattern=r"datasets/[^/]+/[^/]+/[^/]+\.h5"),
    Place(step="pack_scans", pattern=r"datasets/[^/]+/[^/]+/[^/]+\.h5"),
    Place(step="learning_rate", pattern=r"learning_rates/.+\.json"),
    Place(
        step="fit",
        pattern=r"models/(?P<training>.+)/[^/]+",
        record="models/{training}/weights.safetensors",
        whole=("models/{training}/training.csv", "models/{training}/card.md"),
    ),
    Place(step="plan", pattern=r"sampling/.+\.json"),
    Place(step="sampling", pattern=r"((sections|figures)/)?sampling\.\w+", reads=("sampling/",)),
    Place(step="restore", pattern=r"(restored|crossed)/.+\.h5"),
    _sidecar("score", "scores"),
    _sidecar("score", "crossed"),
    Place(step="phantom", pattern=r"realisations/phantoms/.+\.h5"),
    Place(step="slices", pattern=r"realisations/slices/.+\.h5"),
    Place(step="realise", pattern=r"realisations/(sinograms|data)/.+\.h5"),
    Place(step="restore", pattern=r"realisations/restored/.+\.h5"),
    Place(
        step="observe",
        pattern=r"realisations/recovery/(?P<job>.+)\.ratings\.(csv|json)",
        record="realisations/recovery/{job}.ratings.json",
    ),
    _sidecar("recovery", "realisations/recovery", "lesions", "noise"),
    Place(step="recovery", pattern=r"realisations/recovery/.+\.h5"),
    _tables(
        "recovery_table",
        "recovery",
        "bias_variance",
        "bias_and_noise",
        whole=(
            "recovery.csv",
            "bias_variance.csv",
            "sections/recovery.json",
            *_drawn("recovery"),
            *_drawn("bias_and_noise"),
        ),
    ),
    _tables(
        "detection",
        "detection",
        whole=("detection.csv", "sections/detection.json", *_drawn("detection")),
    ),
    _tables(
        "truth",
        "truth",
        "truth_standard",
        whole=("truth.csv", "truth_standard.csv", "sections/truth.json"),
    ),
    _tables(
        "uncertainty",
        "uncertainty",
        whole=("uncertainty.csv", "sections/uncertainty.json", *_drawn("uncertainty")),
    ),
    _tables("dose_response", "dose_response", "dose_equivalent"),
    _tables("subjects", "subjects"),
    _tables("cohorts", "cohorts", "effects"),
    _sidecar("robustness", "robustness"),
    _tables("robustness_table", "robustness"),
    _tables("tables", "tables", "with_without_t1", "paired", "claim"),
    Place(
        step="export",
        pattern=r"(tables|figures)/table[^/]+|tables/export\.json",
        record="tables/export.json",
    ),
    Place(
        step="gallery",
        pattern=r"gallery/(?P<shown>[^/.]+)(\.provenance)?\.\w+",
        record="gallery/{shown}.provenance.json",
        whole=("gallery/{shown}.json", "gallery/{shown}.png", "gallery/{shown}.svg"),
    ),
    Place(
        step="report",
        pattern=r"report\.html",
        reads=(
            "sections/",
            "figures/",
            "gallery/",
            "models/",
            "invivo/",
            "sampling/",
            "scores/",
            "tables.json",
            "subjects.json",
            "truth.json",
            "uncertainty.json",
            "dose_response.json",
            "robustness.json",
            "cohorts.json",
            "recovery.json",
            "detection.json",
        ),
    ),
)
"""In the order of the workflow; of several that fit a path, its record decides."""

ORDER = tuple(dict.fromkeys(place.step for place in PLACES))
"""Steps by their first place."""


def places_of(path: str) -> list[Place]:
    """The places that fit ``path``, which is relative to the folder of results."""
    return [place for place in PLACES if re.fullmatch(place.pattern, path)]


def rank(step: str) -> int:
    """The place of a step in the workflow; unknown ones come last."""
    return ORDER.index(step) if step in ORDER else len(ORDER)


def in_results(path: str) -> str | None:
    """The part of ``path`` after the last folder of results, or None where it lies in none."""
    parts = PurePosixPath(path).parts
    if RESULTS not in parts[:-1]:
        return None
    last = len(parts) - 1 - parts[-2::-1].index(RESULTS)
    return "/".join(parts[last:])


def listed(root: Path) -> dict[str, Path]:
    """Every file below ``root`` by its path, with slashes; temporary and hidden ones are none."""
    return dict(sorted(_walked(root, "")))


def _walked(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Files alone: reading a pipe or a device would wait for ever; a link that leads nowhere is one."""
    for path in folder.iterdir():
        if path.name.startswith(".") and path.name not in _HIDDEN_OUTPUTS:
            continue
        if path.is_dir():
            yield from _walked(path, f"{prefix}{path.name}/")
        elif path.is_file() or not path.exists():
            yield f"{prefix}{path.name}", path
