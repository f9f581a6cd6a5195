"""What every job is: a record, and the code that its values choose."""

from __future__ import annotations

from quietpet.config.section import Section


class Job(Section):
    """What one run of a step must know."""

    @property
    def named_code(self) -> tuple[str, ...]:
        """Modules that the step reaches by names in these settings; part of its fingerprint."""
        return ()
