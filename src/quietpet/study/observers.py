"""What the section `observers` needs of a study."""

from __future__ import annotations

from quietpet.config.observers import LEAST_COUNT
from quietpet.study.contents import StudyContents


def require_observers(study: StudyContents) -> None:
    """Raise ValueError if lesions cannot be looked for as ``observers`` says."""
    if study.realisations and study.realisations.count < LEAST_COUNT:
        raise ValueError(
            f"realisations.count = {study.realisations.count}: one half trains the observers that read "
            f"the other one, which takes {LEAST_COUNT}; set that or more"
        )
    usual = study.observers.compare_with
    if usual is not None and usual not in study.methods:
        raise ValueError(
            f"observers.compare_with: no method {usual!r}; there are {', '.join(study.methods)}"
        )
