"""From realisations to tables: the steps `realise`, `recovery` and `recovery_table` on real files."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import realised as made

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.realisations import NoiseMaps, Realisations
from quietpet.files.records import read_record, write_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.sections import read_section
from quietpet.jobs.realisations import RecoveryJob, RecoveryTableJob
from quietpet.stages import realise, recovery, recovery_table

METHODS = ("copied", "empty")


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, on_the_cpu):
    """Realisations of two subjects, and what two methods restore: the low dose, and its absent twin."""
    folder = tmp_path_factory.mktemp("realised")
    slices = []
    for subject in ("04", "05"):
        slices.append(folder / f"{subject}.h5")
        write_record(slices[-1], made.slices(subject), provenance={})
    job = made.job("04", "05", count=4)
    realise.run(job, Files({"slices": slices}), Files({"dataset": [folder / "data.h5"]}))
    data = read_record(folder / "data.h5", Realisations)
    empty = data.low.copy()
    for twin, rows in data.twins.items():
        empty[rows] = data.low[data.twins[twin._replace(lesion_set="absent")]]
    for method, single in zip(METHODS, (data.low, empty), strict=True):
        restored = RestoredSlices(
            dataset="phantom", setting="low", method=method, learning="-", replicate="r0", samples=1,
            lineage=data.lineage, key=data.key, single=single,
        )  # fmt: skip
        write_record(folder / f"{method}.restored.h5", restored, provenance={})
        measure(folder, method)
    return folder


def recovery_files(folder, method):
    inputs = {"restored": [folder / f"{method}.restored.h5"], "test": [folder / "data.h5"]}
    outputs = {
        name: [folder / f"{method}.{name}.{'h5' if name == 'maps' else 'csv'}"]
        for name in ("lesions", "noise", "maps")
    }
    return Files(inputs), Files({**outputs, "provenance": [folder / f"{method}.json"]})


def measure(folder, method, **changed):
    named = {"dataset": "phantom", "setting": "low", "method": method, "replicate": "r0"}
    job = RecoveryJob(**{**named, "learning": "-", **changed})
    recovery.run(job, *recovery_files(folder, method))


def make_tables(folder, out, methods=METHODS):
    out.mkdir(exist_ok=True)
    inputs = {
        name: [folder / f"{method}.{name}.{'h5' if name == 'maps' else 'csv'}" for method in methods]
        for name in ("lesions", "noise", "maps")
    }
    outputs = {
        "recovery": [out / "recovery.csv"], "noise": [out / "bias_variance.csv"],
        **{
            f"{figure}_{suffix}": [out / f"{figure}.{suffix}"]
            for figure in ("recovery", "maps") for suffix in ("png", "svg")
        },
        "section": [out / "section.json"], "provenance": [out / "recovery.json"],
    }  # fmt: skip
    job = RecoveryTableJob(methods=METHODS, low_dose=())
    recovery_table.run(job, Files({**inputs, "test": [folder / "data.h5"]}), Files(outputs))
    return out


def test_each_method_is_measured_lesion_by_lesion(folder):
    data = read_record(folder / "data.h5", Realisations)
    for method in METHODS:
        rows = table(folder / f"{method}.lesions.csv")
        assert len(rows) == len(data.known_lesions)
        assert {row["method"] for row in rows} == {method}
        assert {row["realisations"] for row in rows} == {"4"}
    lost = [float(row["crc"]) for row in table(folder / "empty.lesions.csv")]
    np.testing.assert_allclose(lost, 0, atol=1e-6)
    kept = [float(row["crc"]) for row in table(folder / "copied.lesions.csv")]
    assert min(kept) > 0.2
    for row in table(folder / "copied.noise.csv"):
        parts = float(row["bias_squared"]) + float(row["variance"])
        assert float(row["mse"]) == pytest.approx(parts, rel=1e-4)
    maps = read_record(folder / "copied.maps.h5", NoiseMaps)
    assert maps.lesion_set == ["absent", "present"] * 2
    assert maps.bias.shape == (4, 64, 64)


@pytest.fixture(scope="module")
def tables(folder):
    return make_tables(folder, folder / "tables")


def test_doses_and_methods_stand_beside_each_other(tables):
    out = tables
    rows = [row for row in table(out / "recovery.csv") if row["post_fwhm_mm"] == "0"]
    assert list(dict.fromkeys(row["method"] for row in rows)) == [
        "standard dose", "low dose", "copied", "empty",
    ]  # fmt: skip
    of = {(row["method"], row["kind"]): row for row in rows}
    for kind in ("hot", "cold"):
        assert of["low dose", kind]["crc"] == of["copied", kind]["crc"]
        same = [of[name, kind]["background_variability_percent"] for name in ("low dose", "empty")]
        assert same[0] == same[1]
        assert of["low dose", kind]["n_subjects"] == "2"
    noise = {(row["method"], row["region"]): row for row in table(out / "bias_variance.csv")}
    standard, low = (noise[name, "head"] for name in ("standard dose", "low dose"))
    assert float(standard["sd_percent"]) < 0.5 * float(low["sd_percent"])
    section = read_section(out / "section.json")
    assert [each.file for each in section.figures] == ["recovery.svg", "maps.png"]
    assert all((out / each.file).exists() for each in section.figures)
    assert "Only 4 realisations" in section.warnings[0]


def test_made_again_the_files_are_the_same(folder, tables, tmp_path):
    again = make_tables(folder, tmp_path)
    for path in tables.iterdir():
        if path.name != "recovery.json":
            assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_another_method_leaves_the_rows_of_the_first_as_they_were(folder, tables, tmp_path):
    alone = table(make_tables(folder, tmp_path, METHODS[:1]) / "recovery.csv")
    both = table(tables / "recovery.csv")
    assert [row for row in both if row["method"] != "empty"] == alone


def test_maps_of_one_method_twice_are_refused(folder, tmp_path):
    for method in METHODS:
        for name in ("lesions.csv", "noise.csv", "maps.h5"):
            (tmp_path / f"{method}.{name}").write_bytes((folder / f"{method}.{name}").read_bytes())
    (tmp_path / "data.h5").write_bytes((folder / "data.h5").read_bytes())
    (tmp_path / "empty.maps.h5").write_bytes((folder / "copied.maps.h5").read_bytes())
    with pytest.raises(InputError, match=r"empty\.maps\.h5: maps of copied .* as in .*copied\.maps\.h5"):
        make_tables(tmp_path, tmp_path / "out")


def test_a_restoration_of_something_else_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"copied\.restored\.h5: holds learning '-', this job measures"):
        measure(folder, "copied", learning="external")
    found = read_record(folder / "copied.maps.h5", NoiseMaps)
    for method in METHODS:
        for name in ("lesions.csv", "noise.csv", "maps.h5"):
            (tmp_path / f"{method}.{name}").write_bytes((folder / f"{method}.{name}").read_bytes())
    (tmp_path / "data.h5").write_bytes((folder / "data.h5").read_bytes())
    changed = {**vars(found), "slice_index": found.slice_index + 1}
    write_record(tmp_path / "copied.maps.h5", NoiseMaps(**changed), provenance={})
    with pytest.raises(InputError, match=r"copied\.maps\.h5: its slices are not those of"):
        make_tables(tmp_path, tmp_path / "out")
