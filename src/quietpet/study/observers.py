"""What the section `observers` needs of a study."""

from __future__ import annotations

from quietpet.study.contents import StudyContents


def require_observers(study: StudyContents) -> None:
    """Raise ValueError if areas are compared with those of a method that is not there."""
    usual = study.observers.compare_with
    if usual is not None and usual not in study.methods:
        raise ValueError(
            f"observers.compare_with: no method {usual!r}; there are {', '.join(study.methods)}"
        )
