"""The public functions: the examples of their page, what the steps make of the same, and physics."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from packed import write_packed, write_splits
from small_networks import MFDIFF, UNET

import quietpet
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings, write_hdf5
from quietpet.files.named import Files
from quietpet.jobs.evaluation import ScoreJob
from quietpet.stages import fit, reconstruct, restore, score, simulate, thin
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

pytestmark = pytest.mark.usefixtures("on_the_cpu")

AXIS_MM = 4.5 * (np.arange(64) - 32)
RADIUS_MM = np.hypot(AXIS_MM[:, None], AXIS_MM)
DISC = np.repeat((RADIUS_MM < 80)[None], 2, axis=0)
KEYS = ["04/z007/r0", "04/z008/r0"]
SLICE_MM = [0.0, 4.0]


@pytest.fixture(scope="module")
def on_the_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIETPET_DEVICE", "cpu")
        yield


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs/api.md").read_text()


@pytest.fixture(scope="module")
def notebook(page, tmp_path_factory):
    """The folder of the page's study."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "notebook.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    return folder


@pytest.fixture(scope="module")
def study(notebook):
    """That study with more methods."""
    raw = read_yaml(notebook / "notebook.yaml")
    methods = {**raw["methods"], "unet": UNET, "mfdiff": SAMPLED, "bowsher": {"iterations": 2}}
    return load_study({**raw, "methods": methods}, origin="notebook.yaml")


SAMPLED = {
    **MFDIFF, "timesteps": 10, "sampling_steps": 2, "sampler": "ddim", "samples_per_slice": 3,
}  # fmt: skip


def files(**paths):
    return Files({name: [path] for name, path in paths.items()})


def fitted(study, folder, method):
    """Weights, as the workflow makes them, of images like those of a scan."""
    splits = write_splits(folder, slices=2, setting="tenth")
    changed = study.model_copy(
        update={
            "training": study.training.model_copy(
                update={"iterations": 2, "validate_every": 1, "batch_size": 2}
            )
        }
    )
    job = job_of(changed, "fit", dataset="phantom", setting="tenth", method=method, replicate="r0")
    place = folder / "results/models/phantom/tenth" / method / "r0"
    place.mkdir(parents=True)
    made = {name: place / name for name in ("weights.safetensors", "log.csv", "card.md")}
    outputs = dict(zip(("weights", "log", "card"), made.values(), strict=True))
    fit.run(job, files(train=splits["train"], validation=splits["validation"]), files(**outputs))
    return outputs["weights"]


def test_the_examples_of_the_page_run(page, notebook, monkeypatch, capsys):
    monkeypatch.chdir(notebook)
    fitted(quietpet.read_study("notebook.yaml"), notebook, "gaussian")
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 5
    for function in ("read_study", "simulate", "reconstruct", "restore", "score"):
        assert any(f"quietpet.{function}(" in block for block in blocks)
        assert f"autofunction:: quietpet.{function}\n" in page
    head, spot = names["head"], names["spot"]
    assert names["standard_scan"].prompts.shape == (1, 84, 112)
    assert (names["low_scan"].prompts <= names["standard_scan"].prompts).all()
    kept = names["low_scan"].prompts.sum() / names["standard_scan"].prompts.sum()
    assert kept == pytest.approx(0.1, rel=0.02)
    assert names["standard"].units == "kBq/ml"
    for images in (names["standard"].activity, names["low"].activity, names["restored"].single):
        assert images[head & ~spot].mean() == pytest.approx(20.0, rel=0.1)
    values = {(each.metric, each.variant): each.value for each in names["scores"]}
    assert values["psnr_db", "quantitative"] > 15
    assert np.isnan(values["pet_only_contrast_percent", "quantitative"])
    assert "kBq/ml" in capsys.readouterr().out


@pytest.mark.parametrize("dose", ["standard", "tenth"])
def test_arrays_are_scanned_and_reconstructed_as_the_steps_do_it(study, tmp_path, dose):
    """The phantom's unit of the files is one kBq/ml here, where 1 is exact."""
    activity, mu_per_cm = (20.0 * DISC).astype(np.float32), (0.096 * DISC).astype(np.float32)
    write_hdf5(
        tmp_path / "slices.h5",
        kind="slices",
        arrays={
            "activity": activity, "mu_per_cm": mu_per_cm, "key": np.array(KEYS),
            "rotation": np.zeros(2, int), "slice_mm": np.array(SLICE_MM),
        },
        attributes={"subject": "04", "lineage": {"data_source": "template"}},
    )  # fmt: skip
    job = job_of(study, "simulate", subject="04", dose="standard")
    grey_matter = 7.0 * 200 / 75 * 2 ** (-40 / 109.77)
    job = job.model_copy(update={"grey_matter": grey_matter})
    simulate.run(job, files(slices=tmp_path / "slices.h5"), files(sinograms=tmp_path / "standard.h5"))
    if dose == "tenth":
        lower = job_of(study, "thin", subject="04", dose=dose)
        thin.run(lower, files(standard=tmp_path / "standard.h5"), files(sinograms=tmp_path / "tenth.h5"))
    again = job_of(study, "reconstruct", subject="04", dose=dose)
    reconstruct.run(
        again, files(sinograms=tmp_path / f"{dose}.h5"), files(images=tmp_path / "images.h5")
    )

    given = {"slice_mm": SLICE_MM, "subject": "04", "keys": KEYS}
    scan = quietpet.simulate(study, dose, activity, mu_per_cm, **given)
    images = quietpet.reconstruct(study, scan)
    with open_hdf5(tmp_path / f"{dose}.h5", kind="sinograms") as file:
        np.testing.assert_array_equal(scan.prompts, read_array(file, "prompts"))
        np.testing.assert_allclose(scan.background, read_array(file, "background"), rtol=1e-6)
    with open_hdf5(tmp_path / "images.h5", kind="images") as file:
        np.testing.assert_allclose(images.activity, read_array(file, "image"), rtol=1e-5, atol=1e-5)
        assert list(images.keys) == read_strings(file, "key")
    assert images.pixel_mm == 4.5


def test_numbers_given_replace_those_of_the_study(study):
    scan = quietpet.simulate(study, "standard", 20.0 * DISC, 0.096 * DISC)
    plain, more, smooth = (
        quietpet.reconstruct(study, scan, **given).activity
        for given in ({}, {"iterations": 30}, {"post_fwhm_mm": 12.0})
    )
    middle = np.repeat((RADIUS_MM < 50)[None], 2, axis=0)
    assert smooth[middle].std() < plain[middle].std() < more[middle].std()


def test_finer_data_are_of_pixels_of_half_the_size(study):
    finer = study.model_copy(update={"scanner": study.scanner.model_copy(update={"data": "finer"})})
    axis_mm = 2.25 * (np.arange(128) - 64)
    disc = (np.hypot(axis_mm[:, None], axis_mm) < 80)[None]
    scan = quietpet.simulate(finer, "standard", 20.0 * disc, 0.096 * disc)
    image = quietpet.reconstruct(finer, scan).activity
    assert image[:, RADIUS_MM < 60].mean() == pytest.approx(20.0, rel=0.03)
    with pytest.raises(quietpet.InputError, match=r"activity: images of 64 pixels.*ask for 128"):
        quietpet.simulate(finer, "standard", 20.0 * DISC, 0.096 * DISC)


@pytest.mark.parametrize("method", ["lpet", "unet", "mfdiff"])
def test_slices_are_restored_and_scored_as_the_steps_do_it(study, tmp_path, method):
    weights = fitted(study, tmp_path, method)
    test = write_packed(tmp_path / "t.h5", split="test", slices=3, seed=5, setting="tenth")
    names = {"dataset": "phantom", "setting": "tenth", "method": method, "replicate": "r0"}
    job = job_of(study, "restore", **names)
    target = tmp_path / "restored.h5"
    restore.run(job, files(weights=weights, test=test), files(restored=target))
    score_job = ScoreJob(**names, learning=job.learning, evaluation=study.evaluation)
    score.run(score_job, files(restored=target, test=test), files(scores=tmp_path / "scores.csv"))

    with open_hdf5(test, kind="dataset") as file:
        held = ("low", "standard", "t1", "head", "truth", "labels")
        data = {name: read_array(file, name) for name in held}
        keys = read_strings(file, "key")
    found = quietpet.restore(
        study, weights, data["low"], data["t1"],
        method=method, dose="tenth", pixel_mm=2.08626, keys=keys, head=data["head"],
    )  # fmt: skip
    if study.methods[method].t1_use == "none":
        without = quietpet.restore(
            study, weights, data["low"], None,
            method=method, dose="tenth", pixel_mm=2.08626, keys=keys,
        )  # fmt: skip
        np.testing.assert_array_equal(without.single, found.single)
    with open_hdf5(target, kind="restored") as file:
        for name in ("single", "mean", "standard_deviation"):
            images = getattr(found, name)
            assert (images is not None) == (name in file)
            if images is not None:
                np.testing.assert_allclose(images, read_array(file, name), rtol=1e-5, atol=1e-4)
    scores = quietpet.score(
        study, found.single, data["standard"], data["head"],
        t1=data["t1"], truth=data["truth"], labels=data["labels"], keys=keys,
    )  # fmt: skip
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    rows = [row for row in rows if row["estimate"] == "single"]
    assert [(row["key"], row["metric"], row["variant"]) for row in rows] == [
        (each.key, each.metric, each.variant) for each in scores
    ]
    for row, each in zip(rows, scores, strict=True):
        wanted = float(row["value"]) if row["value"] else np.nan
        assert each.value == pytest.approx(wanted, rel=1e-4, abs=1e-5, nan_ok=True)


def test_a_method_that_reconstructs_takes_the_scan(study, tmp_path):
    """The T1 of one brightness says nothing: its image is the scan's, near the activity."""
    weights = fitted(study, tmp_path, "lpet").with_name("bowsher.safetensors")
    from quietpet.methods.registry import build
    from quietpet.training.weights import save_weights

    model = study.methods["bowsher"]
    save_weights(weights, build(model), settings=model, lineage={}, provenance={})
    scan = quietpet.simulate(study, "tenth", 20.0 * DISC, 0.096 * DISC, keys=KEYS)
    low = quietpet.reconstruct(study, scan)
    given = {"method": "bowsher", "dose": "tenth", "pixel_mm": 4.5, "keys": KEYS}
    found = quietpet.restore(study, weights, low.activity, 1.0 * DISC, sinograms=scan, **given)
    assert found.single[:, RADIUS_MM < 60].mean() == pytest.approx(20.0, rel=0.1)
    with pytest.raises(quietpet.InputError, match="give the sinograms"):
        quietpet.restore(study, weights, low.activity, 1.0 * DISC, **given)
    other = {**given, "keys": ["a", "b"]}
    with pytest.raises(quietpet.InputError, match="hold slices"):
        quietpet.restore(study, weights, low.activity, 1.0 * DISC, sinograms=scan, **other)


def test_scans_are_no_data_for_a_method_that_reconstructs(repository):
    scans = quietpet.read_study(repository / "config.yaml")
    given = {"dataset": "ood1", "dose": "2min", "method": "bowsher", "pixel_mm": 4.5}
    with pytest.raises(quietpet.InputError, match=r"bowsher .* ood1/2min has none: of scans"):
        quietpet.restore(scans, "weights", 1.0 * DISC, 1.0 * DISC, **given)


def test_the_best_scores_are_those_of_the_standard_dose(study):
    standard = 20.0 * DISC + 5.0 * (RADIUS_MM < 20)
    scores = quietpet.score(study, 1.1 * standard, standard, DISC)
    found = {(each.metric, each.variant): each.value for each in scores if each.key == "object/1"}
    assert found["bias_percent", "quantitative"] == pytest.approx(10.0, rel=1e-4)
    assert found["nmse", "quantitative"] == pytest.approx(0.01, rel=1e-4)
    assert found["nmse", "paper"] == pytest.approx(0.0, abs=1e-9)
    assert found["nmse", "jointly_scaled"] == pytest.approx(0.01, rel=1e-4)
    pixels = study.evaluation.paper_window_pixels
    assert (
        f"nmse:ref=standard,scale=standard_max,window=central{pixels},range=1,mask=none,mean=slices"
        in {each.metric_id for each in scores}
    )
    assert "truth" not in {each.variant for each in scores}, "none was given"


FLAT = np.ones((2, 64, 64))
SCANNED = {"dose": "standard", "activity": FLAT, "mu_per_cm": FLAT}
SCORED = {"restored": FLAT, "standard": FLAT, "head": FLAT}


@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        ("simulate", {**SCANNED, "dose": "third"}, "no dose 'third'; there are: standard, tenth"),
        ("simulate", {**SCANNED, "dataset": "ood1"}, "no simulated data set 'ood1'"),
        ("simulate", {**SCANNED, "activity": FLAT[0]}, "activity: square images .slice, y, x."),
        ("simulate", {**SCANNED, "activity": FLAT[:, :32, :32]}, "mu_per_cm: its shape"),
        ("simulate", {**SCANNED, "activity": -FLAT}, "activity: its least value is -1"),
        ("simulate", {**SCANNED, "mu_per_cm": np.nan * FLAT}, "mu_per_cm: 8192 of 8192 values"),
        ("simulate", {**SCANNED, "activity": 1e300 * FLAT}, "activity: 8192 of 8192 values"),
        ("simulate", {**SCANNED, "activity": 1j * FLAT}, "activity: real numbers"),
        ("simulate", {**SCANNED, "keys": ["a", "a"]}, "keys: 2 different names"),
        ("simulate", {**SCANNED, "slice_mm": [1.0]}, "slice_mm: one finite number"),
        ("score", {**SCORED, "head": 0.5 * FLAT}, "head: whole numbers"),
        ("score", {**SCORED, "head": 0 * FLAT}, "head mask is empty"),
        ("score", {**SCORED, "standard": FLAT[:1]}, "standard: its shape"),
        ("score", {**SCORED, "t1_lesions": FLAT}, "t1_lesions: .*give t1"),
    ],
)
def test_what_cannot_be_used_is_said(study, function, given, said):
    with pytest.raises(quietpet.InputError, match=said):
        getattr(quietpet, function)(study, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "nobody"}, "no method 'nobody'; there are: lpet"),
        ({"dose": "standard"}, "no low dose 'standard'"),
        ({"pixel_mm": 0.0}, "pixel_mm"),
        ({"low": FLAT[:, :32, :32], "t1": FLAT[:, :32, :32]}, "too few for squares of 64"),
        (dict.fromkeys(("low", "t1", "head"), np.ones((1, 96, 96))), "cut the head"),
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"method": "mfdiff", "t1": None}, "t1: there is none, and method mfdiff cannot do without"),
    ],
)  # fmt: skip
def test_what_cannot_be_restored_is_said(study, given, said):
    usual = {"weights": "w", "low": FLAT, "t1": FLAT, "method": "lpet", "dose": "tenth", "pixel_mm": 4.5}
    with pytest.raises(quietpet.InputError, match=said):
        quietpet.restore(study, **{**usual, **given})


def test_numbers_out_of_range_are_refused(study):
    scan = quietpet.simulate(study, "standard", 20.0 * DISC, 0.096 * DISC)
    with pytest.raises(quietpet.InputError, match="iterations"):
        quietpet.reconstruct(study, scan, iterations=0)
    with pytest.raises(ValueError, match="500 subsets of 84 views"):
        quietpet.reconstruct(study, scan, subsets=500)


def test_a_file_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(quietpet.InputError, match=r"missing\.yaml"):
        quietpet.read_study(tmp_path / "missing.yaml")
    (tmp_path / "empty.yaml").write_text("{}")
    with pytest.raises(quietpet.InputError, match="doses"):
        quietpet.read_study(str(tmp_path / "empty.yaml"))


def test_the_functions_are_listed_and_loaded_late():
    import quietpet.api

    assert set(quietpet.__all__) == set(quietpet.api.__all__) <= set(dir(quietpet))
    with pytest.raises(AttributeError, match="no attribute 'restored'"):
        _ = quietpet.restored
    code = "import sys, quietpet; print({'torch', 'numpy', 'nibabel', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
