"""What a study says of T1: which methods are variants without it, and where it may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from quietpet.config.inputs import WithoutT1
from quietpet.config.methods import MethodSettings
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import Scanned, Scored


def require_variants(study: StudyContents) -> None:
    """Raise ValueError if a method is not the variant without T1 of the one that it names."""
    for name, method in study.methods.items():
        if method.pet_only_of is None:
            continue
        key = f"methods.{name}.pet_only_of = {method.pet_only_of!r}"
        other = study.methods.get(method.pet_only_of)
        if other is None:
            raise ValueError(f"{key}: no such method; there are {', '.join(study.methods)}")
        if other.t1_use == "none":
            raise ValueError(f"{key}: that method never looks at T1 itself; name one that does")
        variant = other.on_pet_alone()
        if variant is None:
            raise ValueError(f"{key}: of that method there is none ({other.without_t1}); remove the key")
        if differing := _first_difference(method, variant):
            raise ValueError(
                f"{key}: a variant is equal to its method in all but the inputs, but {differing}; give "
                "both the same"
            )


def require_t1_where_needed(study: StudyContents) -> None:
    """Raise ValueError if what needs T1 meets scans that may lack it.

    That is a method that restores them or learns from them, and transforms that the user gives.
    """
    lacking = {name: each for name, each in study.scanned.items() if each.may_lack_t1}
    for dataset in lacking.values():
        if study.registration.engine == "file":
            raise ValueError(
                f"{_key(dataset)} = if_there, with registration.engine = file: a scan without T1 has no "
                "transform, and each must be given one; set required, or choose another engine"
            )
    for name, dataset in lacking.items():
        needing = [method for method, each in dataset.methods.items() if each.t1_use == "needed"]
        if needing:
            raise ValueError(
                f"{_key(dataset)} = if_there: scans of invivo.datasets.{name} may lack T1, which "
                f"{_named(needing)}; add to invivo.datasets.{name}.without, or set required"
            )
    for run in study.scored if lacking else ():
        if run.regime and study.methods[run.method].t1_use == "needed":
            _require_learned_with_t1(study, run, lacking)


def _require_learned_with_t1(study: StudyContents, run: Scored, lacking: Mapping[str, Scanned]) -> None:
    learning = study.learning
    for stage in learning.regimes[run.regime] if learning else ():
        for reference in learning.stages[stage].data if learning else ():
            if found := lacking.get(reference.partition("/")[0]):
                raise ValueError(
                    f"learning.stages.{stage}: under the regime {run.regime!r} methods.{run.method} "
                    f"would learn from {reference}, whose scans may lack the T1 that it needs "
                    f"({_key(found)} = if_there); leave one of the three out"
                )


def _key(dataset: Scanned) -> str:
    return f"invivo.sources.{dataset.cohort.source}.t1_presence"


def _named(methods: Sequence[str]) -> str:
    names = ", ".join(f"methods.{name}" for name in methods)
    return f"{names} {'needs' if len(methods) == 1 else 'need'}"


def without_t1(study: StudyContents) -> Iterator[WithoutT1]:
    """Every method that uses T1, with each of its variants without that the study has."""
    for name, method in study.methods.items():
        if method.t1_use == "none":
            continue
        variants = [other for other, each in study.methods.items() if each.pet_only_of == name]
        for variant in variants:
            yield WithoutT1(method=name, variant=variant, how=method.without_t1)
        if not variants:
            possible = method.on_pet_alone() is not None
            how = f"{method.without_t1}: not in this study" if possible else method.without_t1
            yield WithoutT1(method=name, variant=None, how=how)


def _first_difference(method: MethodSettings, variant: MethodSettings) -> str:
    """The first setting in which ``method`` is not the ``variant``; empty where it is."""
    found, wanted = (each.model_dump(mode="json", exclude={"pet_only_of"}) for each in (method, variant))
    for setting in dict.fromkeys([*wanted, *found]):
        if found.get(setting) != wanted.get(setting):
            return f"{setting} is {found.get(setting)!r} and should be {wanted.get(setting)!r}"
    return ""
