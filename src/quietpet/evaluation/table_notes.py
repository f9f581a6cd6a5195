"""What a reader must know before the numbers of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quietpet.evaluation.comparison import JOINTLY_SCALED, PAPER, QUANTITATIVE, VARIANTS
from quietpet.evaluation.spread import LITTLE_SPREAD, LITTLE_SPREAD_BELOW, spreads_little
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow


def cell_in_words(rows: Iterable[TableRow], interval: str) -> str:
    """What a cell holds; of an interval it says nothing where no cell has one."""
    return "Each cell: mean ± standard deviation over test slices" + (
        f" [{interval}]" if has_interval(rows) else ""
    )


def has_interval(rows: Iterable[TableRow]) -> bool:
    """Whether any cell has an interval."""
    return any(row.ci_low is not None for row in rows)


def legend(rows: Sequence[TableRow], plan: TablePlan) -> list[str]:
    """What all tables have in common: cells, variants, columns, names."""
    percent = f"{100 * plan.evaluation.confidence:g} %"
    pixels = f" ({plan.evaluation.paper_window_pixels} pixels)"
    widths = {PAPER: pixels, JOINTLY_SCALED: pixels, QUANTITATIVE: ""}
    intervals = [
        f"Interval: {percent}, Student's t over the means of the test subjects; it is empty with one "
        "subject, and wide with a handful, as it must be to hold the mean that often."
    ]
    one_subject = [] if any(row.n_subjects > 1 for row in rows) else [
        "**One test subject: no interval can be given, and no difference between methods tested.**"
    ]  # fmt: skip
    return [
        f"{cell_in_words(rows, 'interval of the mean')}.",
        *(intervals if has_interval(rows) else []),
        *one_subject,
        *(f"`{variant.name}`: {variant.description}{widths[variant]}." for variant in VARIANTS),
        "Published values stand beside the variant `paper` only, beside every estimate of a method; "
        "`single` is one sample per slice, `mean_of_K` the mean of K samples, which has no more "
        "squared error than they have on average: to be compared with other means, not with single "
        "samples.",
        "Published values marked † contradict another published statement: see below the table's title.",
        *_budget(plan),
        "Iterations: of each stage of learning, one after the other. Where they differ, so may the "
        "methods or regimes for that reason alone.",
        "Spread/error: standard deviation between the samples of a slice, relative to the error of "
        "their mean, bias included (corrected for the number of samples). 1: true samples of the "
        "posterior; 0: a regression. Empty: one sample, or none to draw.",
        "NMSE due to the maximum: what of the `paper` NMSE [%] comes from dividing by maxima, of the "
        "restored image one pixel: it is not there when both images are divided by the maximum of the "
        "standard dose (`jointly_scaled`). Negative: the part of the NMSE scaled so that dividing by "
        "maxima hides.",
        "T1-only lesions: contrast in PET that the standard dose has not, % of the activity around; "
        "positive where PET rose. RMS per slice: root mean square over its lesions; the cell is a mean "
        "over slices. Nothing cancels in it, noise neither: compare with a method that never sees T1.",
        "Seeds: trainings from different seeds; slices are averaged over them first, and ± beside the "
        "number is the standard deviation of the mean PSNR over them.",
        "Setting `-` (Table 1) and `ablation` (Table 5) are the published tables' names of the "
        "published dose level; other settings carry their own name.",
    ]


def _budget(plan: TablePlan) -> list[str]:
    """What the networks were given; a study without any says nothing."""
    if not (plan.trained and plan.budget):
        return []
    return [
        f"Budget, one rule for all networks: {plan.budget}. Where the column `iterations` has other "
        "numbers, a stage of learning has those, or the protocol of the method says why; it also says "
        "which learning rate was chosen, and which method has optimiser settings of its own. Longer "
        "trainings come nearer to the published values."
    ]


def notes_on(rows: Sequence[TableRow]) -> list[str]:
    """What a reader must know before the numbers of one table."""
    notes = []
    sampled = [(row.method, row.spread_to_error) for row in rows if row.spread_to_error is not None]
    for method in dict.fromkeys(method for method, _ in sampled):
        spreads = [spread for name, spread in sampled if name == method]
        notes.append(
            f"`{method}`: samples spread by {_extremes(spreads, '.2f')} of their error, bias included "
            "(true samples of the posterior: 1); so one has "
            f"{_extremes([100 * spread**2 for spread in spreads], '.0f')} % more squared error than the "
            "mean of endless ones. Where that is little, the noise of samples explains no difference to "
            f"regression networks.{_little_spread(rows, method)}"
        )
    doubts = dict.fromkeys((row.paper_doubt, row.method) for row in rows if row.paper_doubt)
    for doubt in dict.fromkeys(doubt for doubt, _ in doubts):
        methods = ", ".join(f"`{method}`" for text, method in doubts if text == doubt)
        notes.append(f"† Published, {methods}: {doubt}.")
    return notes


def _little_spread(rows: Sequence[TableRow], method: str) -> str:
    """Where the samples of a method hardly differ, in a sentence; nothing where they do everywhere."""
    places = dict.fromkeys(
        f"{row.dataset}, setting `{row.setting}`"
        for row in rows
        if row.method == method and spreads_little(row.spread_to_error)
    )
    if not places:
        return ""
    return (
        f" Below {LITTLE_SPREAD_BELOW:g} it is {LITTLE_SPREAD}, which this does not tell apart: "
        f"{'; '.join(places)}."
    )


def _extremes(values: Sequence[float], digits: str) -> str:
    return " to ".join(dict.fromkeys(f"{value:{digits}}" for value in (min(values), max(values))))
