"""The stages ``score`` and ``tables`` on small files in the real schema."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.regions import REGION_COLUMNS
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.tables import TABLE_COLUMNS
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS
from quietpet.files.hdf5 import write_hdf5
from quietpet.files.named import Files
from quietpet.files.scores import read_scores
from quietpet.files.sections import read_section
from quietpet.files.text import read_json, write_json
from quietpet.jobs.evaluation import ExportJob, ScoreJob, TablesJob
from quietpet.jobs.subjects import SubjectsJob
from quietpet.stages import export, score, subjects, tables

PIXELS = 32
OF_SCANS = [metric for metric in METRICS if not metric.needs and not metric.variant.needs]
"""Those that want neither truth nor tissues, which these slices have not."""
KEYS = np.array(["04_s65_r0", "04_s67_r0", "05_s65_r0"])
LINEAGE = {"data_source": "brainweb", "projector": "embedded"}
EVALUATION = EvaluationSettings(paper_window_pixels=24)


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.0, 2.0, (3, PIXELS, PIXELS)).astype(np.float32)


def write_test_set(path: Path, *, named: dict[str, Any] | None = None, **changed: np.ndarray) -> Path:
    none = np.zeros((3, PIXELS, PIXELS), dtype=np.uint8)
    arrays = {
        "low": images(1), "standard": images(2), "t1": images(3), "head": none + 1,
        "pet_lesions": none, "t1_lesions": none, "key": KEYS, "subject": np.array(["04", "04", "05"]),
        "slice_mm": np.array([0.0, 4.0, 0.0]), "angle_deg": np.zeros(3), "has_t1": np.ones(3, bool),
    }  # fmt: skip
    attributes = {"dataset": "phantom", "setting": "low", "split": "test", "lineage": LINEAGE}
    attributes |= named or {}
    write_hdf5(path, kind="dataset", arrays={**arrays, **changed}, attributes=attributes)
    return path


def write_restored(path: Path, *, arrays: dict[str, np.ndarray] | None = None, **changed: Any) -> Path:
    attributes = {"dataset": "phantom", "setting": "low", "method": "lpet", "replicate": "0"}
    attributes["learning"] = "external"
    attributes |= {"samples": 1, "lineage": LINEAGE, **changed}
    held = {"single": images(1), "key": KEYS, **(arrays or {})}
    write_hdf5(path, kind="restored", arrays=held, attributes=attributes)
    return path


def run_score(folder: Path, restored: Path, test: Path, *, method: str = "lpet") -> list[dict[str, str]]:
    names = {"dataset": "phantom", "setting": "low", "method": method, "replicate": "0"}
    job = ScoreJob(**names, learning="external", evaluation=EVALUATION)
    target = folder / f"{method}.csv"
    score.run(job, Files({"restored": [restored], "test": [test]}), Files({"scores": [target]}))
    with target.open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == SCORE_COLUMNS
        return list(reader)


def test_rows_say_which_slices_have_a_t1(tmp_path: Path) -> None:
    t1 = images(3)
    t1[1] = np.nan
    test = write_test_set(tmp_path / "test.h5", t1=t1, has_t1=np.array([True, False, True]))
    rows = run_score(tmp_path, write_restored(tmp_path / "r.h5"), test)
    told = {(row["key"], row["has_t1"]) for row in rows}
    assert told == set(zip(KEYS, ("True", "False", "True"), strict=True))
    read = read_scores([tmp_path / "lpet.csv"], SCORE_COLUMNS)
    assert list(read["key"][~read["has_t1"]].unique()) == [KEYS[1]]


def test_every_slice_metric_and_estimate_gets_a_row(tmp_path: Path) -> None:
    test = write_test_set(tmp_path / "test.h5")
    restored = write_restored(
        tmp_path / "r.h5", arrays={"mean": images(5), "standard_deviation": images(6)}, samples=4
    )
    rows = run_score(tmp_path, restored, test)
    error = ((images(5) - images(2).astype(float)) ** 2).mean()
    variance = (images(6).astype(float) ** 2).mean()
    assert error < variance / 4, "less error than the samples' own noise: no ratio"
    assert {row["spread_to_error"] for row in rows} == {""}
    assert len(rows) == 2 * 3 * len(OF_SCANS)
    assert "truth" not in {row["variant"] for row in rows}
    assert list(dict.fromkeys(row["estimate"] for row in rows)) == ["single", "mean_of_4"]
    assert {row["subject"] for row in rows} == {"04", "05"}
    assert {(row["data_source"], row["projector"], row["registration"]) for row in rows} == {
        ("brainweb", "embedded", "-")
    }
    lesions = [row["value"] for row in rows if "_only_" in row["metric"]]
    assert set(lesions) == {""}


def test_scored_values_are_those_of_the_slice(tmp_path: Path) -> None:
    test = write_test_set(tmp_path / "test.h5")
    rows = run_score(tmp_path, write_restored(tmp_path / "r.h5"), test)
    (row,) = [
        row
        for row in rows
        if (row["key"], row["metric"], row["variant"]) == (KEYS[1], "nmse", "quantitative")
    ]
    x, y = images(1)[1].astype(float), images(2)[1].astype(float)
    assert float(row["value"]) == pytest.approx(((x - y) ** 2).sum() / (y**2).sum())


def test_the_spread_of_samples_is_of_the_heads_alone(tmp_path: Path) -> None:
    """A deviation of 0.1 in the heads and of 5 outside, and a mean that is 0.3 off."""
    head = np.zeros((3, PIXELS, PIXELS), dtype=np.uint8)
    head[:, 8:24, 8:24] = 1
    test = write_test_set(tmp_path / "test.h5", head=head)
    arrays = {
        "mean": (images(2) + 0.3).astype(np.float32),
        "standard_deviation": np.where(head > 0, 0.1, 5.0).astype(np.float32),
    }
    restored = write_restored(tmp_path / "r.h5", arrays=arrays, samples=2)
    (spread,) = {row["spread_to_error"] for row in run_score(tmp_path, restored, test)}
    assert float(spread) == pytest.approx(0.1 / (0.3**2 - 0.1**2 / 2) ** 0.5, rel=1e-4)


def test_a_missing_t1_changes_no_score_and_one_that_is_there_must_be_finite(tmp_path: Path) -> None:
    restored = write_restored(tmp_path / "restored.h5")
    t1 = images(3)
    t1[1] = np.nan
    whole, lacking, broken = (
        write_test_set(tmp_path / f"{name}.h5", **changed)
        for name, changed in {
            "whole": {},
            "lacking": {"t1": t1, "has_t1": np.array([True, False, True])},
            "broken": {"t1": t1},
        }.items()
    )
    rows = [run_score(tmp_path, restored, test) for test in (lacking, whole)]
    for row in (*rows[0], *rows[1]):
        del row["has_t1"]
    assert rows[0] == rows[1]
    with pytest.raises(InputError, match=r"broken\.h5:t1: 1 of 3 slices .* '04_s67_r0'"):
        run_score(tmp_path, restored, broken)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nonfinite_pixels_name_file_array_and_slice(tmp_path: Path, value: float) -> None:
    test = write_test_set(tmp_path / "test.h5")
    broken = images(1)
    broken[1, 5, 5] = value
    restored = write_restored(tmp_path / "restored.h5", arrays={"single": broken})
    with pytest.raises(InputError, match=r"restored\.h5:single: 1 of 3 slices .* '04_s67_r0'"):
        run_score(tmp_path, restored, test)
    assert not (tmp_path / "lpet.csv").exists()


@pytest.mark.parametrize(
    ("arrays", "attributes", "message"),
    [
        ({"key": KEYS[[1, 0, 2]]}, {}, "not those of the test set, in its order .first at row 0"),
        ({"key": KEYS[:2]}, {}, "2 rows, not 3"),
        ({"single": np.ones((3, 16, 16), np.float32)}, {}, "has the shape"),
        ({"single": np.ones((2, PIXELS, PIXELS), np.float32)}, {}, "2 slices for 3 keys"),
        ({}, {"method": "unet"}, "holds method 'unet', this job scores 'lpet'"),
        ({}, {"lineage": {**LINEAGE, "data_source": "template"}}, "was made with"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], attributes: dict[str, Any], message: str
) -> None:
    test = write_test_set(tmp_path / "test.h5")
    restored = write_restored(tmp_path / "restored.h5", arrays=arrays, **attributes)
    with pytest.raises(InputError, match=message):
        run_score(tmp_path, restored, test)


def tables_job() -> TablesJob:
    return TablesJob(
        protocol="tiny",
        methods={"lpet": "no processing", "gaussian": "filtered"},
        datasets={"phantom": "simulated"},
        published_settings=("low",),
        doses={"standard": "1e+10 counts per volume"},
        acquisition="no scatter, no randoms",
        rays=1,
        evaluation=EVALUATION,
    )


def test_scores_become_tables_and_a_page(tmp_path: Path) -> None:
    test = write_test_set(tmp_path / "test.h5")
    for method, seed in (("lpet", 1), ("gaussian", 7)):
        restored = write_restored(
            tmp_path / f"{method}.h5", arrays={"single": images(seed)}, method=method
        )
        run_score(tmp_path, restored, test, method=method)
    names = {
        "tables": "tables.csv",
        "readable": "tables.md",
        "tables_section": "tables.json",
        "claim": "claim.json",
        "provenance": "p.json",
    }
    outputs = {name: [tmp_path / "results" / file] for name, file in names.items()}
    scores = [tmp_path / "gaussian.csv", tmp_path / "lpet.csv"]
    tables.run(tables_job(), Files({"scores": scores}), Files(outputs))
    with outputs["tables"][0].open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == TABLE_COLUMNS
        rows = list(reader)
    shown = sum("_only_" not in metric.name for metric in OF_SCANS)  # these slices have no lesions
    assert [row["method"] for row in rows] == ["lpet"] * shown + ["gaussian"] * shown
    assert (rows[0]["setting"], rows[0]["paper_mean"], rows[0]["n_subjects"]) == ("-", "21.13", "2")
    assert "`report.html`" in outputs["readable"][0].read_text()
    section = read_section(outputs["tables_section"][0])
    assert [each.title for each in section.sections] == ["Table 1: phantoms, all methods"]
    assert section.sections[0].figures[0].file == "table1.png"
    assert read_section(outputs["claim"][0]).title.startswith("Claim")
    origin = read_json(outputs["provenance"][0])
    assert origin["stage"] == "tables"
    assert list(origin["inputs"]) == [str(path) for path in scores]


def test_a_figure_of_a_table_without_rows_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run_score(tmp_path, write_restored(tmp_path / "r.h5"), write_test_set(tmp_path / "test.h5"))
    of_tables = ExportJob(**dict(tables_job()))
    for wrong in ({"figure": ["table6.png"]}, {"figure": ["table1.png"], "svg": ["other.svg"]}):
        outputs = {name: [tmp_path / "out" / file for file in files] for name, files in wrong.items()}
        with pytest.raises(InputError, match=r"no table (table6|other); the scores make table1"):
            export.run(of_tables, Files({"scores": [tmp_path / "lpet.csv"]}), Files(outputs))
        assert not list(tmp_path.glob("out/*"))


def test_chosen_learning_rates_stand_in_the_protocol(tmp_path: Path) -> None:
    test = write_test_set(tmp_path / "test.h5")
    for method in ("lpet", "gaussian"):
        restored = write_restored(tmp_path / f"{method}.h5", method=method)
        run_score(tmp_path, restored, test, method=method)
    scores = [tmp_path / "gaussian.csv", tmp_path / "lpet.csv"]
    trials = [{"factor": each, "learning_rate": each / 100, "nmse": each} for each in (3.0, 1.0)]
    for method in ("gaussian", "other"):
        record = {"method": method, "iterations": 9, "trials": trials}
        write_json(tmp_path / f"{method}.json", record)
    outputs = {name: [tmp_path / name] for name in ("tables", "readable", "claim")}
    inputs = {"scores": scores, "rate": [tmp_path / "gaussian.json"]}
    tables.run(tables_job(), Files(inputs), Files(outputs))
    words = (
        "filtered; learning rate 0.01, the smallest tried, chosen from 0.03, 0.01 by the NMSE of "
        "restored validation slices after 9 iterations"
    )
    with (tmp_path / "tables").open(newline="") as stream:
        protocols = {row["method"]: row["protocol"] for row in csv.DictReader(stream)}
    assert protocols == {"lpet": "tiny: no processing", "gaussian": f"tiny: {words}"}
    (methods,) = read_section(tmp_path / "claim").sections[0].tables
    assert {"method": "gaussian", "protocol": words} in methods.rows
    with pytest.raises(
        InputError, match=r"other\.json: is of the unknown method 'other'; known: lpet, "
    ):
        tables.run(tables_job(), Files({**inputs, "rate": [tmp_path / "other.json"]}), Files(outputs))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,value\nlpet,1\n", "columns"),
        (",".join(SCORE_COLUMNS) + "\n", "no scores"),
        ("", "readable"),
    ],
)
def test_unreadable_score_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "stale.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"stale\.csv: .*{message}"):
        tables.run(tables_job(), Files({"scores": [path]}), Files({}))


def regions_of(folder: Path, test: Path, method: str = "lpet") -> list[dict[str, str]]:
    restored = write_restored(folder / f"{method}.h5", method=method)
    names = {"dataset": "phantom", "setting": "low", "method": method, "replicate": "0"}
    job = ScoreJob(**names, learning="external", evaluation=EVALUATION)
    outputs = {"scores": [folder / "scores.csv"], "regions": [folder / "regions.csv"]}
    score.run(job, Files({"restored": [restored], "test": [test]}), Files(outputs))
    with outputs["regions"][0].open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == REGION_COLUMNS
        return list(reader)


def test_regional_activity_is_that_of_the_files(tmp_path: Path) -> None:
    numbered = np.zeros((3, PIXELS, PIXELS), dtype=np.uint8)
    numbered[:, 10:20, 5:9] = 2
    test = write_test_set(
        tmp_path / "test.h5", regions=numbered, named={"region_names": ["pons", "precuneus"]}
    )
    rows = regions_of(tmp_path, test)
    assert [(row["subject"], row["region"]) for row in rows] == [
        (subject, region) for subject in ("04", "05") for region in ("precuneus", "head")
    ]
    row = rows[0]
    assert (row["method"], row["learning"], row["truth"], row["pixels"]) == (
        "lpet",
        "external",
        "",
        "80",
    )
    assert float(row["standard"]) == pytest.approx(images(2)[:2, 10:20, 5:9].mean(), rel=1e-6)
    assert float(row["low"]) == float(row["restored"]), "lpet is the low dose itself"


def test_a_data_set_without_regions_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test\.h5: numbers no regions"):
        regions_of(tmp_path, write_test_set(tmp_path / "test.h5"))
    assert not (tmp_path / "scores.csv").exists()
    assert not (tmp_path / "regions.csv").exists()


def test_whole_subjects_are_measured_beside_the_scores(tmp_path: Path) -> None:
    """A copy of the bright spot that T1 alone has: lesions, brain and names are those of the files."""
    spot = np.zeros((3, PIXELS, PIXELS), dtype=np.uint8)
    spot[:, 14:18, 14:18] = 1
    test = write_test_set(
        tmp_path / "test.h5", t1=images(3) + 5.0 * spot, t1_lesions=spot, labels=32 * spot
    )
    copied = images(2) + 1.0 * spot
    restored = write_restored(tmp_path / "r.h5", method="copier", arrays={"single": copied})
    names = {"dataset": "phantom", "setting": "low", "method": "copier", "replicate": "0"}
    outputs = {name: [tmp_path / f"{name}.csv"] for name in ("scores", "subjects")}
    job = ScoreJob(**names, learning="external", evaluation=EVALUATION)
    score.run(job, Files({"restored": [restored], "test": [test]}), Files(outputs))
    with outputs["subjects"][0].open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == SUBJECT_COLUMNS
        found = {(row["subject"], row["measure"]): row for row in reader}
    assert {subject for subject, _ in found} == {"04", "05"}
    gained = found["04", "t1_only_hot_mean_percent"]
    assert (gained["method"], gained["learning"], gained["count"]) == ("copier", "external", "2")
    assert float(gained["value"]) == pytest.approx(100 / 1.5, rel=0.1)
    assert float(found["05", "brain_share_within_15_percent"]["value"]) == 0.0
    assert found["05", "brain_outlier_score"]["count"] == "16"


def test_whole_subjects_of_phantoms_are_measured_against_the_truth_to_the_table(tmp_path: Path) -> None:
    """The standard dose is named as itself in the file of every method, and stands in the table once."""
    spot = np.zeros((3, PIXELS, PIXELS), dtype=np.uint8)
    spot[:, 14:18, 14:18] = 1
    truth = np.full((3, PIXELS, PIXELS), 1.5, np.float32)
    test = write_test_set(
        tmp_path / "test.h5", truth=truth, t1=images(3) + 5.0 * spot, t1_lesions=spot, labels=32 * spot
    )
    methods = {"lpet": images(1), "perfect": truth, "copier": truth + 9.0 * spot}
    for method, single in methods.items():
        restored = write_restored(tmp_path / "r.h5", method=method, arrays={"single": single})
        names = {"dataset": "phantom", "setting": "low", "method": method, "replicate": "0"}
        made = {"scores": [tmp_path / "scores.csv"], "subjects": [tmp_path / f"{method}.csv"]}
        job = ScoreJob(**names, learning="external", evaluation=EVALUATION)
        score.run(job, Files({"restored": [restored], "test": [test]}), Files(made))
    files = {"subjects": [tmp_path / f"{method}.csv" for method in methods]}
    made = {name: [tmp_path / name] for name in ("table", "section")}
    plan = SubjectsJob(methods=tuple(methods), confidence=0.95, protocol="small")
    subjects.run(plan, Files(files), Files(made))
    with made["table"][0].open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["measure"] == "t1_only_all_rms_ratio"]
    found = {(row["method"], row["against"]): row for row in rows}
    assert len(found) == len(rows) == 7
    to_truth = {method: float(row["mean"]) for (method, name), row in found.items() if name == "truth"}
    assert list(to_truth) == ["standard dose", "lpet", "perfect", "copier"]
    assert to_truth["perfect"] == 0.0
    assert to_truth["lpet"] == pytest.approx(1.0)
    assert to_truth["copier"] > 10
    itself = found["standard dose", "truth"]
    assert (itself["learning"], itself["estimate"], itself["count"]) == ("-", "reference", "3")
    shown = read_section(made["section"][0]).tables[0].rows
    assert [row["method"] for row in shown] == list(to_truth)
