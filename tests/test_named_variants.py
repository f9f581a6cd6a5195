"""Every study names its variants without T1, so that its tables set both beside each other."""

from __future__ import annotations

import pytest

from quietpet.study.reading import load_study, read_yaml


def configurations(repository):
    return [repository / "config.yaml", *sorted((repository / "workflow" / "configs").glob("*.yaml"))]


def without_name(settings):
    return settings.model_dump(mode="json", exclude={"pet_only_of"})


def unnamed(study):
    """Methods that are equal to the variant without T1 of another one, and do not say so."""
    for name, method in study.methods.items():
        variant = method.on_pet_alone() if method.t1_use != "none" else None
        for other, settings in study.methods.items():
            if (
                variant
                and settings.pet_only_of is None
                and without_name(variant) == without_name(settings)
            ):
                yield f"{other} of {name}"


def test_every_variant_without_t1_is_named(repository):
    paths = configurations(repository)
    assert len(paths) > 5
    found = {path.name: [*unnamed(load_study(read_yaml(path), origin=path.name))] for path in paths}
    assert {name: pairs for name, pairs in found.items() if pairs} == {}


@pytest.mark.parametrize("named", [True, False])
def test_an_unnamed_variant_is_found(repository, named):
    raw = read_yaml(repository / "workflow" / "configs" / "tiny.yaml")
    raw["methods"]["unet"].pop("pet_only_of", None)
    if named:
        raw["methods"]["unet"]["pet_only_of"] = "munet_concat"
    found = [*unnamed(load_study(raw, origin="tiny.yaml"))]
    assert found == ([] if named else ["unet of munet_concat"])
