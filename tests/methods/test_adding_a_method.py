"""A method is one folder and one line of the configuration."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from edited_package import ORIGINAL, EditedPackage, edited_package
from packed import write_splits

from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.files.tensors import read_tensors
from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of
from quietpet.study.reading import read_yaml

FOLDER = {
    "__init__.py": '"""One number times the low-dose image."""\n',
    "settings.py": '''"""Settings of the gain."""

from typing import Literal

from pydantic import Field

from quietpet.config.methods import MethodSettings


class Settings(MethodSettings):
    """A gain, learned."""

    kind: Literal["toy_gain"] = "toy_gain"
    start: float = Field(0.5, description="the gain before training")

    def describe(self) -> str:
        return f"a gain learned from {self.start}"
''',
    "model.py": '''"""One number times the low-dose image."""

import torch
from torch import nn

from quietpet.methods.base import Restorer


class Gain(Restorer):
    """The number."""

    def __init__(self, start):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(start))

    def groups(self):
        return {"network": [self.gain]}

    def loss(self, batch, group, generator):
        return (self.gain * batch.low - batch.standard).square().mean()

    def restore(self, batch, generators):
        return self.gain * batch.low


def build(settings):
    return Gain(settings.start)
''',
}
ADDED = {f"methods/toy_gain/{name}": text for name, text in FOLDER.items()}
MODEL = {"kind": "toy_gain", "start": 0.25}
NAMES = {"dataset": "phantom", "setting": "low", "method": "mine", "replicate": "r0"}
EVALUATION = {"paper_window_pixels": 48}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> EditedPackage:
    return edited_package(tmp_path_factory.mktemp("edited"), ADDED)


def test_one_line_of_the_configuration_names_it(
    package: EditedPackage, repository: Path, tmp_path: Path
) -> None:
    assert package.touched == set(ADDED)
    study = read_yaml(repository / "config.yaml")
    study["methods"]["mine"] = MODEL
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    validated = json.loads(package.run("validate", tmp_path / "config.yaml"))
    assert validated["methods"]["mine"] == {
        **MODEL, "optimiser": "common", "cost_of": None, "pet_only_of": None
    }  # fmt: skip
    schema = json.loads(package.run("schema"))
    assert "toy_gain" in json.dumps(schema["properties"]["methods"])


def test_it_is_fitted_restores_and_stands_in_the_table(package: EditedPackage, tmp_path: Path) -> None:
    packed = write_splits(tmp_path, slices=3)
    learning = {"study_seed": 1, **NAMES, "model": MODEL}
    training = {"iterations": 20, "batch_size": 3, "patch_pixels": 32, "validate_every": 10,
                "learning_rate": 0.05}  # fmt: skip
    evaluated = {"learning": "external", "evaluation": EVALUATION}
    table = {
        "protocol": "toy", "methods": {"mine": "a gain"}, "trained": ["mine"],
        "datasets": {"phantom": "simulated"}, "published_settings": [], "doses": {},
        "acquisition": "none", "rays": 1, "evaluation": EVALUATION,
    }  # fmt: skip
    made = {
        name: tmp_path / name
        for name in ("weights", "log", "card", "restored", "scores", "tables", "readable")
    }
    inference = {"pixels": 64, "batch_size": 2}
    package.run_all(
        step("fit", learning | {"training": training}, packed, ("train", "validation"),
             made, ("weights", "log", "card")),
        step("restore", learning | {"learning": "external", "inference": inference},
             packed | made, ("weights", "test"), made, ("restored",)),
        step("score", NAMES | evaluated, packed | made, ("restored", "test"), made, ("scores",)),
        step("tables", table, made, ("scores",), made, ("tables", "readable")),
    )  # fmt: skip

    gain = float(read_tensors(made["weights"])[0]["gain"])
    assert 0.9 < gain < 1.3, "the least squares of a smoothed image and its standard, from 0.25"
    with open_hdf5(packed["test"], kind="dataset") as file:
        low = read_array(file, "low")
    with open_hdf5(made["restored"], kind="restored") as file:
        np.testing.assert_allclose(read_array(file, "single"), gain * low, rtol=1e-4, atol=1e-3)
    with made["tables"].open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["method"] == "mine"]
    assert {"psnr_db", "ssim", "nmse"} <= {row["metric"] for row in rows}
    assert "| mine |" in made["readable"].read_text()


def step(name, settings, inputs, read, outputs, written):
    """One command."""
    return [
        name, "--settings", json.dumps(settings),
        "--in", *(f"{each}={inputs[each]}" for each in read),
        "--out", *(f"{each}={outputs[each]}" for each in written),
    ]  # fmt: skip


def test_nothing_else_runs_again(package: EditedPackage) -> None:
    before, after = Sources(ORIGINAL), Sources(package.folder / "quietpet")
    for roots in (
        ("stages.fit", "methods.gaussian.model"),
        ("stages.restore", "methods.unet.model"),
        ("stages.score",),
        ("stages.tables",),
    ):
        assert fingerprint_of(after, *roots) == fingerprint_of(before, *roots)


def test_the_contracts_hold_and_know_it(
    package: EditedPackage, repository: Path, tmp_path: Path
) -> None:
    """No edit of ``pyproject.toml``: methods that import each other are found, also a new one."""
    configuration = repository / "pyproject.toml"
    assert package.broken_contracts(configuration) == []
    model = "methods/toy_gain/model.py"
    borrowed = f"{ADDED[model]}\n\nfrom quietpet.methods.gaussian.model import smooth\n"
    tangled = edited_package(tmp_path, {**ADDED, model: borrowed})
    assert tangled.broken_contracts(configuration) == ["methods do not import each other"]
