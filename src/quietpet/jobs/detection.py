"""Jobs that look for known lesions in noise realisations."""

from __future__ import annotations

from quietpet.config.observers import ChannelSettings
from quietpet.jobs.job import Job
from quietpet.jobs.methods import MethodJob


class ObserveJob(MethodJob):
    """Let model observers look for known lesions in restored noise realisations."""

    learning: str
    channels: ChannelSettings


class DetectionJob(Job):
    """Show how well model observers find lesions after each method: areas under ROC curves.

    ``compare_with`` is the method whose areas the others' are compared with; none: nothing is compared.
    """

    methods: tuple[str, ...]
    compare_with: str | None
    channels: ChannelSettings
    confidence: float
    protocol: str
