"""Jobs that summarise what was measured over whole subjects."""

from __future__ import annotations

from quietpet.jobs.job import Job


class SubjectsJob(Job):
    """Show what each method leaks from T1 and loses of PET, over all slices of each test subject."""

    methods: tuple[str, ...]
    confidence: float
    protocol: str
