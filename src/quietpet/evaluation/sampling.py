"""Quality against the cost of sampling: measurements, the choice they lead to, a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from quietpet.data.pairs import DosePair
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import NMSE, PAPER_NMSE, PAPER_PSNR, PSNR
from quietpet.evaluation.rows import Row
from quietpet.evaluation.spread import spread_to_error
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table, cell


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
class SamplingRow(Quality, Row):
    """One sampler of one method; the fields are the columns of ``sampling.csv``."""

    dataset: str
    setting: str
    method: str
    sampler: str
    spacing: str
    steps: int
    evaluations: int
    seconds_per_sample: float


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


def sampling_section(plans: Sequence[SamplingPlan], *, figure: str | None = None) -> Section:
    """Quality against sampling steps, a table for each plan; ``figure`` is the name of a file."""
    return Section(
        id="sampling",
        title="Quality against sampling steps",
        summary=" ".join(map(_proposal, plans)),
        notes=(
            "Validation slices, one sample each time, mean over slices and samples; `quantitative` "
            "unless named. The reference is DDPM at every diffusion time.",
            "`no_worse`: the fewest evaluations with a PSNR at most the tolerance below that of the "
            "reference; `alike`: at most the tolerance below or above it, for who wants the model's own "
            "samples; `best`: the most PSNR.",
            "Spread: standard deviation between samples, in % of the mean activity, and relative to the "
            "error of their mean, bias included (true samples of the posterior: 1).",
        ),
        figures=() if figure is None else (
            ShownFigure(
                file=figure,
                alt="PSNR, NMSE and spread of samples against network evaluations, a curve for each "
                "sampler and spacing, and the reference as a line.",
                caption="Quality against network evaluations, one curve per sampler and spacing; the "
                "line is DDPM at every diffusion time.",
            ),
        ),
        tables=tuple(map(_grid, plans)),
    )  # fmt: skip


def _proposal(plan: SamplingPlan) -> str:
    """What is chosen for one method, with its settings."""
    choices = "; ".join(
        f"{name}: `{{sampler: {row.sampler}, sampling_steps: {row.steps}, spacing: {row.spacing}}}`, "
        f"{row.evaluations} evaluations, {plan.difference_db(row):+.2f} dB"
        for name, row in plan.choices.items()
    )
    return f"`{plan.reference.method}` ({', '.join(_place(plan))}): {choices}."


def _grid(plan: SamplingPlan) -> Table:
    dataset, setting = _place(plan)
    return Table(
        caption=f"`{plan.reference.method}`: {dataset}, setting `{setting}`, tolerance "
        f"{plan.tolerance_db:g} dB",
        columns=(
            Column(key="sampler", label="Sampler"),
            Column(key="spacing", label="Spacing"),
            Column(key="steps", label="Steps"),
            Column(key="evaluations", label="Evaluations"),
            Column(key="psnr_db", label="PSNR", unit="dB", digits=2),
            Column(key="difference", label="Difference", unit="dB", digits=2, signed=True),
            Column(key="nmse", label="NMSE", digits=4),
            Column(key="paper_psnr_db", label="PSNR `paper`", unit="dB", digits=2),
            Column(key="spread_percent", label="Spread", unit="%", digits=1),
            Column(key="spread_to_error", label="Spread/error", digits=2),
            Column(key="seconds_per_sample", label="Seconds per sample"),
            Column(key="chosen", label="Chosen"),
        ),
        rows=tuple(_cells(plan, row) for row in plan.rows),
    )


def _cells(plan: SamplingPlan, row: SamplingRow) -> dict[str, Cell]:
    names = ("sampler", "spacing", "steps", "evaluations")
    numbers = (
        "psnr_db", "nmse", "paper_psnr_db", "spread_percent", "spread_to_error", "seconds_per_sample",
    )  # fmt: skip
    return {
        **{name: getattr(row, name) for name in names},
        **{name: cell(getattr(row, name)) for name in numbers},
        "difference": cell(plan.difference_db(row)),
        "chosen": ", ".join(name for name, chosen in plan.choices.items() if row == chosen),
    }


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
