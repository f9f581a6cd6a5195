"""The six networks of the published ablation (Table 5), as the shipped configurations describe them."""

from __future__ import annotations

import pytest
import torch

from quietpet.evaluation.published import published_methods
from quietpet.methods.registry import build
from quietpet.study.reading import load_study, read_yaml

CONFIGURATIONS = [
    "workflow/configs/ablations.yaml",
    "workflow/configs/paper.yaml",
    "workflow/configs/paper_short.yaml",
    "workflow/configs/tiny.yaml",
]
FUSED = {
    "gmunet": ("global", "global"),
    "dmunet": ("detail", "detail"),
    "cmunet": ("global", "detail"),
    "mfdiff": ("global", "detail"),
}
every_configuration = pytest.mark.parametrize("file", CONFIGURATIONS)


@pytest.fixture
def methods(repository, file):
    return load_study(read_yaml(repository / file), origin=file).methods


def parameters(settings) -> int:
    with torch.device("meta"):
        return build(settings).parameter_count


@every_configuration
def test_every_row_of_the_published_ablation_is_configured(methods):
    assert set(published_methods("5")) <= set(methods)


@every_configuration
def test_the_ablations_differ_by_what_the_paper_takes_away(methods):
    unet, munet, cmunet = (methods[name] for name in ("unet", "munet_concat", "cmunet"))
    unet = unet.model_copy(update={"pet_only_of": None})  # what a table sets it beside
    assert unet.inputs == ("low",)
    assert munet == unet.model_copy(update={"inputs": ("low", "t1")})
    assert cmunet == unet.model_copy(update={"fusion": methods["mfdiff"].fusion})
    for name, branches in FUSED.items():
        fusion = cmunet.fusion.model_copy(update={"branches": branches})
        assert methods[name].fusion == fusion
        if name != "mfdiff":
            assert methods[name] == cmunet.model_copy(update={"fusion": fusion})


@every_configuration
def test_fused_networks_have_similar_numbers_of_parameters(methods):
    """Section 5.3 replaces the branch left out by one of the other kind for this."""
    counts = [parameters(methods[name]) for name in ("gmunet", "dmunet", "cmunet")]
    assert max(counts) < 1.03 * min(counts)


@pytest.mark.parametrize("file", CONFIGURATIONS[:3])
def test_unets_have_similar_numbers_of_parameters(methods):
    counts = [
        parameters(methods[name]) for name in ("unet", "munet_concat", "gmunet", "dmunet", "cmunet")
    ]
    assert max(counts) < 1.05 * min(counts)
