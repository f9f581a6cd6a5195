"""Jobs that show image quality against dose."""

from __future__ import annotations

from pydantic import Field

from quietpet.jobs.job import Job


class DoseAmount(Job):
    """How much of the standard dose one setting of a data set is.

    ``way`` says how it is given (thinned, a scan of its own, a window, or stated), ``conditions`` how it
    is reconstructed, where the study does that.
    """

    dataset: str
    setting: str
    fraction: float = Field(gt=0)
    way: str
    conditions: str = ""


class DoseResponseJob(Job):
    """Show image quality against dose, and the untreated dose that each method equals.

    ``amounts`` are all doses of the data sets that have several. ``methods`` are all of the study, in
    the order of the tables; ``low_dose`` those of them that are the low-dose image itself.
    """

    amounts: tuple[DoseAmount, ...] = Field(min_length=1)
    methods: tuple[str, ...]
    low_dose: tuple[str, ...]
    factors: tuple[float, ...]
    confidence: float
