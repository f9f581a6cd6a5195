"""What the figures of images need of a study."""

from __future__ import annotations

from quietpet.study.contents import StudyContents


def require_gallery(study: StudyContents) -> None:
    """Raise ValueError if what ``report.gallery`` names is not there, or no method restores it."""
    known = {
        f"{name}/{setting}": dataset
        for name, dataset in study.data_sets.items()
        for setting in dataset.settings
    }
    for reference in study.report.gallery or ():
        if reference not in known:
            raise ValueError(f"report.gallery: no data set {reference!r}; there are {', '.join(known)}")
        if not set(known[reference].methods) - set(study.low_dose_images):
            raise ValueError(
                f"report.gallery: no method restores {reference}; add one to methods, or leave it out"
            )
