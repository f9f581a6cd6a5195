"""Stage ``recovery_table``: what was measured of every method's realisations -> tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from quietpet.config.realisations import ABSENT
from quietpet.errors import InputError
from quietpet.evaluation.drawing import save
from quietpet.evaluation.recovery import noise_maps, require_realisations
from quietpet.evaluation.recovery_figure import ShownMaps, draw_maps, draw_recovery
from quietpet.evaluation.recovery_section import recovery_section, shown_figures
from quietpet.evaluation.recovery_table import (
    BIAS_COLUMNS,
    LESION_TABLE,
    LOW,
    NOISE_TABLE,
    RECOVERY_COLUMNS,
    STANDARD,
    NoiseRow,
    RecoveryRow,
    bias_rows,
    measured_doses,
    recovery_rows,
    typed,
)
from quietpet.files.named import Files
from quietpet.files.realisations import NoiseMaps, Realisations
from quietpet.files.records import read_record
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.realisations import RecoveryTableJob
from quietpet.provenance import Stopwatch, provenance

SHOWN_METHODS = 4
"""Of so many methods, those of least RMSE, maps are drawn."""


def run(job: RecoveryTableJob, inputs: Files, outputs: Files) -> None:
    """Read ``lesions``, ``noise`` and ``maps`` of all methods, and ``test`` of all data sets and doses.

    Write ``recovery``, ``noise``, the figures as PNG and SVG, ``section``, ``provenance`` if asked for.
    """
    watch = Stopwatch()
    data_sets = [read_record(path, Realisations) for path in inputs.many("test")]
    for data in data_sets:
        require_realisations(data)
    recovery, noise = _rows(job, data_sets, inputs)
    write_csv(outputs.one("recovery"), RECOVERY_COLUMNS, (row.cells() for row in recovery))
    write_csv(outputs.one("noise"), BIAS_COLUMNS, (row.cells() for row in noise))
    maps, place = _shown(
        data_sets[0], inputs.many("maps"), _least_error(noise, data_sets[0], job.low_dose)
    )
    points = draw_recovery(recovery, methods=job.methods)
    save(points, png=outputs.one("recovery_png"), svg=outputs.one("recovery_svg"))
    save(draw_maps(maps), png=outputs.one("maps_png"), svg=outputs.one("maps_svg"))
    figures = shown_figures(
        points=outputs.one("recovery_svg").name,
        maps=outputs.one("maps_png").name,
        mapped=list(maps.bias),
        place=place,
    )
    section = recovery_section(recovery, noise, low_dose=job.low_dose, figures=figures)
    write_section(outputs.one("section"), section)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("recovery_table", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _rows(
    job: RecoveryTableJob, data_sets: Sequence[Realisations], inputs: Files
) -> tuple[tuple[RecoveryRow, ...], tuple[NoiseRow, ...]]:
    """The rows of both tables: of the doses of all ``data_sets``, and of all methods."""
    doses = [measured_doses(data, also_low=not job.low_dose) for data in data_sets]
    lesions = _measured(inputs.many("lesions"), LESION_TABLE).assign(post_fwhm_mm=0.0)
    noise = _measured(inputs.many("noise"), NOISE_TABLE)
    return (
        recovery_rows(pd.concat([*(each for each, _ in doses), lesions]), methods=job.methods),
        bias_rows(pd.concat([*(each for _, each in doses), noise]), methods=job.methods),
    )


def _shown(
    data: Realisations, paths: Sequence[Path], chosen: Sequence[tuple[str, str]]
) -> tuple[ShownMaps, str]:
    """Maps of the first slice with lesions of ``data``, and where it is."""
    twins = list(data.twins)
    row = next(row for row, twin in enumerate(twins) if twin.lesion_set != ABSENT)
    twin = twins[row]
    first = data.twins[twin][0]
    bias, deviation = {}, {}
    for name, images in ((STANDARD, data.standard), (LOW, data.low)):
        maps = noise_maps(images, data)
        bias[name], deviation[name] = (each[row] for each in maps)
    of_runs = _by_run(_maps_of(data, paths))
    for run in chosen:
        if run in of_runs:
            several = sum(method == run[0] for method, _ in chosen) > 1
            name = ", ".join(run) if several else run[0]
            bias[name], deviation[name] = of_runs[run].bias[row], of_runs[run].deviation[row]
    place = (
        f"{data.dataset}/{data.setting}, subject {twin.subject}, slice {twin.slice_index}, lesions "
        f"{twin.lesion_set}"
    )
    shown = ShownMaps(
        truth=data.truth[first],
        head=data.head[first],
        bias=bias,
        deviation=deviation,
        unit=data.units["truth"],
    )
    return shown, place


def _least_error(
    noise: Sequence[NoiseRow], data: Realisations, low_dose: Sequence[str]
) -> list[tuple[str, str]]:
    """Methods of least RMSE in the heads of ``data``, each with what it learned."""
    of_heads = [
        row
        for row in noise
        if (row.dataset, row.setting, row.region) == (data.dataset, data.setting, "head")
        if row.estimate == "single" and row.method not in (STANDARD, LOW, *low_dose)
    ]
    best = sorted(of_heads, key=lambda row: row.rmse_percent)[:SHOWN_METHODS]
    return [(row.method, row.learning) for row in best]


def _by_run(several: Iterator[NoiseMaps]) -> dict[tuple[str, str], NoiseMaps]:
    """Maps by method and what it learned; raises InputError where two files are of the same."""
    found: dict[tuple[str, str], NoiseMaps] = {}
    for maps in several:
        first = found.setdefault((maps.method, maps.learning), maps)
        if first is not maps:
            raise InputError(
                f"{maps.origin}: maps of {maps.method} (learning {maps.learning}), as in "
                f"{first.origin}. Give the file of one training."
            )
    return found


def _maps_of(data: Realisations, paths: Sequence[Path]) -> Iterator[NoiseMaps]:
    """Those of the slices of ``data``.

    Raises InputError for a file of this data set with other slices.
    """
    twins = [tuple(twin) for twin in data.twins]
    for path in paths:
        maps = read_record(path, NoiseMaps)
        if (maps.dataset, maps.setting) != (data.dataset, data.setting):
            continue
        if list(zip(maps.subject, map(int, maps.slice_index), maps.lesion_set, strict=True)) != twins:
            raise InputError(
                f"{path}: its slices are not those of {data.origin}; measure them again with `recovery`."
            )
        yield maps


def _measured(paths: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    return typed(read_scores(paths, columns), columns)
