"""What the report shows of noise realisations: sentences, tables and the captions of figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from quietpet.evaluation.one_training import (
    ONE_TRAINING,
    in_slices,
    require_one_training,
    run_name,
)
from quietpet.evaluation.recovery_table import (
    FILTERS_MM,
    LOW,
    STANDARD,
    NoiseRow,
    RecoveryRow,
    by_dataset,
)
from quietpet.files.sections import Column, Section, ShownFigure, Table

USUAL_REALISATIONS = 20
"""Realisations from which on bias and variance are told without a warning."""

Row = dict[str, str | int | float | bool | None]


def recovery_section(
    recovery: Sequence[RecoveryRow],
    noise: Sequence[NoiseRow],
    *,
    low_dose: Sequence[str],
    figures: Sequence[ShownFigure],
) -> Section:
    """Of the rows of both tables; ``low_dose`` are methods that are the low-dose image itself.

    Raises InputError where a method comes with several trainings.
    """
    require_one_training(recovery)
    require_one_training(noise)
    plain = [row for row in recovery if not row.post_fwhm_mm]
    realisations = min(row.realisations for row in noise)
    return Section(
        id="recovery",
        title="Contrast recovery, bias and noise over realisations",
        part="Lesions and brain",
        summary=" ".join(_summary(plain, noise, low_dose)),
        warnings=_warnings(realisations),
        notes=(
            f"Each slice without lesions, and its twin with lesions of known place in PET alone, was "
            f"measured {realisations} times at each dose; a method restored every one of them.",
            "Contrast recovery: (mean with the lesion / mean of the same pixels without it - 1) / the "
            "same of the truth, means over realisations. 1: restored whole; 0: lost; below 0: turned "
            "around. ± is the standard error by noise.",
            "Background variability: standard deviation over realisations of the mean of the same "
            "pixels without the lesion, in percent of it. A point to the right of the dashed line, or "
            "below it, lies beyond the filter line: a Gaussian filter of the low dose keeps more "
            "contrast at that noise. That is no test: judge by the whisker, and remember that of one "
            f"lesion the variability itself is uncertain by {_relative_sd_error(realisations):.0%}.",
            "Errors are those to the true activity, which the standard dose does not reach either: "
            "RMSE² = bias² + SD², of slices without lesions, in percent of the region's true mean. "
            "± of RMSE is the standard error over subjects, of two or more. Methods are not tested "
            "against each other.",
            ONE_TRAINING,
        ),
        tables=(*_recovery_tables(plain), *_noise_tables(noise)),
        figures=tuple(figures),
    )


def shown_figures(
    *, points: str, maps: str, mapped: Sequence[str], place: str
) -> tuple[ShownFigure, ...]:
    """Both figures, by the names of their files; ``mapped`` are those of the maps, of the ``place``."""
    return (
        ShownFigure(
            file=points,
            alt="Contrast recovery of each method against its background variability, a panel for each "
            "radius and contrast of lesions.",
            caption="Contrast recovery against background variability. Whiskers: standard error by "
            f"noise, of the first training of each method. Dashed: the low dose under Gaussian "
            f"filters, {FILTERS_MM[0]:g} to {FILTERS_MM[-1]:g} mm.",
        ),
        ShownFigure(
            file=maps,
            alt=f"Maps of bias and of the standard deviation over realisations: {', '.join(mapped)}.",
            caption=f"Bias and noise of each pixel in {place}: mean over realisations less the truth, "
            "and standard deviation. The doses, and the methods of least RMSE here; the first "
            "training of each.",
        ),
    )


def _relative_sd_error(realisations: int) -> float:
    """Relative standard error of a standard deviation of n Gaussian values, 1 / sqrt(2 (n - 1))."""
    return 1 / math.sqrt(2 * (realisations - 1))


def _warnings(realisations: int) -> tuple[str, ...]:
    if realisations >= USUAL_REALISATIONS:
        return ()
    return (
        f"Only {realisations} realisations: bias, noise and recovery are known badly; "
        f"realisations.count of {USUAL_REALISATIONS} or more is usual.",
    )


def _summary(
    recovery: Sequence[RecoveryRow], noise: Sequence[NoiseRow], low_dose: Sequence[str]
) -> Iterator[str]:
    """Of the first data set: recovery of the smallest lesions, and errors of the doses and the least."""
    doses = {STANDARD: STANDARD, **dict.fromkeys((LOW, *low_dose), LOW)}
    (dataset, setting), of_data = next(by_dataset(noise))
    slices, subjects = (max(getattr(row, n) for row in of_data) for n in ("n_slices", "n_subjects"))
    yield f"`{dataset}/{setting}`. {in_slices(slices, subjects)}:"
    shown = [row for row in recovery if (row.dataset, row.setting) == (dataset, setting)]
    for kind in ("hot", "cold"):
        yield from _kept([row for row in shown if row.kind == kind], doses)
    heads = [row for row in of_data if row.region == "head" and row.estimate == "single"]
    named = [(f"The {doses[row.method]}", row) for row in heads if row.method in doses]
    others = sorted((row for row in heads if row.method not in doses), key=lambda row: row.rmse_percent)
    named += [(f"The method of least RMSE here, {run_name(row, others)},", row) for row in others[:1]]
    for name, row in named:
        error = "" if row.rmse_se_percent is None else f" ± {row.rmse_se_percent:.1f}"
        yield (
            f"{name} is {row.rmse_percent:.1f}{error} % from the truth in the head (bias "
            f"{row.bias_percent:.1f} %, noise {row.sd_percent:.1f} %)."
        )
    if others:
        yield "Methods are not tested against each other."


def _kept(rows: Sequence[RecoveryRow], doses: Mapping[str, str]) -> Iterator[str]:
    """What is kept of the strongest contrast of the smallest lesions of one kind."""
    if not rows:
        return
    chosen = min(rows, key=lambda row: (row.radius_mm, -abs(row.contrast)))
    alike = [
        row
        for row in rows
        if (row.lesion_set, row.radius_mm, row.contrast)
        == (chosen.lesion_set, chosen.radius_mm, chosen.contrast)
        if row.estimate == "single" and row.crc is not None
    ]
    kept = {doses[row.method]: row.crc for row in alike if row.method in doses}
    words = [f"{value:.2f} of their contrast at the {name}" for name, value in kept.items()]
    methods = sorted((row for row in alike if row.method not in doses), key=lambda row: row.crc or 0.0)
    if methods:
        least, most = methods[0], methods[-1]
        words.append(
            f"{least.crc:.2f} ({run_name(least, methods)}) to {most.crc:.2f} "
            f"({run_name(most, methods)}) with methods"
        )
    if words:
        yield f"{chosen.kind.capitalize()} lesions of {chosen.radius_mm:g} mm keep {', '.join(words)}."


def _recovery_tables(rows: Sequence[RecoveryRow]) -> Iterator[Table]:
    for (dataset, setting), of_data in by_dataset(rows):
        for lesion_set in dict.fromkeys(row.lesion_set for row in of_data):
            members = [row for row in of_data if row.lesion_set == lesion_set]
            kinds = list(dict.fromkeys((row.contrast, row.radius_mm) for row in members))
            kinds.sort(key=lambda kind: (-kind[0], -kind[1]))
            yield Table(
                caption=f"Contrast recovery, {dataset}/{setting}, lesions {lesion_set}",
                columns=(*_names(), *_recovery_columns(kinds)),
                rows=tuple(_recovery_lines(members)),
            )


def _recovery_columns(kinds: Sequence[tuple[float, float]]) -> Iterator[Column]:
    for contrast, radius_mm in kinds:
        key = _key(contrast, radius_mm)
        kind = "hot" if contrast > 0 else "cold"
        yield Column(
            key=key,
            label=f"{kind} {contrast:+g}, {radius_mm:g} mm",
            digits=2,
            spread=f"{key} se",
        )
    for radius_mm in dict.fromkeys(radius_mm for _, radius_mm in kinds):
        yield Column(
            key=f"background {radius_mm:g}",
            label=f"background variability, {radius_mm:g} mm",
            unit="%",
            digits=1,
        )


def _key(contrast: float, radius_mm: float) -> str:
    return f"{contrast:g} {radius_mm:g}"


def _recovery_lines(rows: Sequence[RecoveryRow]) -> Iterator[Row]:
    lines: dict[tuple[str, str, str], Row] = {}
    variabilities: dict[tuple[tuple[str, str, str], float], list[float]] = {}
    for row in rows:
        run = (row.method, row.learning, row.estimate)
        line = lines.setdefault(run, dict(zip(("method", "learning", "estimate"), run, strict=True)))
        key = _key(row.contrast, row.radius_mm)
        line |= {key: row.crc, f"{key} se": row.crc_se}
        if row.background_variability_percent is not None:
            found = variabilities.setdefault((run, row.radius_mm), [])
            found.append(row.background_variability_percent)
    for (run, radius_mm), values in variabilities.items():
        lines[run][f"background {radius_mm:g}"] = sum(values) / len(values)
    yield from lines.values()


def _noise_tables(rows: Sequence[NoiseRow]) -> Iterator[Table]:
    for (dataset, setting), of_data in by_dataset(rows):
        for region in dict.fromkeys(row.region for row in of_data):
            yield Table(
                caption=f"Error against the truth, {dataset}/{setting}, as bias and noise",
                variant=region,
                columns=(
                    *_names(),
                    Column(key="rmse", label="RMSE", unit="%", digits=1, spread="rmse se"),
                    Column(key="bias", label="bias (RMS)", unit="%", digits=1),
                    Column(key="sd", label="noise (SD)", unit="%", digits=1),
                    Column(key="mean", label="mean bias", unit="%", digits=1),
                ),
                rows=tuple(
                    {
                        "method": row.method,
                        "learning": row.learning,
                        "estimate": row.estimate,
                        "rmse": row.rmse_percent,
                        "rmse se": row.rmse_se_percent,
                        "bias": row.bias_percent,
                        "sd": row.sd_percent,
                        "mean": row.mean_bias_percent,
                    }
                    for row in of_data
                    if row.region == region
                ),
            )


def _names() -> tuple[Column, ...]:
    return tuple(Column(key=name, label=name) for name in ("method", "learning", "estimate"))
