"""How much each low dose is of the standard dose, as a number, and which data sets have several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from quietpet.acquisition.dose import decaying_minutes, relative_activity
from quietpet.config.dose_response import TRAINED_AT
from quietpet.config.doses import DoseSettings
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.dose_response import DoseAmount
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import FIRST_REPLICATE, DataSet, Scanned, Simulated
from quietpet.study.windows import span_minutes


class Crossed(NamedTuple):
    """One restoration of a test set at another dose than the one that the method learned at."""

    dataset: str
    setting: str
    trained_on: str
    method: str
    regime: str
    replicate: str


def learned_at(learning: str, trained_on: str) -> str:
    """The column ``learning`` of scores, of a method that learned at another dose if one is given."""
    return f"{learning}{TRAINED_AT}{trained_on}" if trained_on else learning


def require_doses(study: StudyContents) -> None:
    """Raise ValueError if what ``dose_response`` names is not there, or there is nothing to cross."""
    known = [f"{name}/{each}" for name, dataset in study.data_sets.items() for each in dataset.settings]
    for reference in study.dose_response.fractions:
        if reference not in known:
            raise ValueError(
                f"dose_response.fractions: no data set {reference!r}; there are {', '.join(known)}"
            )
    if study.dose_response.cross and not any(crossed(study)):
        raise ValueError(
            "dose_response.cross: no phantoms have two doses at which something learns; add a level to "
            "doses.low, or remove cross"
        )


def dose_amounts(study: StudyContents) -> tuple[DoseAmount, ...]:
    """Of every data set with two doses or more, of the same test subjects, the doses of known fraction.

    Settings with other test subjects than the most common ones would mix subjects with doses, and are
    left out; so are those of which nobody says a fraction.
    """
    return tuple(amount for dataset in study.data_sets.values() for amount in _ladder(study, dataset))


def crossed(study: StudyContents) -> Iterator[Crossed]:
    """What is restored at each dose with what was learned at another one; nothing if nobody asked."""
    if not study.dose_response.cross:
        return
    amounts = dose_amounts(study)
    for dataset in study.simulated.values():
        settings = [amount.setting for amount in amounts if amount.dataset == dataset.name]
        for setting in settings:
            for trained_on in settings:
                yield from _crossed(study, dataset, setting, trained_on)


def _crossed(
    study: StudyContents, dataset: Simulated, setting: str, trained_on: str
) -> Iterator[Crossed]:
    for method, settings in dataset.methods.items():
        for regime in dataset.regimes_of(setting, method) if settings.fitted else ():
            ours, theirs = (
                study.weights_for(dataset=dataset.name, setting=each, regime=regime)
                for each in (setting, trained_on)
            )
            # A regime may end with what was learned elsewhere, whatever is restored.
            if ours != theirs:
                yield Crossed(dataset.name, setting, trained_on, method, regime, FIRST_REPLICATE)


def _ladder(study: StudyContents, dataset: DataSet) -> list[DoseAmount]:
    by_subjects: dict[tuple[str, ...], list[DoseAmount]] = {}
    for setting in dataset.settings:
        if amount := _amount(study, dataset, setting):
            subjects = tuple(sorted(dataset.splits_of(setting).test))
            by_subjects.setdefault(subjects, []).append(amount)
    most = max(by_subjects.values(), key=len, default=[])
    return most if len({amount.fraction for amount in most}) > 1 else []


def _amount(study: StudyContents, dataset: DataSet, setting: str) -> DoseAmount | None:
    """The fraction that a setting has of the standard dose; None where nobody says."""
    if isinstance(dataset, Simulated):
        fraction, way, conditions = _simulated(dataset, setting)
    elif isinstance(dataset, Scanned):
        fraction, way, conditions = _scanned(study, dataset, setting)
    else:
        raise TypeError(f"{dataset.name}: no kind of data set whose doses are known")
    fraction = study.dose_response.fractions.get(f"{dataset.name}/{setting}", fraction)
    if fraction is None:
        return None
    return DoseAmount(
        dataset=dataset.name, setting=setting, fraction=fraction, way=way, conditions=conditions
    )


_Found = tuple[float | None, str, str]
"""Fraction, way and conditions."""


def _simulated(dataset: Simulated, setting: str) -> _Found:
    view = dataset.study
    standard, low = view.doses.standard, view.doses.low[setting]
    conditions = (
        f"{low.psf_fwhm_mm:g} mm point spread, {low.iterations} x {low.subsets} updates, "
        f"{low.post_fwhm_mm:g} mm post-filter"
    )
    if low.thinned:
        return low.thinned.fraction, f"thinned, {low.thinned.fraction_of}", conditions
    if low.scan and standard.scan:
        half_life = view.acquisition.half_life_minutes
        ours, theirs = (
            decaying_minutes(each.minutes, half_life_minutes=half_life)
            for each in (low.scan, standard.scan)
        )
        activity = relative_activity(low.scan, standard.scan, half_life_minutes=half_life)
        return activity * ours / theirs, "scan of its own", conditions
    if low.counts and standard.counts:
        slices = SCANNERS[view.scanner.model]().n_image_slices
        ours, theirs = (_volume_counts(each, slices) for each in (low, standard))
        return ours / theirs, "scan of its own", conditions
    return None, "stated", conditions


def _volume_counts(level: DoseSettings, slices_per_volume: int) -> float:
    """Expected prompts of a volume, at the middle of their range."""
    low, high = level.count_range
    return (low + high) / 2 * (1 if level.counts_per == "volume" else slices_per_volume)


def _scanned(study: StudyContents, dataset: Scanned, setting: str) -> _Found:
    """Of a window the part of the long window's time; pairs do not say what their doses are."""
    windows, window = study.in_vivo.windows, dataset.cohort.settings[setting].window
    if windows is None or window is None:
        return None, "stated", ""
    (start, end), (long_start, long_end) = (
        span_minutes(each, study) for each in (windows.low[window], windows.standard)
    )
    return (end - start) / (long_end - long_start), "window of a scan", ""
