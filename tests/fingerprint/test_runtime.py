"""Nothing of the package runs in a step that its fingerprint does not cover.

What runs is observed, so that this is independent of how the fingerprint reads the sources.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from packed import PIXELS, write_splits
from sinograms import PROTOCOL, SCANNER, write_sinograms

import quietpet
from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.files.named import Files
from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import reach
from quietpet.jobs.acquisition import AcquisitionJob, ReconstructJob
from quietpet.jobs.evaluation import ScoreJob
from quietpet.jobs.methods import FitJob, RestoreJob

FOLDER = Path(quietpet.__file__).parent
SOURCES = Sources(FOLDER)
OF_ORIGINS = ("quietpet.provenance", "quietpet.fingerprint")
"""They tell where a result comes from, and make none."""

FUSION = {"branches": ["global", "detail"], "channels": 4, "heads": 1, "encoder_blocks": 1}
MODELS = {
    "lpet": {"kind": "lpet"},
    "gaussian": {"kind": "gaussian"},
    "bowsher": {"kind": "bowsher", "iterations": 2, "radius_pixels": 2, "neighbours": 8},
    "fbsem": {"kind": "fbsem", "updates": 2, "kernels": 4, "layers": 2, "start": "low"},
    "unet": {"kind": "unet", "features": [8, 8, 16, 16, 16, 8], "fusion": FUSION},
    "mfdiff": {
        "kind": "mfdiff", "timesteps": 20, "sampling_steps": 2, "samples_per_slice": 2,
        "fusion": {
            "channels": 4, "heads": 1, "encoder_blocks": 1, "coupling_layers": 1, "decoder_blocks": 1,
        },
        "denoiser": {
            "channels": [8, 8, 8, 8], "attention": [False] * 4, "res_blocks": 1, "norm_groups": 4,
            "head_channels": 8,
        },
    },
}  # fmt: skip


def observed(step, job, inputs, outputs):
    """Run a step; the definitions of the package whose code ran, but for imports and fingerprints."""
    run = importlib.import_module(f"quietpet.stages.{step}").run
    ran = set()

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(FOLDER)) and not _is_apart(frame):
            parts = Path(code.co_filename).relative_to(FOLDER).with_suffix("").parts
            ran.add((".".join(("quietpet", *parts)), code.co_qualname))

    files = [
        Files({name: each if isinstance(each, list) else [each] for name, each in named.items()})
        for named in (inputs, outputs)
    ]
    sys.setprofile(note)
    try:
        run(job, *files)
    finally:
        sys.setprofile(None)
    return ran


def _is_apart(frame):
    """Whether a module is imported, a record is built when it is first used, or a fingerprint found."""
    while frame:
        code = frame.f_code
        if code.co_name == "<module>" and code.co_filename.startswith(str(FOLDER)):
            return True
        if code.co_name == "__get_pydantic_core_schema__":
            return True
        if code.co_filename.startswith(str(FOLDER / "fingerprint")):
            return True
        frame = frame.f_back
    return False


def uncovered(step, job, ran):
    reached, _ = reach(SOURCES, f"stages.{step}", *job.named_code)
    return {
        (module, name)
        for module, name in ran
        if not module.startswith(OF_ORIGINS)
        and not name.startswith("<")  # of a constant, which has no name of its own
        and not {(module, name.split(".")[0]), (module, ".".join(name.split(".")[:2]))} & reached
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observed")
    made = write_splits(folder, slices=2)
    made["train sinograms"] = write_sinograms(folder / "train_sinograms.h5", made["train"])
    made["sinograms"] = write_sinograms(folder / "validation_sinograms.h5", made["validation"])
    made["test sinograms"] = write_sinograms(folder / "test_sinograms.h5", made["test"])
    return made


@pytest.mark.usefixtures("_on_the_cpu")
@pytest.mark.parametrize("method", MODELS)
def test_learning_and_scoring(files, tmp_path, method):
    names = {"dataset": "phantom", "setting": "low", "method": method, "replicate": "r0"}
    model, measured = MODELS[method], method in ("bowsher", "fbsem")
    learns = method == "fbsem"
    acquisition = AcquisitionJob(scanner=SCANNER, protocol=PROTOCOL) if measured else None
    learned = {"study_seed": 1, **names, "model": model, "acquisition": acquisition}
    patch_pixels = None if learns else 32
    training = TrainingSettings(batch_size=2, iterations=2, validate_every=1, patch_pixels=patch_pixels)
    inference = InferenceSettings(pixels=PIXELS, batch_size=2)
    fit = FitJob(**learned, training=training, train_acquisitions=(acquisition,) if learns else ())
    inputs = {"train": files["train"], "validation": files["validation"]}
    inputs |= {"sinograms": files["sinograms"]} if measured else {}
    inputs |= {"train_sinograms": files["train sinograms"]} if learns else {}
    outputs = {name: tmp_path / name for name in ("weights", "log", "card")}
    assert uncovered("fit", fit, observed("fit", fit, inputs, outputs)) == set()

    restore = RestoreJob(**learned, learning="external", inference=inference)
    inputs = {"weights": tmp_path / "weights", "test": files["test"]}
    inputs |= {"sinograms": files["test sinograms"]} if measured else {}
    ran = observed("restore", restore, inputs, {"restored": tmp_path / "restored"})
    assert uncovered("restore", restore, ran) == set()

    score = ScoreJob(**names, learning="external", evaluation=EvaluationSettings(paper_window_pixels=48))
    inputs = {"restored": tmp_path / "restored", "test": files["test"]}
    ran = observed("score", score, inputs, {"scores": tmp_path / "scores"})
    assert len(ran) > 50
    assert uncovered("score", score, ran) == set()


@pytest.mark.usefixtures("_on_the_cpu")
def test_reconstructing(files, tmp_path):
    job = ReconstructJob(subject="04", dose="low", protocol=PROTOCOL, scanner=SCANNER)
    ran = observed(
        "reconstruct", job, {"sinograms": files["sinograms"]}, {"images": tmp_path / "images"}
    )
    assert len(ran) > 50
    assert uncovered("reconstruct", job, ran) == set()


def test_what_is_not_covered_is_found(files):
    """The observation itself sees a step's code: that of one step is not covered by another's."""
    job = ReconstructJob(subject="04", dose="low", protocol=PROTOCOL, scanner=SCANNER)
    of_reconstruct = {("quietpet.recon.slices", "osem_images")}
    assert not uncovered("reconstruct", job, of_reconstruct)
    assert uncovered("score", job, of_reconstruct) == of_reconstruct


@pytest.fixture
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("QUIETPET_DEVICE", "cpu")
