"""Jobs that measure the uncertainty of methods that sample."""

from __future__ import annotations

from quietpet.config.uncertainty import UncertaintySettings
from quietpet.jobs.job import Job


class UncertaintyJob(Job):
    """Measure what samples say of their own errors.

    ``methods`` are all of the study, in the order of the tables.
    """

    methods: tuple[str, ...]
    uncertainty: UncertaintySettings
    confidence: float
