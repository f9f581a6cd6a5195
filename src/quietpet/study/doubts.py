"""What in a valid configuration probably gives other results than its author wants.

Kept out of :mod:`quietpet.study.checks`, which Snakemake runs at every start: kinetics need scipy.
"""

from __future__ import annotations

from collections.abc import Iterator

from quietpet.config.invivo import WindowSettings
from quietpet.config.regions import REGION_NAMES
from quietpet.standin.kinetics import (
    BOLUS_FRACTIONS,
    Administration,
    Plasma,
    frame_decays,
    frame_weights,
)
from quietpet.study.cohorts import slices_well_inside
from quietpet.study.contents import StudyContents
from quietpet.study.windows import scan_of, span_minutes

TOLERATED_CHANGE = 0.05
"""Of the mean activity between a short window and the long one."""

TISSUES = ("grey_matter", "white_matter")

_INFUSIONS = {"ds002898": 95.0, "ds003397": 55.0}
"""Minutes: Jamadar et al., Sci Data 7:363 (2020), and GigaScience 11:giac031 (2022)."""


def doubts(study: StudyContents) -> list[str]:
    """One sentence each, with the key, its value and the remedy; none where all is well."""
    return [
        *_thinned_with_another_resolution(study),
        *_windows_of_other_activity(study),
        *_patches_alone(study),
        *_trained_for_a_metric(study),
        *_regions_without_slices(study),
    ]


def _patches_alone(study: StudyContents) -> Iterator[str]:
    """Networks that see the field of view, and learn from a smaller one than they restore."""
    training = study.training
    pixels = training.patch_pixels
    if pixels is None or training.whole_share or pixels >= study.inference.pixels:
        return
    if names := [name for name, method in study.methods.items() if method.learns_from_whole_heads]:
        yield (
            f"training.whole_share = 0 with patch_pixels = {pixels}: group norm and attention of "
            f"{', '.join(names)} see the field of view, so whole slices are restored worse than "
            "patches; write whole_share: 0.3"
        )


def _trained_for_a_metric(study: StudyContents) -> Iterator[str]:
    for name, method in study.methods.items():
        if weight := getattr(method, "own_maximum_weight", 0):
            yield (
                f"methods.{name}.own_maximum_weight = {weight:g}: trained in the scaling of the metrics "
                "`paper`, which no other method is; write 0, or compare it in `quantitative` alone"
            )


def _regions_without_slices(study: StudyContents) -> Iterator[str]:
    """Brain regions through whose middle no slice of a data set passes."""
    for dataset in study.simulated.values():
        view = dataset.study
        if view.phantoms.regions is None:
            continue
        for name in REGION_NAMES:
            through = slices_well_inside(view, name)
            if not set(through) & set(view.slices.indices):
                yield (
                    f"{dataset.key('slices')}.indices = {list(view.slices.indices)}: no slice passes "
                    f"through the middle of {name}, of which little or nothing will be known; add "
                    f"{through[len(through) // 2]}"
                )


def _thinned_with_another_resolution(study: StudyContents) -> Iterator[str]:
    for dataset in study.simulated.values():
        levels = dataset.study.doses
        for name in levels.thinned:
            model_mm, data_mm = levels.low[name].psf_fwhm_mm, levels.standard.psf_fwhm_mm
            if model_mm != data_mm:
                level = f"{dataset.key('doses')}.low.{name}"
                yield (
                    f"{level}.psf_fwhm_mm = {model_mm:g}: thinned events keep the resolution of "
                    f"the standard dose, {data_mm:g} mm, so that the model would be wrong by design; "
                    f"write {data_mm:g}, or give counts in place of thinned"
                )


def _windows_of_other_activity(study: StudyContents) -> Iterator[str]:
    if study.invivo is None or study.invivo.windows is None:
        return
    standard = study.invivo.windows.standard
    middle, length = _middle_and_length(standard, study)
    for (window, given, minutes), settings in _uses_of_windows(study).items():
        low = study.invivo.windows.low[window]
        place = f"invivo.windows.low.{window} ({', '.join(settings)})"
        low_middle, low_length = _middle_and_length(low, study)
        start = middle - low_length / 2
        remedy = f"put it in the middle of the standard window: start_minutes: {start:.3g}"
        ratios = {
            tissue: _relative_activity(low, standard, study, tissue, given, minutes)
            for tissue in TISSUES
        }
        tissue, ratio = max(ratios.items(), key=lambda item: abs(item[1] - 1))
        if abs(ratio - 1) > TOLERATED_CHANGE:
            yield (
                f"{place}: after FDG given as {given}, {tissue.replace('_', ' ')} has {ratio:.2f} of "
                "its mean of the standard window (kinetics of standin.scan), a gain that networks "
                f"learn; {remedy}"
            )
        elif abs(low_middle - middle) > TOLERATED_CHANGE * length:
            yield (
                f"{place}: its middle is at {low_middle:.3g} min, that of the standard window "
                f"at {middle:.3g} min; unless the tracer stands still, {remedy}"
            )


def _uses_of_windows(study: StudyContents) -> dict[tuple[str, str, float], list[str]]:
    """Short window, how the tracer was given and the minutes of an infusion -> dataset/setting."""
    uses: dict[tuple[str, str, float], list[str]] = {}
    for name, dataset in study.scanned.items():
        source = study.in_vivo.sources[dataset.cohort.source]
        for setting, cohort in dataset.cohort.settings.items():
            if cohort.window is None:
                continue
            ways: dict[str, None]
            minutes = _INFUSIONS.get(source.accession or "", _INFUSIONS["ds002898"])
            if source.cohort and study.standin:
                scanned = study.standin.cohorts[source.cohort]
                minutes = scanned.infusion_minutes
                members = dataset.splits_of(setting).subjects
                ways = dict.fromkeys(scanned.participants[who].administration for who in members)
            elif cohort.administration:
                ways = {cohort.administration: None}
            else:
                ways = (
                    {"infusion": None}
                    if source.accession == "ds002898"
                    else dict.fromkeys(BOLUS_FRACTIONS)
                )
            for given in ways:
                uses.setdefault((cohort.window, given, minutes), []).append(f"{name}/{setting}")
    return uses


def _relative_activity(
    low: WindowSettings,
    standard: WindowSettings,
    study: StudyContents,
    tissue: str,
    given: str,
    infusion_minutes: float,
) -> float:
    """Mean activity of a tissue in the short window / in the long one, both decay-corrected."""
    scan = scan_of(study)
    means = []
    for window in (low, standard):
        edges = [span_minutes(window, study)]
        (decays,) = frame_decays(
            getattr(scan.kinetics, tissue),
            Plasma(suv=scan.plasma_suv, weight_kg=scan.weight_kg),
            Administration(
                injected_mbq=1.0,
                bolus_fraction=BOLUS_FRACTIONS[given],
                infusion_minutes=infusion_minutes,
            ),
            edges,
            half_life_minutes=scan.half_life_minutes,
        )
        (weight,) = frame_weights(edges, half_life_minutes=scan.half_life_minutes)
        means.append(decays / weight)
    return float(means[0] / means[1])


def _middle_and_length(window: WindowSettings, study: StudyContents) -> tuple[float, float]:
    start, end = span_minutes(window, study)
    return (start + end) / 2, end - start
