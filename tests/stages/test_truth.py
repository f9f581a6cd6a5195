"""The stage ``truth``: restorations and the standard dose against the true activity."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.truth import TRUTH_COLUMNS
from quietpet.files.hdf5 import write_hdf5
from quietpet.files.named import Files
from quietpet.files.scores import read_scores
from quietpet.files.sections import read_section, render_markdown
from quietpet.files.text import read_json
from quietpet.jobs.evaluation import ScoreJob, TruthJob
from quietpet.phantom.tissues import Tissue
from quietpet.stages import score, truth

PIXELS = 48
LINEAGE = {"data_source": "brainweb", "projector": "embedded"}
EVALUATION = EvaluationSettings(paper_window_pixels=32)
GREY, WHITE = 96.0, 32.0
SUBJECTS = ("04", "04", "05")
KEYS = ("04_s65_r0", "04_s67_r0", "05_s65_r0")


def maps() -> tuple[np.ndarray, np.ndarray]:
    """True activity and labels (slice, y, x): grey matter within white, a larger one in each slice."""
    radius = np.hypot(*(np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2))
    labels = np.zeros((len(KEYS), PIXELS, PIXELS), np.uint8)
    labels[:, radius < 20] = Tissue.WHITE_MATTER
    for row in range(len(KEYS)):
        labels[row, radius < 9 + row] = Tissue.GREY_MATTER
    activity = np.zeros(256, np.float32)
    activity[[Tissue.GREY_MATTER, Tissue.WHITE_MATTER]] = GREY, WHITE
    return activity[labels], labels


TRUTH_IMAGES, LABELS = maps()
STANDARD_IMAGES = gaussian_filter(TRUTH_IMAGES, (0, 0.7, 0.7))
RESTORED = {"lpet": 0.9 * TRUTH_IMAGES, "gaussian": gaussian_filter(TRUTH_IMAGES, (0, 2, 2))}


def write_test_set(
    path: Path, *, dataset: str = "phantom", keys: tuple[str, ...] = KEYS, known: bool = True
) -> Path:
    none = np.zeros(TRUTH_IMAGES.shape, np.uint8)
    arrays = {
        "standard": STANDARD_IMAGES, "low": TRUTH_IMAGES, "t1": TRUTH_IMAGES,
        "head": (LABELS > 0).astype(np.uint8), "pet_lesions": none, "t1_lesions": none,
        "key": np.array(keys), "subject": np.array(SUBJECTS), "slice_mm": np.zeros(3),
        "angle_deg": np.zeros(3), "has_t1": np.ones(3, bool),
        **({"truth": TRUTH_IMAGES, "labels": LABELS} if known else {}),
    }  # fmt: skip
    attributes = {"dataset": dataset, "setting": "low", "split": "test", "lineage": LINEAGE}
    write_hdf5(path, kind="dataset", arrays=arrays, attributes=attributes)
    return path


def write_scores(folder: Path, test: Path, method: str, *, dataset: str = "phantom") -> Path:
    """What the step ``score`` says of a method."""
    names = {"dataset": dataset, "setting": "low", "method": method, "replicate": "r0"}
    restored, target = folder / f"{dataset}_{method}.h5", folder / f"{dataset}_{method}.csv"
    attributes = {**names, "learning": "-", "samples": 1, "lineage": LINEAGE}
    arrays = {"single": RESTORED[method].astype(np.float32), "key": np.array(KEYS)}
    write_hdf5(restored, kind="restored", arrays=arrays, attributes=attributes)
    job = ScoreJob(**names, learning="-", evaluation=EVALUATION)
    score.run(job, Files({"restored": [restored], "test": [test]}), Files({"scores": [target]}))
    return target


def run(folder: Path, scores: list[Path], tests: list[Path], **changed: Any) -> list[dict[str, str]]:
    settings = {"methods": ("gaussian", "lpet"), "evaluation": EVALUATION, **changed}
    names = {
        "table": "truth.csv", "standard": "truth_standard.csv", "section": "section.json",
        "provenance": "truth.json",
    }  # fmt: skip
    outputs = {name: [folder / file] for name, file in names.items()}
    truth.run(TruthJob(**settings), Files({"scores": scores, "test": tests}), Files(outputs))
    with outputs["table"][0].open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == TRUTH_COLUMNS
        return list(reader)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("truth")
    test = write_test_set(folder / "test.h5")
    return folder, run(folder, [write_scores(folder, test, name) for name in RESTORED], [test])


def mean_of(rows: list[dict[str, str]], method: str, metric: str) -> float:
    (row,) = [row for row in rows if (row["method"], row["metric"]) == (method, metric)]
    return float(row["mean"])


def test_the_standard_dose_stands_first_and_methods_as_configured(made) -> None:
    _, rows = made
    methods = list(dict.fromkeys((row["method"], row["learning"], row["estimate"]) for row in rows))
    assert methods == [
        ("standard dose", "-", "reference"), ("gaussian", "-", "single"), ("lpet", "-", "single"),
    ]  # fmt: skip
    assert {(row["n_subjects"], row["n_slices"], row["n_replicates"]) for row in rows} == {
        ("2", "3", "1")
    }


def test_a_method_that_scales_the_truth_has_its_closed_forms(made) -> None:
    _, rows = made
    assert mean_of(rows, "lpet", "nmse") == pytest.approx(0.01, rel=1e-5)
    for name in ("bias_percent", "grey_matter_bias_percent", "white_matter_bias_percent"):
        assert mean_of(rows, "lpet", name) == pytest.approx(-10, rel=1e-5)
    assert mean_of(rows, "lpet", "grey_to_white_recovery_percent") == pytest.approx(100, rel=1e-5)


def test_the_standard_dose_is_measured_as_any_image(made) -> None:
    _, rows = made
    errors, recovered = [], []
    for image, true, labels in zip(STANDARD_IMAGES, TRUTH_IMAGES, LABELS, strict=True):
        grey, white = labels == Tissue.GREY_MATTER, labels == Tissue.WHITE_MATTER
        box = np.s_[5:44, 5:44]
        assert labels[box].any(0).all()
        errors.append(((image - true)[box] ** 2).sum() / (true[box] ** 2).sum())
        recovered.append(100 * (image[grey].mean() / image[white].mean() - 1) / (GREY / WHITE - 1))
    found = [mean_of(rows, "standard dose", name) for name in ("nmse", "grey_to_white_recovery_percent")]
    assert found == pytest.approx([np.mean(errors), np.mean(recovered)], rel=1e-4)
    assert 0 < found[0] < mean_of(rows, "gaussian", "nmse")


def test_what_a_method_has_above_the_standard_dose_is_paired_by_subject(made) -> None:
    """Slices of a subject are averaged first: subject 04 has two of three."""
    folder, rows = made
    (row,) = [row for row in rows if (row["method"], row["metric"]) == ("gaussian", "nmse")]
    values = {}
    for name in ("phantom_gaussian", "truth_standard"):
        scores = read_scores([folder / f"{name}.csv"], SCORE_COLUMNS)
        nmse = scores[(scores["metric"] == "nmse") & (scores["variant"] == "truth")]
        values[name] = nmse.groupby("subject")["value"].mean().to_numpy()
    above = values["phantom_gaussian"] - values["truth_standard"]
    assert float(row["difference"]) == pytest.approx(above.mean(), rel=1e-5)
    assert float(row["standard_mean"]) == pytest.approx(values["truth_standard"].mean(), rel=1e-5)
    interval = stats.t.interval(0.95, 1, loc=above.mean(), scale=stats.sem(above))
    found = [float(row[f"difference_ci_{end}"]) for end in ("low", "high")]
    assert found == pytest.approx(interval, rel=1e-4)
    own = [row for row in rows if row["method"] == "standard dose"]
    assert {row["difference"] for row in own} == {""}


def test_values_of_each_slice_are_kept_and_those_of_the_standard_dose_stay_out_of_other_tables(
    made,
) -> None:
    folder, _ = made
    with (folder / "truth_standard.csv").open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == SCORE_COLUMNS
        rows = list(reader)
    assert {row["variant"] for row in rows} == {"truth"}
    assert [row["key"] for row in rows if row["metric"] == "nmse"] == list(KEYS)
    assert {row["method"] for row in rows} == {"standard dose"}


def test_rows_name_the_metric_and_the_origin(made) -> None:
    folder, rows = made
    for row in rows:
        assert row["metric_id"].startswith(f"{row['metric']}:ref=truth,scale=units,window=head_box,")
        assert (row["data_source"], row["projector"]) == ("brainweb", "embedded")
    origin = read_json(folder / "truth.json")
    assert (origin["stage"], len(origin["inputs"])) == ("truth", 3)


def test_the_section_shows_every_row_and_says_what_the_truth_is(made) -> None:
    folder, rows = made
    section = read_section(folder / "section.json")
    (table,) = section.tables
    assert [row["method"] for row in table.rows] == ["standard dose", "gaussian", "lpet"]
    for row in table.rows:
        assert row["nmse"] == pytest.approx(mean_of(rows, row["method"], "nmse"), rel=1e-5)
    standard, lpet = (mean_of(rows, name, "nmse") for name in ("standard dose", "lpet"))
    assert lpet < standard
    recovered = mean_of(rows, "standard dose", "grey_to_white_recovery_percent")
    assert section.summary == (
        f"phantom/low: the standard dose itself has an NMSE of {standard:.3f} to the truth, and "
        f"{recovered:.0f} % of the contrast of grey to white matter. Of 2 restorations 1 has less "
        f"NMSE on average than the standard dose; the least has `lpet`, {lpet:.3f}."
    )
    page = render_markdown(section)
    assert "without the resolution of a scanner" in page
    assert "| standard dose | - | reference |" in page


def test_a_restoration_that_is_the_truth_itself_is_shown(tmp_path: Path, monkeypatch) -> None:
    """Its PSNR is infinite, which no JSON can hold."""
    monkeypatch.setitem(RESTORED, "lpet", TRUTH_IMAGES)
    test = write_test_set(tmp_path / "test.h5")
    rows = run(tmp_path, [write_scores(tmp_path, test, "lpet")], [test])
    assert mean_of(rows, "lpet", "psnr_db") == np.inf
    assert read_section(tmp_path / "section.json").tables[0].rows[1]["psnr_db"] == "inf"


def test_of_two_images_without_error_neither_is_nearer(tmp_path: Path, monkeypatch) -> None:
    """A standard dose that is the truth, and a method that restores it."""
    monkeypatch.setitem(RESTORED, "lpet", TRUTH_IMAGES)
    monkeypatch.setitem(globals(), "STANDARD_IMAGES", TRUTH_IMAGES)
    test = write_test_set(tmp_path / "test.h5")
    rows = run(tmp_path, [write_scores(tmp_path, test, "lpet")], [test])
    differences = {row["metric"]: row["difference"] for row in rows if row["method"] == "lpet"}
    assert differences.pop("psnr_db") == ""
    assert set(differences.values()) == {"0"}
    summary = read_section(tmp_path / "section.json").summary
    assert "The one restoration has not less NMSE" in summary


def test_the_low_dose_is_no_restoration_and_stands_beside(tmp_path: Path, made) -> None:
    """It is named, but neither counted nor called the least, though it is."""
    folder, rows = made
    gaussian, lpet = (mean_of(rows, name, "nmse") for name in ("gaussian", "lpet"))
    assert lpet < gaussian
    scores = [folder / f"phantom_{name}.csv" for name in RESTORED]
    run(tmp_path, scores, [folder / "test.h5"], low_dose=("lpet",))
    summary = read_section(tmp_path / "section.json").summary
    assert f"; the low dose, untreated, has an NMSE of {lpet:.3f}. " in summary
    assert summary.endswith(
        "The one restoration has not less NMSE on average than the standard dose: `gaussian`, "
        f"{gaussian:.3f}."
    )
    run(tmp_path, scores, [folder / "test.h5"], low_dose=tuple(RESTORED))
    assert "restoration" not in read_section(tmp_path / "section.json").summary


def test_scans_give_no_rows_and_are_no_test_set_of_this(tmp_path: Path, made) -> None:
    _, before = made
    scans = write_test_set(tmp_path / "scans.h5", dataset="ood1", known=False)
    phantoms = write_test_set(tmp_path / "test.h5")
    scores = [write_scores(tmp_path, phantoms, name) for name in RESTORED]
    scores.append(write_scores(tmp_path, scans, "lpet", dataset="ood1"))
    assert run(tmp_path, scores, [phantoms]) == before
    with pytest.raises(InputError, match=r"scans\.h5: has no truth to compare with"):
        run(tmp_path, scores, [phantoms, scans])


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    test = write_test_set(tmp_path / "test.h5")
    other = write_test_set(tmp_path / "other.h5", keys=("04_a", "04_b", "05_a"))
    mine = write_test_set(tmp_path / "mine.h5", dataset="mine")
    scores = [write_scores(tmp_path, test, "lpet")]
    with pytest.raises(InputError, match="scored on other slices"):
        run(tmp_path, scores, [other])
    with pytest.raises(InputError, match=r"phantom/low: .* its test set is not among the inputs"):
        run(tmp_path, scores, [mine])
    with pytest.raises(InputError, match="unknown method 'lpet'; known: unet"):
        run(tmp_path, scores, [test], methods=("unet",))
    with pytest.raises(InputError, match="scored twice"):
        run(tmp_path, scores, [test, test])
    assert not (tmp_path / "truth.csv").exists()
    assert not (tmp_path / "section.json").exists()
