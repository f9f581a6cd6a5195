"""A sampler is one file: settings, samples, tables, the plan and the fingerprint find it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from edited_package import ORIGINAL, EditedPackage, edited_package
from packed import write_splits
from small_networks import RESIDUAL_MFDIFF

from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of
from quietpet.study.reading import read_yaml

FILE = "diffusion/samplers/toy_renewed.py"
TEXT = '''"""Estimates of x_0, each under fresh noise."""

from quietpet.diffusion.sampler import Sampler


def sample(denoise, walk, draw):
    """Fresh noise on each estimate, of order unknown."""
    noisy = draw()
    for stride in walk.strides:
        noisy = stride.there.noisy(denoise(noisy, stride.start), draw())
    return noisy


SAMPLER = Sampler(sample=sample, words="Renewed", spacings=("quadratic",))
'''
MODEL = {**RESIDUAL_MFDIFF, "timesteps": 20}
NAMES = {"dataset": "phantom", "setting": "low", "method": "mfdiff", "replicate": "r0"}
LEARNING = {"study_seed": 1, **NAMES}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> EditedPackage:
    return edited_package(tmp_path_factory.mktemp("edited"), {FILE: TEXT})


def test_the_configuration_knows_it(package: EditedPackage, repository: Path, tmp_path: Path) -> None:
    assert package.touched == {FILE}
    study = read_yaml(repository / "config.yaml")
    study["methods"]["mfdiff"]["sampler"] = "toy_renewed"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    validated = json.loads(package.run("validate", tmp_path / "config.yaml"))
    assert validated["methods"]["mfdiff"]["sampler"] == "toy_renewed"
    assert validated["planner"]["spacings"]["toy_renewed"] == ["quadratic"]
    assert "toy_renewed: Fresh noise on each estimate, of order unknown" in package.run("schema")


def test_it_samples_and_is_planned(package: EditedPackage, tmp_path: Path) -> None:
    packed = write_splits(tmp_path, slices=2)
    training = {"iterations": 2, "batch_size": 2, "patch_pixels": 32, "validate_every": 2}
    inference = {"pixels": 64, "batch_size": 2}
    planner = {"slices": 2, "evaluations": [3], "spacings": {"toy_renewed": ["quadratic"]}}

    def command(step, settings, inputs, outputs):
        return [
            step, "--settings", json.dumps({**LEARNING, **settings}),
            "--in", *(f"{name}={path}" for name, path in inputs.items()),
            "--out", *(f"{name}={tmp_path / path}" for name, path in outputs.items()),
        ]  # fmt: skip

    def restoring(sampler, steps):
        model = {**MODEL, "sampler": sampler, "sampling_steps": steps}
        settings = {"model": model, "learning": "external", "inference": inference}
        files = {"weights": tmp_path / "weights", "test": packed["test"]}
        return command("restore", settings, files, {"restored": f"{sampler}{steps}.h5"})

    model = {**MODEL, "sampler": "toy_renewed", "sampling_steps": 3}
    learned = {name: packed[name] for name in ("train", "validation")}
    plan = {"model": model, "inference": inference, "planner": planner, "paper_window_pixels": 48}
    package.run_all(
        command("fit", {"model": model, "training": training}, learned,
                {"weights": "weights", "log": "log", "card": "card"}),
        *(restoring(sampler, steps) for sampler in ("toy_renewed", "ddim") for steps in (1, 3)),
        command("plan", plan, {"weights": tmp_path / "weights", "validation": packed["validation"]},
                {"plan": "plan.json"}),
    )  # fmt: skip

    images = {}
    for path in tmp_path.glob("*[13].h5"):
        with open_hdf5(path, kind="restored") as file:
            images[path.stem] = read_array(file, "single")
    # One stride of any sampler is the first estimate of the same noise; of three, the noise differs.
    np.testing.assert_allclose(images["toy_renewed1"], images["ddim1"], rtol=1e-5, atol=1e-4)
    assert np.abs(images["toy_renewed3"] - images["ddim3"]).max() > 0.005
    assert "Renewed 3 steps" in (tmp_path / "card").read_text()
    rows = json.loads((tmp_path / "plan.json").read_text())["rows"]
    assert [(row["spacing"], row["evaluations"]) for row in rows if row["sampler"] == "toy_renewed"] == [
        ("quadratic", 3)
    ]


def test_methods_that_do_not_draw_with_it_run_nothing_again(package: EditedPackage) -> None:
    before, after = Sources(ORIGINAL), Sources(package.folder / "quietpet")
    own = ("methods.mfdiff.model", "methods.mfdiff.settings")
    for step, sampler in (("fit", "dpmpp_2m"), ("restore", "ddpm")):
        roots = (f"stages.{step}", *own, f"diffusion.samplers.{sampler}")
        assert fingerprint_of(after, *roots) == fingerprint_of(before, *roots)
