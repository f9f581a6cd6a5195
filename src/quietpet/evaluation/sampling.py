"""Quality against the cost of sampling: measurements, the choice they lead to, a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import Any

import numpy as np

from quietpet.data.pairs import DosePair
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metrics import NMSE, PAPER_NMSE, PAPER_PSNR, PSNR, Metric
from quietpet.evaluation.spread import spread_to_error
from quietpet.files.text import csv_cell, markdown_row


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Means over slices and samples; PSNR and NMSE in the variant ``quantitative`` unless named.

    ``spread_percent``: root mean square, over the pixels of the heads, of the standard deviation
    between the samples of a slice, in % of the mean standard-dose activity there. It tells whether a
    sampler draws what the reference draws, which PSNR does not: means of samples have more.
    ``spread_to_error`` as in :func:`quietpet.evaluation.spread.spread_to_error`, over the same pixels.
    """

    psnr_db: float
    nmse: float
    paper_psnr_db: float
    paper_nmse: float
    spread_percent: float
    spread_to_error: float | None


@dataclass(frozen=True, kw_only=True)
class SamplingRow(Quality):
    """One sampler of one method; the fields are the columns of ``sampling.csv``."""

    dataset: str
    setting: str
    method: str
    sampler: str
    spacing: str
    steps: int
    evaluations: int
    seconds_per_sample: float

    def cells(self) -> dict[str, str]:
        """The row as text, numbers to six significant digits."""
        return {name: csv_cell(value) for name, value in asdict(self).items()}


SAMPLING_COLUMNS = (
    "dataset", "setting", "method", "sampler", "spacing", "steps", "evaluations",
    *(field.name for field in fields(Quality)), "seconds_per_sample",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SamplingPlan:
    """All samplers of one method on one data set, the reference first."""

    rows: tuple[SamplingRow, ...]
    tolerance_db: float

    @property
    def reference(self) -> SamplingRow:
        """DDPM at every diffusion time."""
        return self.rows[0]

    @property
    def no_worse(self) -> SamplingRow:
        """The fewest network evaluations whose PSNR is at most the tolerance below the reference's.

        Of equal cost, that of most PSNR. One step estimates the mean of all samples from noise alone,
        which often has more PSNR than a sample.
        """
        fair = [row for row in self.rows if self.difference_db(row) >= -self.tolerance_db]
        return min(fair, key=lambda row: (row.evaluations, -row.psnr_db))

    @property
    def alike(self) -> SamplingRow:
        """The same, but with a PSNR at most the tolerance above it, too; of equal cost, the nearest."""
        near = [row for row in self.rows if abs(self.difference_db(row)) <= self.tolerance_db]
        return min(near, key=lambda row: (row.evaluations, abs(self.difference_db(row))))

    @property
    def best(self) -> SamplingRow:
        """The most PSNR of all."""
        return max(self.rows, key=lambda row: row.psnr_db)

    @property
    def choices(self) -> dict[str, SamplingRow]:
        """What the plan proposes, by the name of the criterion."""
        return {"no_worse": self.no_worse, "alike": self.alike, "best": self.best}

    def record(self) -> dict[str, Any]:
        """What the file of a plan holds, which :func:`plan_of` reads back."""
        return {
            "choices": {name: asdict(row) for name, row in self.choices.items()},
            "tolerance_db": self.tolerance_db,
            "rows": [asdict(row) for row in self.rows],
        }

    def difference_db(self, row: SamplingRow) -> float:
        """PSNR of ``row`` above that of the reference [dB]."""
        return row.psnr_db - self.reference.psnr_db


def quality(
    samples: Sequence[np.ndarray], pairs: Sequence[DosePair], *, paper_window_pixels: int
) -> Quality:
    """Quality of the ``samples``, two or more arrays (slice, y, x) in the units of ``pairs``."""

    def mean(metric: Metric) -> float:
        values = [
            metric.measure(_beside(pair, image), paper_window_pixels=paper_window_pixels)
            for images in samples
            for pair, image in zip(pairs, images, strict=True)
        ]
        return float(np.mean(values))

    heads = np.stack([pair.head > 0 for pair in pairs])
    standard = np.stack([pair.standard for pair in pairs])[heads].astype(np.float64)
    drawn = np.stack(samples)[:, heads].astype(np.float64)
    deviation = drawn.std(axis=0, ddof=1)
    return Quality(
        psnr_db=mean(PSNR),
        nmse=mean(NMSE),
        paper_psnr_db=mean(PAPER_PSNR),
        paper_nmse=mean(PAPER_NMSE),
        spread_percent=float(100 * np.sqrt(np.mean(deviation**2)) / standard.mean()),
        spread_to_error=spread_to_error(drawn.mean(axis=0), deviation, standard, samples=len(samples)),
    )


def plan_of(record: Mapping[str, Any]) -> SamplingPlan:
    """The plan of a JSON file of the stage ``plan``."""
    rows = tuple(SamplingRow(**row) for row in record["rows"])
    return SamplingPlan(rows=rows, tolerance_db=record["tolerance_db"])


def render_sampling(plans: Sequence[SamplingPlan]) -> str:
    """The plans as Markdown, without a heading of the first level."""
    blocks = [
        "## Quality against sampling steps",
        "Validation slices, one sample each time, mean over slices and samples; `quantitative` unless "
        "named. The reference is DDPM at every diffusion time. `no_worse`: the fewest evaluations "
        "with a PSNR at most the tolerance below that of the reference; `alike`: at most the tolerance "
        "below or above it, for who wants the model's own samples; `best`: the most PSNR. Spread: "
        "standard deviation between samples, in % of the mean activity, and relative to the error of "
        "their mean, bias included (true samples of the posterior: 1).",
    ]
    for (dataset, setting), members in groupby(plans, key=_place):
        blocks += [f"### {dataset}, setting `{setting}`", *map(_grid, members)]
    return "\n\n".join(blocks)


def _grid(plan: SamplingPlan) -> str:
    choices = [
        f"- {name}: `{{sampler: {row.sampler}, sampling_steps: {row.steps}, spacing: {row.spacing}}}`, "
        f"{row.evaluations} evaluations, {plan.difference_db(row):+.2f} dB"
        for name, row in plan.choices.items()
    ]
    header = (
        "sampler", "spacing", "steps", "evaluations", "PSNR (dB)", "difference (dB)", "NMSE",
        "PSNR `paper` (dB)", "spread (%)", "spread/error", "s per sample", "",
    )  # fmt: skip
    lines = [
        f"`{plan.reference.method}`, tolerance {plan.tolerance_db:g} dB:\n",
        *choices,
        "",
        markdown_row(header),
        markdown_row(["---"] * len(header)),
    ]
    for row in plan.rows:
        marks = ", ".join(name for name, chosen in plan.choices.items() if row == chosen)
        lines.append(
            markdown_row(
                (
                    row.sampler, row.spacing, row.steps, row.evaluations, f"{row.psnr_db:.2f}",
                    f"{plan.difference_db(row):+.2f}", f"{row.nmse:.4f}", f"{row.paper_psnr_db:.2f}",
                    f"{row.spread_percent:.1f}",
                    "" if row.spread_to_error is None else f"{row.spread_to_error:.2f}",
                    f"{row.seconds_per_sample:.3g}", marks,
                )
            )
        )  # fmt: skip
    return "\n".join(lines)


def _place(plan: SamplingPlan) -> tuple[str, str]:
    return plan.reference.dataset, plan.reference.setting


def _beside(pair: DosePair, restored: np.ndarray) -> SliceImages:
    return SliceImages(
        restored=restored,
        standard=pair.standard,
        t1=pair.t1,
        head=pair.head > 0,
        pet_lesions=pair.pet_lesions,
        t1_lesions=pair.t1_lesions,
    )
