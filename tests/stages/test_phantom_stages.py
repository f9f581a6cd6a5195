from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quietpet.config.datasets import SliceSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings
from quietpet.files.named import Files
from quietpet.files.text import read_json
from quietpet.geometry.grid import mmr_grid
from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.stages import fetch, phantom, slices

INDICES = (65, 71)


def _phantom_job(subject: str = "04", **changes: object) -> PhantomJob:
    settings = PhantomSettings()
    values = {
        name: getattr(settings, name) for name in ("activity", "mu_per_cm", "t1", "lesions", "template")
    }
    return PhantomJob(
        study_seed=0,
        subject=subject,
        scanner_model="siemens_mmr",
        image_pixels=128,
        **(values | changes),
    )


def _make(folder: Path, volume: dict[str, list[Path]]) -> tuple[Path, Path]:
    made = folder / "phantom.h5", folder / "slices.h5"
    phantom.run(_phantom_job(), Files(volume), Files({"phantom": [made[0]]}))
    job = SlicesJob(study_seed=0, subject="04", slices=SliceSettings(indices=INDICES, rotations=3))
    slices.run(job, Files({"phantom": [made[0]]}), Files({"slices": [made[1]]}))
    return made


@pytest.fixture(scope="module", params=["template", "brainweb"])
def made(request, tmp_path_factory) -> tuple[str, Path, Path]:
    """Source, phantom file and slice file of one subject."""
    volume = {}
    if request.param == "brainweb":
        volume = {
            "labels": [request.getfixturevalue("shared") / "brainweb" / "subject_04.bin.gz"],
            "sources": [request.getfixturevalue("repository") / "workflow" / "sources.tsv"],
        }
    return (request.param, *_make(tmp_path_factory.mktemp(request.param), volume))


def test_the_phantom_file_says_what_it_is(made) -> None:
    source, path, _ = made
    with open_hdf5(path, kind="phantom") as file:
        assert read_attribute(file, "lineage") == {"data_source": source}
        assert read_attribute(file, "subject") == "04"
        np.testing.assert_allclose(read_attribute(file, "affine_ras_mm"), mmr_grid(128).affine_ras_mm)
        assert {name: (file[name].shape, file[name].dtype) for name in file} == {
            **dict.fromkeys(("activity", "mu_per_cm", "t1"), ((127, 128, 128), np.float32)),
            **dict.fromkeys(("labels", "pet_lesions", "t1_lesions"), ((127, 128, 128), np.uint8)),
        }
        provenance = read_attribute(file, "provenance")
    assert provenance["stage"] == "phantom"
    assert len(provenance["inputs"]) == (2 if source == "brainweb" else 0)


def test_maps_stay_within_their_values(made) -> None:
    _, path, _ = made
    with open_hdf5(path, kind="phantom") as file:
        activity, mu, t1 = (read_array(file, name) for name in ("activity", "mu_per_cm", "t1"))
    assert (activity.min(), activity.max()) == (0, 144)
    assert mu.max() == pytest.approx(0.13, rel=1e-6)
    assert t1.max() == pytest.approx(231)


def test_lesions_of_pet_and_t1_are_independent_and_painted_where_listed(made) -> None:
    _, path, _ = made
    with open_hdf5(path, kind="phantom") as file:
        table = read_attribute(file, "lesions")
        volumes = {name: read_array(file, f"{name}_lesions") for name in ("pet", "t1")}
        activity = read_array(file, "activity")
    assert [len(table[name]) for name in ("pet", "t1")] == [15, 15]
    centres = [{tuple(lesion["centre_index"]) for lesion in table[name]} for name in ("pet", "t1")]
    assert not centres[0] & centres[1]
    for name, numbers in volumes.items():
        last = table[name][-1]  # nothing is painted over the last one
        where = np.argwhere(numbers == last["number"])
        np.testing.assert_allclose(where.mean(axis=0), last["centre_index"], atol=0.5)
        assert not last["hot"]
    hot = [lesion["number"] for lesion in table["pet"] if lesion["hot"]]
    assert np.median(activity[np.isin(volumes["pet"], hot)]) == 144


def test_slices_are_cut_from_the_phantom(made) -> None:
    source, path, sliced = made
    with open_hdf5(path, kind="phantom") as file:
        maps = {name: read_array(file, name) for name in file}
        affine = read_attribute(file, "affine_ras_mm")
    with open_hdf5(sliced, kind="slices") as file:
        assert read_attribute(file, "lineage") == {"data_source": source}
        assert read_attribute(file, "affine_ras_mm") == affine
        rows = {name: read_array(file, name) for name in file if name != "key"}
        keys = read_strings(file, "key")
    assert keys == [f"04/z{z:03d}/r{r}" for z in INDICES for r in range(3)]
    assert rows["slice_index"].tolist() == [65] * 3 + [71] * 3
    assert rows["rotation"].tolist() == [0, 1, 2] * 2
    np.testing.assert_allclose(rows["slice_mm"], (rows["slice_index"] - 63) * 2.03125)
    assert rows["angle_deg"][0] == rows["angle_deg"][3] == 0
    np.testing.assert_array_equal(rows["angle_deg"][:3], rows["angle_deg"][3:])
    for name, volume in maps.items():
        np.testing.assert_array_equal(rows[name][[0, 3]], volume[list(INDICES)])
        assert rows[name].dtype == volume.dtype
    np.testing.assert_array_equal(rows["head"][0], maps["mu_per_cm"][65] > 0)


def test_rotation_keeps_the_total_activity(made) -> None:
    _, _, sliced = made
    with open_hdf5(sliced, kind="slices") as file:
        total = read_array(file, "activity").sum(axis=(1, 2))
    np.testing.assert_allclose(total[1:3], total[0], rtol=2e-3)


def test_fetch_writes_its_decision(shared: Path, repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "source.json"
    job = FetchJob(
        source="auto", subjects=("04", "53"), cache_dir=str(shared / "brainweb"), cache_is_named=True
    )
    sources = Files({"sources": [repository / "workflow" / "sources.tsv"]})
    fetch.run(job, sources, Files({"decision": [target]}))
    decision = read_json(target)
    assert decision["source"] == "brainweb"
    assert decision["volumes"] == {
        s: str(shared / "brainweb" / f"subject_{s}.bin.gz") for s in ("04", "53")
    }


def test_fetch_of_the_template_needs_no_files(repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "source.json"
    job = FetchJob(
        source="template", subjects=("a", "b"), cache_dir=str(tmp_path / "absent"), cache_is_named=True
    )
    sources = Files({"sources": [repository / "workflow" / "sources.tsv"]})
    fetch.run(job, sources, Files({"decision": [target]}))
    decision = read_json(target)
    assert (decision["source"], decision["volumes"]) == ("template", {})
    assert not (tmp_path / "absent").exists()
