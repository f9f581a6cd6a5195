"""A metric is one entry of the registry, also one that needs the truth, tissues or lesions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from edited_package import EditedPackage, edited_package
from packed import write_packed

from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings, write_hdf5
from quietpet.files.sections import read_section, render_markdown

EVALUATION = {"paper_window_pixels": 48}
ENTRIES = """

def error_of_truth(images, data_range):
    return float(np.abs(images.restored - images.truth)[images.head].mean())


def mean_of_tissue_2(images, data_range):
    return float(images.restored[images.labels == 2].mean())


def lesion_pixels(images, data_range):
    return float(np.count_nonzero(images.pet_lesions))


METRICS = (
    *METRICS,
    Metric(name="error_of_truth", label="error of truth (kBq/ml)", function=error_of_truth,
           variant=QUANTITATIVE, needs=("truth",), digits=4),
    Metric(name="mean_of_tissue_2", label="tissue 2 (kBq/ml)", function=mean_of_tissue_2,
           variant=QUANTITATIVE, needs=("labels",)),
    Metric(name="lesion_pixels", label="lesions (pixels)", function=lesion_pixels,
           variant=QUANTITATIVE, digits=0),
    Metric(name="mae", label="MAE to the truth", function=mae, variant=TRUTH, mask=HEAD),
)
"""
NEW = ("error_of_truth", "mean_of_tissue_2", "lesion_pixels")


def write_test_sets(folder: Path) -> dict[str, Path]:
    """Phantoms with tissues and a lesion, and the same images as scans have them."""
    phantoms = write_packed(folder / "packed.h5", split="test", slices=2)
    with open_hdf5(phantoms, kind="dataset") as file:
        arrays = {name: read_array(file, name) for name in file if name not in ("key", "subject")}
        names = {name: np.array(read_strings(file, name)) for name in ("key", "subject")}
        lineage = read_attribute(file, "lineage")
    arrays["labels"] = np.where(arrays["truth"] > 90, 2, 1).astype(np.uint8) * arrays["head"]
    arrays["pet_lesions"][:, 30:32, 30:33] = 1
    scans = {name: array for name, array in arrays.items() if name not in ("truth", "labels")}
    paths = {}
    for dataset, held in (("phantom", arrays), ("mine", scans)):
        paths[dataset] = folder / f"{dataset}.h5"
        attributes = {"dataset": dataset, "setting": "low", "split": "test", "lineage": lineage}
        write_hdf5(paths[dataset], kind="dataset", arrays={**held, **names}, attributes=attributes)
        attributes |= {"method": "lpet", "replicate": "r0", "learning": "-", "samples": 1}
        restored = {"single": arrays["low"], "key": names["key"]}
        write_hdf5(
            folder / f"{dataset}_lpet.h5", kind="restored", arrays=restored, attributes=attributes
        )
    return paths


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> EditedPackage:
    return edited_package(tmp_path_factory.mktemp("edited"), {"evaluation/metrics.py": ENTRIES})


def test_one_entry_reaches_scores_tables_and_page(package: EditedPackage, tmp_path: Path) -> None:
    assert package.touched == {"evaluation/metrics.py"}
    packed = write_test_sets(tmp_path)
    for dataset, path in packed.items():
        names = {"dataset": dataset, "setting": "low", "method": "lpet", "replicate": "r0"}
        settings = {**names, "learning": "-", "evaluation": EVALUATION}
        package.run(
            "score", "--settings", json.dumps(settings),
            "--in", f"restored={tmp_path}/{dataset}_lpet.h5", f"test={path}",
            "--out", f"scores={tmp_path}/{dataset}.csv",
        )  # fmt: skip
    settings = {
        "protocol": "toy", "methods": {"lpet": "no processing"},
        "datasets": {"phantom": "simulated", "mine": "scanned"}, "published_settings": [],
        "doses": {}, "acquisition": "none", "rays": 1, "evaluation": EVALUATION,
    }  # fmt: skip
    for step, *outputs in (
        ("tables", "tables=tables.csv", "readable=tables.md", "tables_section=section.json"),
        ("export", "csv=table1.csv", "figure=table1.png"),
    ):
        package.run(
            step, "--settings", json.dumps(settings),
            "--in", *(f"scores={tmp_path}/{dataset}.csv" for dataset in packed),
            "--out", *(output.replace("=", f"={tmp_path}/") for output in outputs),
        )  # fmt: skip

    with (tmp_path / "tables.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] in NEW]
    found = {(row["dataset"], row["metric"]): float(row["mean"]) for row in rows}
    with open_hdf5(packed["phantom"], kind="dataset") as file:
        low, truth, head, labels = (read_array(file, n) for n in ("low", "truth", "head", "labels"))
    errors = [abs(low[row] - truth[row])[head[row] > 0].mean() for row in range(2)]
    tissue = [low[row][labels[row] == 2].mean() for row in range(2)]
    assert found == {
        ("phantom", "error_of_truth"): pytest.approx(np.mean(errors), rel=1e-5),
        ("phantom", "mean_of_tissue_2"): pytest.approx(np.mean(tissue), rel=1e-5),
        ("phantom", "lesion_pixels"): 6.0,
        ("mine", "lesion_pixels"): 6.0,
    }, "scans have neither truth nor tissues"
    (row,) = [row for row in rows if (row["dataset"], row["metric"]) == ("phantom", "error_of_truth")]
    assert row["metric_id"] == (
        "error_of_truth:ref=standard,scale=units,window=head_box,range=standard_max,mask=none,mean=slices"
    )
    page = render_markdown(read_section(tmp_path / "section.json"))
    assert "| error of truth (kBq/ml) | tissue 2 (kBq/ml) | lesions (pixels) |" in page
    assert f"{np.mean(errors):.4f} ± " in page
    assert " | 6 ± 0 | " in page


def test_one_entry_against_the_truth_reaches_its_table_and_no_other(
    package: EditedPackage, tmp_path: Path
) -> None:
    packed = write_test_sets(tmp_path)["phantom"]
    names = {"dataset": "phantom", "setting": "low", "method": "lpet", "replicate": "r0"}
    settings = {**names, "learning": "-", "evaluation": EVALUATION}
    package.run(
        "score", "--settings", json.dumps(settings),
        "--in", f"restored={tmp_path}/phantom_lpet.h5", f"test={packed}",
        "--out", f"scores={tmp_path}/phantom.csv",
    )  # fmt: skip
    package.run(
        "truth", "--settings", json.dumps({"methods": ["lpet"], "evaluation": EVALUATION}),
        "--in", f"scores={tmp_path}/phantom.csv", f"test={packed}",
        "--out", f"table={tmp_path}/truth.csv", f"standard={tmp_path}/standard.csv",
        f"section={tmp_path}/section.json",
    )  # fmt: skip
    with (tmp_path / "truth.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "mae"]
    with open_hdf5(packed, kind="dataset") as file:
        truth, head = read_array(file, "truth"), read_array(file, "head") > 0
        images = {"standard dose": read_array(file, "standard"), "lpet": read_array(file, "low")}
    assert {row["method"]: float(row["mean"]) for row in rows} == {
        method: pytest.approx(
            np.mean([abs(image[row] - truth[row])[head[row]].mean() for row in range(2)]), rel=1e-5
        )
        for method, image in images.items()
    }
    assert "MAE to the truth" in (tmp_path / "section.json").read_text()
