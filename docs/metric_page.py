"""The page of metrics: what each measures, and the id that fixes it."""

from __future__ import annotations

from collections.abc import Iterable

from configuration import escaped

from quietpet.evaluation.comparison import TRUTH, VARIANTS, Variant
from quietpet.evaluation.metric import Metric

INTRODUCTION = """\
# Metrics

Made from `METRICS` in `src/quietpet/evaluation/metrics.py`. Each metric is measured in a variant, slice
by slice, and has an id, which stands in the column `metric_id` of `results/tables.csv` and of
`results/truth.csv`. The id is made of the rules that are applied: numbers may be compared if their ids
are the same. Here they have the default of `evaluation.paper_window_pixels`.
"""

KEYS = {
    "`ref`": "what the restored slice is compared with: the standard dose, or the true activity",
    "`scale`": "`own_max`: each image divided by its own maximum; `standard_max`: both by that of the "
    "standard dose; `units`: as they are",
    "`window`": "`central132`: the central square of so many pixels; `head_box`: a box around the head",
    "`range`": "the data range of PSNR and SSIM, after scaling: 1, or the maximum of the standard dose "
    "or of the truth; never that of the restored image, and never inferred from a type",
    "`beside`": "the other scaling, with which the share is counted",
    "`mask`": "where in the window pixels count; a tissue is that of the labels, without PET lesions",
    "`kernel`, `sigma`": "the Gaussian window of SSIM; a pixel counts if it lies inside the image",
    "`norm`": "what an error is divided by: the mean of the reference in the mask",
    "`ring`, `least`": "the ring around a lesion that its contrast is measured against, and the fewest "
    "pixels of one that counts; of tissues, the least contrast of which a recovery is measured",
    "`mean`": "over what the mean is that stands in a table",
}

TRAPS = """\
Values agree with scikit-image, MONAI and torchmetrics on the same arrays with the same data range. Tests
keep out what makes published numbers differ: without a data range, scikit-image takes 1 for floats, and
2 as soon as one pixel is negative (6 dB); torchmetrics' mean SSIM counts mirrored borders; background
of 0 counts in a mean unless masked out; a mean over slices is not the value of all their pixels.
"""

NOTES = {
    TRUTH.name: "The truth is the activity of the phantom's slice as it is stored: on the pixels of the "
    "images, in their unit, without the resolution of a scanner. So the standard dose errs, too: by its "
    "resolution (grey matter spills into white, and their means move towards each other) and its noise. "
    "It has rows of its own in `results/truth.csv`. Scans have no truth, and no such rows.",
}


def metrics_page(metrics: Iterable[Metric], *, paper_window_pixels: int) -> str:
    """One table for each variant."""
    metrics = tuple(metrics)
    sections = [
        _section(
            variant,
            [metric for metric in metrics if metric.variant == variant],
            paper_window_pixels=paper_window_pixels,
        )
        for variant in (*VARIANTS, TRUTH)
    ]
    keys = ["| key | what it fixes |", "|---|---|"]
    keys += [f"| {key} | {meaning} |" for key, meaning in KEYS.items()]
    return "\n\n".join([INTRODUCTION.strip(), "\n".join(keys), TRAPS.strip(), *sections]) + "\n"


def _section(variant: Variant, metrics: Iterable[Metric], *, paper_window_pixels: int) -> str:
    rows = ["| metric | what it is | id |", "|---|---|---|"]
    rows += [
        f"| `{metric.name}` | {escaped(_purpose(metric))} | "
        f"`{metric.id(paper_window_pixels=paper_window_pixels)}` |"
        for metric in metrics
    ]
    described = variant.description[0].upper() + variant.description[1:]
    blocks = [f"## {variant.name}", f"{described}.", NOTES.get(variant.name, ""), "\n".join(rows)]
    return "\n\n".join(filter(None, blocks))


def _purpose(metric: Metric) -> str:
    """The first line on its function."""
    first = (metric.function.__doc__ or "").splitlines()[0]
    if metric.beside is None:
        return first
    return (
        f"The part [%] that is not there with the scaling `{metric.beside.id}`; where more is there, "
        f"minus the part of that. Of: {first}"
    )
