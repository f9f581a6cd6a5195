"""Jobs that score restored slices and write the tables."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.datasets import DatasetKind
from quietpet.config.evaluation import EvaluationSettings, MetricSettings
from quietpet.config.inputs import WithoutT1
from quietpet.jobs.job import Job
from quietpet.jobs.methods import MethodJob


class ScoreJob(MethodJob):
    """Compare restored test slices with the standard dose."""

    learning: str
    evaluation: MetricSettings


class CohortsJob(Job):
    """Compare regional activity of healthy and diseased cohorts, restored by every method."""

    healthy: str
    diseased: tuple[str, ...]
    reference: str
    confidence: float
    protocol: str
    methods: tuple[str, ...]
    learned: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


class TruthJob(Job):
    """Compare every method, and the standard dose itself, with the true activity of phantoms.

    ``low_dose`` are the methods that are the low-dose image itself.
    """

    methods: tuple[str, ...]
    regimes: tuple[str, ...] = ()
    evaluation: EvaluationSettings
    low_dose: tuple[str, ...] = ()


class TablesJob(Job):
    """Aggregate all scores into the tables."""

    protocol: str
    methods: dict[str, str]
    datasets: dict[str, DatasetKind]
    regimes: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    iterations: dict[str, dict[str, dict[str, str]]] = Field({})
    budget: str = ""
    published_settings: tuple[str, ...]
    doses: dict[str, str]
    acquisition: str
    physics: tuple[str, ...] = ()
    rays: int
    without_t1: tuple[WithoutT1, ...] = ()
    reference: str = ""
    evaluation: EvaluationSettings


class ExportJob(TablesJob):
    """Print and draw each table by itself."""


class GalleryJob(Job):
    """Show one test slice, restored by every method.

    ``low_dose`` are the methods that are the low-dose image itself.
    """

    dataset: str
    setting: str
    low_dose: tuple[str, ...] = ()


class ReportJob(Job):
    """Put all sections and figures, and how they were made, on one page.

    ``facts`` are what the study is, by name. ``logs`` is the folder of the jobs' logs; empty: none.
    """

    title: str
    facts: dict[str, str] = Field({})
    methods: tuple[str, ...] = ()
    logs: str = ""
