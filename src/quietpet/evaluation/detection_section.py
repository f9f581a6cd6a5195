"""What the report shows of the detection task."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.evaluation.detection import HIGHER, LOWER, RESTORED, STANDARD, DetectionRow
from quietpet.evaluation.detection_figure import kind_of
from quietpet.evaluation.one_training import (
    ONE_TRAINING,
    in_slices,
    require_one_training,
    run_name,
)
from quietpet.evaluation.ratings import LESION, NOTHING
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table

FIGURE = "detection.svg"

OBSERVER_NAMES = {
    "hotelling": "channelised Hotelling observer",
    "matched_filter": "channelised matched filter",
}

Group = tuple[str, str, str]


def detection_section(rows: Sequence[DetectionRow], *, confidence: float) -> Section:
    """From all rows of the table; of methods that sample, their single samples.

    Raises InputError where a method comes with several trainings.
    """
    require_one_training(rows)
    shown = [row for row in rows if row.estimate == "single"]
    groups: dict[Group, list[DetectionRow]] = {}
    for row in shown:
        groups.setdefault((row.dataset, row.setting, row.observer), []).append(row)
    return Section(
        id="detection",
        title="Detection of known lesions",
        part="Lesions and brain",
        summary=" ".join(
            _summary(group, members, confidence)
            for group, members in groups.items()
            if group[2] == "hotelling"
        ),
        notes=_notes(shown, confidence),
        tables=tuple(
            table
            for table in (
                *(_areas(group, members) for group, members in groups.items()),
                *(_differences(group, members) for group, members in groups.items()),
                *(_over_subjects(group, members) for group, members in groups.items()),
            )
            if table.rows
        ),
        figures=(
            ShownFigure(
                file=FIGURE,
                alt="For each data set and setting, and each contrast of lesions: the area under the "
                "ROC curve of the Hotelling observer for every method and radius of the lesion, with "
                "its interval; beside it the area where no lesion is, which lies around 0.5.",
                caption="Area under the ROC curve of the channelised Hotelling observer. Bars: "
                f"{confidence:.0%} intervals of other noise in the same slices; the first training "
                "of each method. The dotted line is guessing.",
            ),
        ),
    )


def _summary(group: Group, rows: Sequence[DetectionRow], confidence: float) -> str:
    dataset, setting, observer = group
    said = []
    for contrast in dict.fromkeys(row.contrast for row in rows if row.sought == LESION):
        whole = [
            row for row in rows if (row.contrast, row.radius_mm, row.image) == (contrast, None, RESTORED)
        ]
        said.append(f"{kind_of(contrast)} lesions of all sizes {_found(whole)}")
    where = in_slices(max(row.n_slices for row in rows), max(row.n_subjects for row in rows))
    text = f"`{dataset}/{setting}`, {OBSERVER_NAMES[observer]}. {where}: {'; '.join(said)}."
    nothing = [row for row in rows if row.sought == NOTHING]
    if nothing:
        held = sum(row.ci_low <= 0.5 <= row.ci_high for row in nothing)
        text += (
            f" Where nothing is there the areas are {min(row.auc for row in nothing):.2f} to "
            f"{max(row.auc for row in nothing):.2f}; {held} of {len(nothing)} intervals of "
            f"{confidence:.0%} hold 0.5."
        )
    return text


def _found(rows: Sequence[DetectionRow]) -> str:
    """What is shown of lesions of one contrast; where nothing was compared, the range of the areas."""
    usual = next((row.compared_with for row in rows if row.compared_with), "")
    if not usual:
        areas = [row.auc for row in rows]
        return f"have areas of {min(areas):.3f} to {max(areas):.3f}; nothing was compared"
    words = []
    for verdict in (HIGHER, LOWER):
        if names := [run_name(row, rows) for row in rows if row.verdict == verdict]:
            words.append(f"a {verdict} after {', '.join(names)}")
    if not words:
        return f"are not shown to have another area than in `{usual}`"
    return f"have {' and '.join(words)} than in `{usual}`"


def _notes(rows: Sequence[DetectionRow], confidence: float) -> tuple[str, ...]:
    counts = {row.n_realisations for row in rows if row.sought == LESION}
    few = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    settings = "; ".join(dict.fromkeys(row.observers for row in rows))
    return (
        f"Signal and background known exactly: {few} realisations of each slice with and as many "
        "without lesions. The observer that one half of them trained rates the other half, and the "
        "other way round; no image has a part in the template that rates it. So areas are those of "
        "observers that so few images trained, a little lower than of an ideal one.",
        f"Observers: {settings}. The Hotelling observer's covariance is pooled over all lesions of a "
        "data set, each place's noise standardised, and its correlations are shrunk (Schaefer and "
        "Strimmer 2005). The matched filter is channelised, too: the mean signal as the "
        "channels see it. Pixels nearer to another lesion of the same set are not looked at; what a "
        "strong blur carries over from it still is: lesions in sets of their own do not have that.",
        f"Intervals of {confidence:.0%} are of other noise in the same slices (DeLong et al. 1988; all "
        "methods and lesions are read in the same images), on the logit scale. Where few images are "
        "on the wrong side they are Newcombe's score interval. The errors of the two halves are added "
        "as if they went together. What the training of the observers by so few images adds is not in "
        "them: without the observer's training, and of one slice somewhat too narrow. "
        "`subject_ci_low` and `subject_ci_high` of `detection.csv` are of other subjects, of three or "
        "more, as are `difference_subject_ci_low` and `difference_subject_ci_high` of differences. "
        "It is no analysis of many readers and many cases: one observer is trained in each half.",
        f"{HIGHER[0].upper()}{HIGHER[1:]}, {LOWER}: the interval of the difference (Zou and Donner "
        "2008, with DeLong's covariance) leaves 0 out, and p with Holm's correction over the methods is "
        "small enough. That is of other noise in the same slices, not of other subjects.",
        ONE_TRAINING,
    )


def _label(row: DetectionRow) -> str:
    return "standard dose" if row.image == STANDARD else row.method


def _variant(group: Group) -> str:
    dataset, setting, observer = group
    return f"{dataset}/{setting}, {OBSERVER_NAMES[observer]}"


def _kinds(rows: Sequence[DetectionRow]) -> list[tuple[float | None, float | None]]:
    return list(dict.fromkeys((row.contrast, row.radius_mm) for row in rows))


def _table(
    caption: str,
    group: Group,
    rows: Sequence[DetectionRow],
    value: str,
    low: str,
    high: str,
    *,
    mark: bool,
) -> Table:
    """Rows are images, columns kinds of lesions, each with ``value`` and its interval."""
    kinds = _kinds(rows)
    shown: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in rows:
        place = kinds.index((row.contrast, row.radius_mm))
        line = shown.setdefault(
            (_label(row), row.learning), {"method": _label(row), "learning": row.learning}
        )
        line |= {
            f"value_{place}": getattr(row, value),
            f"low_{place}": getattr(row, low),
            f"high_{place}": getattr(row, high),
        }
        if mark:
            line[f"mark_{place}"] = row.verdict if row.verdict in (HIGHER, LOWER) else None
    return Table(
        caption=caption,
        variant=_variant(group),
        columns=(
            Column(key="method", label="method"),
            Column(key="learning", label="learning"),
            *(
                Column(
                    key=f"value_{place}",
                    label=_heading(contrast, radius_mm),
                    digits=3,
                    low=f"low_{place}",
                    high=f"high_{place}",
                    mark=f"mark_{place}" if mark else "",
                )
                for place, (contrast, radius_mm) in enumerate(kinds)
            ),
        ),
        rows=tuple(shown.values()),
    )


def _heading(contrast: float | None, radius_mm: float | None) -> str:
    if contrast is None:
        return kind_of(None)
    return f"{kind_of(contrast)}, {'all radii' if radius_mm is None else f'{radius_mm:g} mm'}"


def _areas(group: Group, rows: Sequence[DetectionRow]) -> Table:
    caption = "Area under the ROC curve, with its interval"
    return _table(caption, group, rows, "auc", "ci_low", "ci_high", mark=False)


def _differences(group: Group, rows: Sequence[DetectionRow]) -> Table:
    compared = [row for row in rows if row.difference is not None]
    usual = compared[0].compared_with if compared else ""
    return _table(
        f"Difference of the area to that of {usual}, in the same images",
        group,
        compared,
        "difference",
        "difference_ci_low",
        "difference_ci_high",
        mark=True,
    )


def _over_subjects(group: Group, rows: Sequence[DetectionRow]) -> Table:
    compared = [row for row in rows if row.difference_subject_ci_low is not None]
    usual = compared[0].compared_with if compared else ""
    return _table(
        f"Difference of the area to that of {usual}, with its interval over subjects",
        group,
        compared,
        "difference",
        "difference_subject_ci_low",
        "difference_subject_ci_high",
        mark=False,
    )
