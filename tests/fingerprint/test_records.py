"""What lets the fingerprint leave out what makes records of JSON: they are their fields, and no more."""

from __future__ import annotations

import pytest

from quietpet.config.section import Section
from quietpet.steps import STEPS


def records(kind=Section):
    """Every record of settings and jobs that the table of steps loads, those of methods among them."""
    for each in kind.__subclasses__():
        yield each
        yield from records(each)


@pytest.mark.parametrize("record", sorted(set(records()), key=str), ids=lambda each: each.__qualname__)
def test_a_record_has_no_state_beside_its_fields(record):
    """A step gets a record as JSON: what its validators do to values is in there, as a parameter."""
    assert record.model_config["frozen"]
    assert not record.__private_attributes__
    assert "__init__" not in vars(record)
    assert not [name for name, field in record.model_fields.items() if field.exclude]


def test_the_jobs_of_all_steps_are_records():
    assert {step.job for step in STEPS.values()} <= set(records())
