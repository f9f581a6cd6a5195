"""What methods ask: names, sizes of images and batches, iterations of equal cost.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from quietpet.config.method_kinds import method_kinds
from quietpet.config.methods import require_batch
from quietpet.study.contents import StudyContents


def require_method_names(study: StudyContents) -> None:
    """No method has the name of another kind."""
    kinds = method_kinds()
    for name, method in study.methods.items():
        if name in kinds and method.kind != name:
            raise ValueError(
                f"methods.{name} has kind = {method.kind!r}, but {name} is itself a kind of method: its "
                "rows would be taken for that one's; choose another name"
            )


def require_reference(study: StudyContents) -> None:
    """The method that others are compared with is one of the study."""
    name = study.evaluation.compare_with
    if name is not None and name not in study.methods:
        raise ValueError(
            f"evaluation.compare_with = {name!r} is no method of this study; name one of "
            f"{', '.join(study.methods)}, or leave it out"
        )


def require_sizes(study: StudyContents) -> None:
    """Images are cut from larger ones, to sides that the methods take."""
    for name, pixels in (
        ("training.patch_pixels", study.training.patch_pixels or 0),
        ("inference.pixels", study.inference.pixels),
        ("evaluation.paper_window_pixels", study.evaluation.paper_window_pixels),
    ):
        if pixels > study.datasets.pixels:
            raise ValueError(
                f"{name} = {pixels} is larger than datasets.pixels = {study.datasets.pixels}, "
                "the image it is cut from"
            )
    trained_on = study.training.patch_pixels or study.datasets.pixels
    for name, method in study.methods.items():
        for pixels in (trained_on, study.inference.pixels):
            if pixels % method.divisor:
                raise ValueError(
                    f"methods.{name} takes images whose sides are multiples of {method.divisor}, "
                    f"not {pixels} (training.patch_pixels or datasets.pixels, inference.pixels)"
                )


def require_batches(study: StudyContents) -> None:
    """Batches are as large as the methods need."""
    for name, method in study.methods.items():
        try:
            own = method.own_training
        except ValueError as error:
            raise ValueError(f"methods.{name}: {error}") from None
        batch_size = (own and own.batch_size) or study.training.batch_size
        require_batch(method, batch_size, f"methods.{name}")


def require_costs(study: StudyContents) -> None:
    """Methods that share a cost of training are trained, and their costs are given."""
    for name in study.training_costs:
        if name not in study.methods:
            raise ValueError(f"training_costs: no method {name!r}; there are {', '.join(study.methods)}")
        if (trained := study.trained_as(name)) != name:
            raise ValueError(
                f"training_costs.{name}: restores by the training of {trained!r} and has no cost "
                f"of its own; name {trained!r}, or remove it"
            )
    for name, method in study.methods.items():
        if method.cost_of is None:
            continue
        key = f"methods.{name}.cost_of = {method.cost_of!r}"
        other = study.methods.get(method.cost_of)
        if other is None:
            raise ValueError(f"{key}: no such method; there are {', '.join(study.methods)}")
        if method.cost_of == name:
            raise ValueError(f"{key}: is this method itself; name another, or remove it")
        if not (method.trained and other.trained):
            raise ValueError(f"{key}: a method that is not trained has no iterations; remove it")
        if other.cost_of is not None:
            raise ValueError(
                f"{key}: has the iterations of another method itself; name that, {other.cost_of!r}"
            )
        for needed in map(study.trained_as, (name, method.cost_of)):
            if needed not in study.training_costs:
                raise ValueError(
                    f"{key}: training_costs lacks {needed!r}; add the core seconds of 1000 of its "
                    "iterations, 1000 divided by iterations_per_s of a training.csv"
                )
