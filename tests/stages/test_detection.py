"""The stages ``observe`` and ``detection`` on files in the real schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from known_lesions import realisations

from quietpet.config.observers import ChannelSettings
from quietpet.errors import InputError
from quietpet.evaluation.detection import DETECTION_COLUMNS
from quietpet.evaluation.ratings import RATING_COLUMNS
from quietpet.files.named import Files
from quietpet.files.realisations import Realisations
from quietpet.files.records import write_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.sections import read_section
from quietpet.files.text import read_json
from quietpet.jobs.detection import DetectionJob, ObserveJob
from quietpet.provenance import file_digest
from quietpet.stages import detection, observe

LINEAGE = {"data_source": "template", "projector": "embedded"}
SETTINGS = ChannelSettings()
JOB = DetectionJob(
    methods=("lpet", "blind"), compare_with="lpet", channels=SETTINGS, confidence=0.95, protocol="small"
)


@pytest.fixture(scope="module")
def held() -> Realisations:
    return realisations(12, subjects=("04", "05"), amplitude=0.5)


@pytest.fixture
def test_set(held: Realisations, tmp_path: Path) -> Path:
    path = tmp_path / "realisations.h5"
    write_record(path, held, provenance={})
    return path


def restored(path: Path, held: Realisations, image: np.ndarray, **changed: Any) -> Path:
    known = {
        "origin": str(path), "dataset": "phantom", "setting": "low", "method": "lpet", "learning": "own",
        "replicate": "r0", "samples": 1, "lineage": LINEAGE, "key": held.key,
        "single": image.astype(np.float32),
    }  # fmt: skip
    write_record(path, RestoredSlices(**known | changed), provenance={})
    return path


def rated(path: Path, test_set: Path, method: str = "lpet") -> Path:
    job = ObserveJob(
        dataset="phantom",
        setting="low",
        method=method,
        replicate="r0",
        learning="own",
        channels=SETTINGS,
    )
    target = path.with_suffix(".csv")
    observe.run(job, Files({"restored": [path], "test": [test_set]}), Files({"ratings": [target]}))
    return target


def test_ratings_say_how_they_were_made(held, test_set, tmp_path) -> None:
    path = restored(tmp_path / "lpet.h5", held, held.low)
    job = ObserveJob(
        dataset="phantom",
        setting="low",
        method="lpet",
        replicate="r0",
        learning="own",
        channels=SETTINGS,
    )
    outputs = {name: [tmp_path / name] for name in ("ratings", "ratings_provenance")}
    observe.run(job, Files({"restored": [path], "test": [test_set]}), Files(outputs))
    record = read_json(tmp_path / "ratings_provenance")
    assert record["stage"] == "observe"
    assert record["inputs"] == {str(each): file_digest(each) for each in (path, test_set)}


def test_ratings_of_all_methods_end_in_a_table_a_section_and_a_figure(held, test_set, tmp_path) -> None:
    blind = 100.0 + 0.3 * (held.low - held.truth)
    images = {"blind": blind, "lpet": held.low}
    files = [
        rated(restored(tmp_path / f"{name}.h5", held, image, method=name), test_set, name)
        for name, image in images.items()
    ]
    made = {
        "table": [tmp_path / "detection.csv"],
        "section": [tmp_path / "section.json"],
        "png": [tmp_path / "detection.png"],
        "svg": [tmp_path / "detection.svg"],
        "provenance": [tmp_path / "detection.json"],
    }
    detection.run(JOB, Files({"ratings": files, "test": [test_set]}), Files(made))
    table = pd.read_csv(made["table"][0]).fillna({"method": ""})
    assert tuple(table.columns) == DETECTION_COLUMNS
    whole = table[(table.observer == "hotelling") & (table.contrast == 1) & table.radius_mm.isna()]
    assert list(zip(whole.image, whole.method, strict=True)) == [
        ("restored", "lpet"),
        ("restored", "blind"),
        ("standard", ""),
    ]
    low, lost, standard = whole.auc
    assert lost < low <= standard == 1.0, "the standard dose of these files is the truth itself"
    assert list(whole.verdict)[1] == "lower area here"
    assert set(table.sought) == {"lesion", "nothing"}
    assert read_section(made["section"][0]).figures[0].file == "detection.svg"
    assert made["png"][0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in made["svg"][0].read_text()
    assert read_json(made["provenance"][0])["settings"]["compare_with"] == "lpet"


def test_a_file_of_another_method_or_of_other_rows_is_refused(held, test_set, tmp_path) -> None:
    other = restored(tmp_path / "other.h5", held, held.low, method="other")
    with pytest.raises(InputError, match=r"other\.h5: holds method 'other', this job reads 'lpet'"):
        rated(other, test_set)
    fewer = restored(tmp_path / "fewer.h5", held, held.low[1:], key=held.key[1:])
    with pytest.raises(InputError, match=r"fewer\.h5: its slices are not those of the test set"):
        rated(fewer, test_set)
    broken = np.where(np.arange(len(held.key)) == 3, np.nan, 1.0)[:, None, None] * held.low
    with pytest.raises(InputError, match="1 of 48 slices hold values that are not finite"):
        rated(restored(tmp_path / "broken.h5", held, broken), test_set)
    assert not [*tmp_path.glob("*.csv")]


def test_a_test_set_without_known_lesions_is_refused(tmp_path: Path) -> None:
    from packed import write_packed

    with pytest.raises(InputError, match=r"test\.h5: lacks"):
        rated(tmp_path / "r.h5", write_packed(tmp_path / "test.h5"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method,rating\nlpet,1\n", "columns"),
        (",".join(RATING_COLUMNS) + "\n", "no ratings"),
        ("", "readable"),
    ],
)
def test_unreadable_ratings_are_named(test_set, tmp_path: Path, text: str, message: str) -> None:
    stale = tmp_path / "stale.csv"
    stale.write_text(text)
    with pytest.raises(InputError, match=rf"stale\.csv: .*{message}"):
        detection.run(JOB, Files({"ratings": [stale], "test": [test_set]}), Files({}))
