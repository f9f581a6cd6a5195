"""The tables as a page to read: what was compared, on what, and how far the numbers carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from quietpet.data_source import has_template_heads, is_simulated, is_standin
from quietpet.evaluation.comparison import JOINTLY_SCALED, PAPER, QUANTITATIVE, VARIANTS, Variant
from quietpet.evaluation.layouts import IN_VIVO, layouts
from quietpet.evaluation.metrics import METRICS, Metric
from quietpet.evaluation.sampling import SamplingPlan, render_sampling
from quietpet.evaluation.spread import REGRESSION_BELOW, in_effect_a_regression
from quietpet.evaluation.tables import TablePlan, TableRow
from quietpet.files.text import markdown_row

PUBLISHED_METRICS = ("psnr_db", "ssim", "nmse")

_DIGITS = {(metric.name, metric.variant.name): metric.digits for metric in METRICS}

TEMPLATE_WARNING = (
    "> **WARNING - phantoms: ICBM152 template, not BrainWeb; not comparable with the published values. "
    "Its subjects are warps of one brain, which networks can learn by heart.**"
)

STANDIN_WARNING = (
    "> **WARNING - scans: simulated (stand-ins); nobody was scanned, and no row of them is in vivo.**"
)

DEVIATIONS = (
    "The published counts fit as totals per 127-slice volume: taken per slice they would put the "
    "low-dose images far above the published ones.",
    "The published text states neither scaling, window nor data range. `paper` is our reading: scaling "
    "and window were chosen, with counts and resolution, to bring the unprocessed low dose to its "
    "published row; agreement of that row is therefore no confirmation.",
    "Published PSNR and NMSE seem not to share one window: 10^(-PSNR/10)/NMSE is 0.044 for lpet and "
    "0.020 for mfdiff in Table 1, where one window would give nearly one number. NMSE does not "
    "depend on an empty margin; but in `paper` dividing by one pixel, the maximum, costs the share "
    "given in the tables. To rank methods, read `quantitative`.",
)


def render(
    rows: Sequence[TableRow],
    *,
    plan: TablePlan,
    sampling: Sequence[SamplingPlan] = (),
    sections: Sequence[str] = (),
) -> str:
    """The tables as Markdown, and after them ``sections`` and quality against sampling steps, if any."""
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    blocks = [
        "# Results",
        *_warnings(rows),
        _legend(rows, plan),
        *(
            block
            for table, members in _by_table(rows)
            for block in _table(table, titles[table], members)
        ),
        *filter(None, sections),
        *([render_sampling(sampling)] if sampling else []),
        _claim(rows),
        _known_deviations(rows, plan),
    ]
    return "\n\n".join(blocks) + "\n"


def _warnings(rows: Iterable[TableRow]) -> list[str]:
    sources = {row.data_source for row in rows}
    template = [TEMPLATE_WARNING] if any(map(has_template_heads, sources)) else []
    return [*template, *([STANDIN_WARNING] if any(map(is_standin, sources)) else [])]


def _legend(rows: Sequence[TableRow], plan: TablePlan) -> str:
    percent = f"{100 * plan.evaluation.confidence:g} %"
    pixels = f" ({plan.evaluation.paper_window_pixels} pixels)"
    widths = {PAPER: pixels, JOINTLY_SCALED: pixels, QUANTITATIVE: ""}
    one_subject = [] if any(row.n_subjects > 1 for row in rows) else [
        "**One test subject: no interval can be given, and no difference between methods tested.**"
    ]  # fmt: skip
    lines = [
        "Each cell: mean ± standard deviation over test slices [interval of the mean].",
        f"Interval: {percent}, Student's t over the means of the test subjects; it is empty with one "
        "subject, and wide with a handful, as it must be to hold the mean that often.",
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
    return "\n".join(f"- {line}" for line in lines)


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


def _table(table: str, title: str, rows: Sequence[TableRow]) -> Iterator[str]:
    if any(is_standin(row.data_source) for row in rows):
        title = title.replace(IN_VIVO, f"SIMULATED scans, in place of {IN_VIVO}")
    yield "\n".join([f"## Table {table}: {title}", *_notes(rows)])
    for (_, setting), of_setting in groupby(rows, key=lambda row: (row.dataset, row.setting)):
        members = list(of_setting)
        first = members[0]
        yield (
            f"### {first.dataset}{_simulated(first)}, setting `{setting}`\n\n"
            f"{first.n_subjects} test subject(s), {first.n_slices} slices; data source: "
            f"{first.data_source}, projector: {first.projector}, registration: {first.registration}."
        )
        for variant in VARIANTS:
            if of_variant := [row for row in members if row.variant == variant.name]:
                yield _grid(variant, of_variant)


def _simulated(row: TableRow) -> str:
    return " (simulated scans)" if is_standin(row.data_source) else ""


def _notes(rows: Sequence[TableRow]) -> list[str]:
    """What a reader must know before the numbers of one table, each line after an empty one."""
    notes = []
    sampled = [(row.method, row.spread_to_error) for row in rows if row.spread_to_error is not None]
    for method in dict.fromkeys(method for method, _ in sampled):
        spreads = [spread for name, spread in sampled if name == method]
        notes.append(
            f"`{method}`: samples spread by {_extremes(spreads, '.2f')} of their error, bias included "
            "(true samples of the posterior: 1); so one has "
            f"{_extremes([100 * spread**2 for spread in spreads], '.0f')} % more squared error than the "
            "mean of endless ones. Where that is little, differences to regression networks show other "
            f"losses, inputs and sizes, not what sampling does.{_regressions(rows, method)}"
        )
    doubts = dict.fromkeys((row.paper_doubt, row.method) for row in rows if row.paper_doubt)
    for doubt in dict.fromkeys(doubt for doubt, _ in doubts):
        methods = ", ".join(f"`{method}`" for text, method in doubts if text == doubt)
        notes.append(f"† Published, {methods}: {doubt}.")
    return [line for note in notes for line in ("", note)]


def _regressions(rows: Sequence[TableRow], method: str) -> str:
    """Where the samples of a method hardly differ, in a sentence; nothing where they do everywhere."""
    places = dict.fromkeys(
        f"{row.dataset}, setting `{row.setting}`"
        for row in rows
        if row.method == method and in_effect_a_regression(row.spread_to_error)
    )
    if not places:
        return ""
    return (
        f" Below {REGRESSION_BELOW:g} it is in effect a regression, whatever the cause: "
        f"{'; '.join(places)}."
    )


def _extremes(values: Sequence[float], digits: str) -> str:
    return " to ".join(dict.fromkeys(f"{value:{digits}}" for value in (min(values), max(values))))


def _grid(variant: Variant, rows: Sequence[TableRow]) -> str:
    """Methods (and estimates) down, metrics across."""
    found = {row.metric for row in rows}
    metrics = [metric for metric in METRICS if metric.variant == variant and metric.name in found]
    header = [
        "method", "learning", "iterations", "estimate", *(metric.label for metric in metrics),
        "spread/error", "seeds",
    ]  # fmt: skip
    if variant == PAPER:
        header.append("published: PSNR, SSIM, NMSE")
    lines = [f"Variant `{variant.name}`\n", markdown_row(header), markdown_row(["---"] * len(header))]
    for _, members in groupby(rows, key=lambda row: (row.method, row.learning, row.estimate)):
        lines.append(markdown_row(_grid_cells(variant, metrics, {row.metric: row for row in members})))
    return "\n".join(lines)


def _grid_cells(
    variant: Variant, metrics: Sequence[Metric], by_metric: dict[str, TableRow]
) -> list[str]:
    first = next(iter(by_metric.values()))
    psnr = by_metric["psnr_db"]
    spread = "" if psnr.seed_std is None else f" (± {psnr.seed_std:.2f} dB)"
    cells = [first.method, first.learning, first.iterations, first.estimate]
    cells += [_ours(by_metric[metric.name]) if metric.name in by_metric else "" for metric in metrics]
    cells.append("" if first.spread_to_error is None else f"{first.spread_to_error:.2f}")
    cells.append(f"{first.n_replicates}{spread}")
    if variant == PAPER:
        published = (_published(by_metric[name]) for name in PUBLISHED_METRICS)
        cells.append(", ".join(text for text in published if text))
    return cells


def _ours(row: TableRow) -> str:
    digits = _DIGITS[row.metric, row.variant]
    text = f"{row.mean:.{digits}f}"
    if row.std is not None:
        text += f" ± {row.std:.{digits}f}"
    if row.ci_low is not None:
        text += f" [{row.ci_low:.{digits}f}, {row.ci_high:.{digits}f}]"
    return text


def _published(row: TableRow) -> str:
    if row.paper_mean is None:
        return ""
    digits = _DIGITS[row.metric, row.variant]
    doubt = "†" if row.paper_doubt else ""
    return f"{row.paper_mean:.{digits}f} ± {row.paper_std:.{digits}f}{doubt}"


def _claim(rows: Sequence[TableRow]) -> str:
    """The claim and its limits, as RELAINCE asks for them."""
    subjects = sorted({row.n_subjects for row in rows})
    settings = sorted({f"{row.dataset}/{row.setting}{_simulated(row)}" for row in rows})
    sources = sorted({row.data_source for row in rows})
    counts = " or ".join(str(count) for count in subjects)
    simulated = all(map(is_simulated, sources))
    return "\n".join(
        [
            "## Claim, after RELAINCE (J Nucl Med 2022;63:1288)",
            "",
            f"- Compared: fidelity of restored transaxial slices to the standard dose, "
            f"{', '.join(settings)}.",
            f"- Data: source {', '.join(map(_source, sources))}; {counts} test subject(s), none of whom "
            "trained or validated a network. Slices and rotations of a subject are not independent.",
            *(["- All data are simulated: nothing is shown in vivo."] if simulated else []),
            "- Technical evaluation only: no reader and no detection task was tested; a better PSNR, "
            "SSIM or NMSE does not show a better diagnosis.",
            "- The reference is itself a noisy reconstruction. Nothing here extends to other scanners, "
            "tracers, doses or patients than those listed.",
        ]
    )


def _source(data_source: str) -> str:
    if is_standin(data_source):
        return f"{data_source} (simulated scans of digital heads)"
    return f"{data_source} (simulated phantoms)" if is_simulated(data_source) else data_source


def _known_deviations(rows: Sequence[TableRow], plan: TablePlan) -> str:
    scored = {row.method for row in rows}
    lines = [*DEVIATIONS]
    if any(row.projector == "embedded" for row in rows):
        lines.append(
            f"Embedded projector: two-dimensional, {plan.rays} ray(s) per bin, {plan.acquisition}."
        )
    if any(row.projector == "sirf" for row in rows):
        lines.append(f"Projector of STIR through SIRF: direct planes, {plan.acquisition}.")
    lines += [f"{note}." for note in plan.physics]
    lines += [f"Dose {name}: {text}." for name, text in plan.doses.items()]
    lines += [
        f"{name} ({plan.protocol}): {text}." for name, text in plan.methods.items() if name in scored
    ]
    if absent := [name for name in plan.methods if name not in scored]:
        lines.append(f"Configured, but not scored: {', '.join(absent)}.")
    return "\n".join(["## Known deviations and protocol", "", *(f"- {line}" for line in lines)])


def _by_table(rows: Iterable[TableRow]) -> Iterator[tuple[str, list[TableRow]]]:
    for table, members in groupby(rows, key=lambda row: row.table):
        yield table, list(members)
