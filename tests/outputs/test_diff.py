"""``quietpet diff``: one change in a folder of results is found, placed and explained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
import torch
from small_results import VOLUMES, edit_hdf5, edit_record, small_results

from quietpet.cli import main
from quietpet.files.nifti import write_series
from quietpet.files.tensors import read_tensors, write_tensors
from quietpet.files.text import write_csv, write_json
from quietpet.files.volumes import read_volume, write_volume
from quietpet.files.workbook import Sheet, SheetColumn, write_workbook
from quietpet.geometry.volume import Volume

SINOGRAMS = "sinograms/phantom/45/low.h5"
IMAGES = "images/phantom/45/low.h5"
WEIGHTS = "models/phantom/low/unet/r0/weights.safetensors"
SCAN = "invivo/ds_sub-01/standard.nii.gz"
REGISTRATION = "invivo/ds_sub-01/registered/registration.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return small_results(tmp_path_factory.mktemp("made") / "study")


@pytest.fixture
def pair(made, tmp_path) -> tuple[Path, Path]:
    """Two copies of the same folder of results; the second is there to be changed."""
    one, other = tmp_path / "one/results", tmp_path / "other/results"
    for place in (one, other):
        shutil.copytree(made, place)
    return one, other


def compared(one: Path, other: Path, *options: str) -> tuple[int, dict]:
    report = other.with_name(f"{other.name}.report")
    status = main(["diff", str(one), str(other), "--json", str(report), *options])
    return status, json.loads(report.read_text())


def with_pixel(path: Path, name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with h5py.File(root / path, "r+") as file:
            values = file[name][()]
            values[1, 2, 3] += 1
            file[name][...] = values

    return change


def with_voxel(root: Path) -> None:
    volume = read_volume(root / SCAN)
    values = volume.values.copy()
    values[0, 0, 0] += 0.5
    write_volume(root / SCAN, Volume(values=values, affine_ras_mm=volume.affine_ras_mm))


def moved(root: Path) -> None:
    volume = read_volume(root / SCAN)
    affine = np.diag([1, 1, 1.5, 1.0])
    write_volume(root / SCAN, Volume(values=volume.values, affine_ras_mm=affine))


def with_weight(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        tensors, record = read_tensors(root / WEIGHTS)
        tensors[name][0] += 0.5
        write_tensors(root / WEIGHTS, tensors, record)

    return change


def with_painted(root: Path) -> None:
    image = matplotlib.image.imread(root / "tables.png")
    image[0, 0, 0] = 1 - image[0, 0, 0]
    matplotlib.image.imsave(root / "tables.png", image)


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return change


CONTENT = {
    "a count": (with_pixel(SINOGRAMS, "prompts"), "simulate", "`prompts` at 1 of 192 values, largest"),
    "a pixel": (
        with_pixel(IMAGES, "image"),
        "reconstruct",
        "`image` at 1 of 192 values, largest",
    ),
    "a name": (
        lambda root: edit_hdf5(root / SINOGRAMS, "key", np.array([b"45-1", b"45-9", b"45-3"])),
        "simulate",
        "`key` at 1 of 3 values",
    ),
    "a voxel": (with_voxel, "import_scan", "`voxels` at 1 of 64 values, largest difference 0.5"),
    "a header": (moved, "import_scan", "`pixdim[3]` is 1 against 1.5"),
    "a weight": (with_weight("a"), "fit", "`a` at 1 of 4 values, largest difference 0.5 (relative 1)"),
    "half a weight": (with_weight("b"), "fit", "`b` at 1 of 2 values, largest difference 0.5 (relative"),
    "a painted pixel": (with_painted, "tables", "`pixels` at 1 of 144 values"),
    "a loss": (
        replaced("models/phantom/low/unet/r0/training.csv", "0.5", "0.6"),
        "fit",
        "column `loss` at 1 of 1 rows, largest difference 0.1 (relative 0.17); first in line 2",
    ),
    "a score": (
        replaced("scores/phantom/low/unet/r0.csv", "30.1429", "31.1429"),
        "score",
        "column `psnr` at 1 of 3 rows, largest difference 1 (relative 0.032); first in line 3",
    ),
    "a word": (replaced("tables.md", "30.1", "30.2"), "tables", "the text from line 3 on"),
    "a key": (replaced(REGISTRATION, "0.5", "0.6"), "register", "`offset_mm` is 0.5 against 0.6"),
    "a sum": (replaced("counts.csv", "799", "798"), "counts", "column `counts` at 1 of 3 rows"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_a_changed_value_is_found_where_it_is(pair, name):
    change, step, told = CONTENT[name]
    change(pair[1])
    status, found = compared(*pair)
    (file,) = found["files"]
    assert (status, found["first_step"], file["kind"]) == (1, step, "content")
    assert told in file["told"]


def test_unexplained_values_are_said_to_be(pair):
    with_pixel(SINOGRAMS, "prompts")(pair[1])
    _, found = compared(*pair)
    assert "settings, code, versions and inputs are recorded alike" in found["files"][0]["reason"]


def test_files_without_a_record_are_said_to_have_none(pair):
    replaced("counts.csv", "799", "798")(pair[1])
    _, found = compared(*pair)
    assert found["files"][0]["reason"] == "no record says how it was made"


ORIGINS = {
    "a setting": (
        {"settings": {"study_seed": 0, "cache_dir": "x", "doses": {"counts": 1e8}}},
        "its settings differ in doses.counts: 9e+07 against 1e+08",
    ),
    "code": (
        {"code": "other", "modules": {"stages.simulate": "1a", "recon.osem": "3c"}},
        "its code differs in recon.osem",
    ),
    "a version": (
        {"versions": {"numpy": "2.4.6", "torch": "2.14.0"}},
        "torch is 2.13.0 against 2.14.0",
    ),
    "Python": ({"python": "3.12.1"}, "Python is 3.11.7 against 3.12.1"),
    "the device": ({"device": "cuda:0"}, "the device is cpu against cuda:0"),
    "an input": (
        {"inputs": {"elsewhere/subject_45.bin.gz": "other"}},
        "its input subject_45.bin.gz",
    ),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_another_origin_of_the_same_values(pair, name):
    entries, told = ORIGINS[name]
    edit_record(pair[1] / SINOGRAMS, **entries)
    status, found = compared(*pair)
    (file,) = found["files"]
    assert (status, found["first_step"], file["kind"]) == (1, "simulate", "origin")
    assert told in file["reason"]
    assert compared(*pair, "--values")[0] == 0


@pytest.mark.parametrize("name", ORIGINS)
def test_another_origin_explains_other_values(pair, name):
    entries, told = ORIGINS[name]
    edit_record(pair[1] / SINOGRAMS, **entries)
    with_pixel(SINOGRAMS, "prompts")(pair[1])
    with_pixel(IMAGES, "image")(pair[1])
    _, found = compared(*pair)
    first, follower = found["files"]
    assert first["path"] == SINOGRAMS
    assert told in first["reason"]
    assert follower["follows"] == [SINOGRAMS]
    assert not follower["begins_here"]


def test_another_volume_of_labels(tmp_path):
    """The digest of what a study is made of counts, wherever it lies."""
    one, other = (small_results(tmp_path / name) for name in ("one", "other"))
    assert main(["diff", str(one), str(other)]) == 0
    volume = tmp_path / "third" / VOLUMES / "subject_45.bin.gz"
    third = small_results(tmp_path / "third")
    volume.write_bytes(b"other labels")
    with h5py.File(third / "slices/phantom/45.h5") as file:
        inputs = json.loads(file.attrs["provenance"])["inputs"]
    edit_record(third / "slices/phantom/45.h5", inputs=dict.fromkeys(inputs, "0"))
    _, found = compared(one, third)
    (file,) = found["files"]
    assert (file["step"], file["reason"]) == ("slices", "its input subject_45.bin.gz differs")


def test_times_speeds_folders_and_processors_do_not_count(pair):
    root = pair[1]
    for path in (SINOGRAMS, IMAGES, REGISTRATION, "tables.json"):
        edit_record(root / path, wall_s=99.0, made="2030-01-01T00:00:00+00:00", processor="arm")
    replaced(REGISTRATION, "7.7", "8.8")(root)
    replaced("models/phantom/low/unet/r0/training.csv", "12.0", "3.0")(root)
    replaced("models/phantom/low/unet/r0/card.md", "12.1", "3.1")(root)
    replaced("models/phantom/low/unet/r0/card.md", "noon", "midnight")(root)
    assert compared(*pair) == (
        0,
        {
            "sides": [str(place) for place in pair],
            "status": 0,
            "equal": sum(1 for path in root.rglob("*") if path.is_file()),
            "first_step": None,
            "files": [],
        },
    )


def test_other_filters_of_hdf5_hold_the_same(pair):
    """What is stored otherwise, and so has another digest, is no difference."""
    path = pair[1] / SINOGRAMS
    with h5py.File(path, "r+") as file:
        values = file["prompts"][()]
        del file["prompts"]
        file.create_dataset("prompts", data=values, compression="gzip")
    assert compared(*pair)[0] == 0


def test_a_truncated_file_is_damaged(pair):
    path = pair[1] / SINOGRAMS
    path.write_bytes(path.read_bytes()[:-100])
    status, found = compared(*pair)
    (file,) = found["files"]
    assert (status, file["kind"], file["step"]) == (1, "damaged", "simulate")
    assert f"{path}: damaged" in file["told"]


@pytest.mark.parametrize("path", [SCAN, "tables.png", WEIGHTS, REGISTRATION])
def test_half_of_any_file_is_damaged(pair, path):
    place = pair[1] / path
    whole = place.read_bytes()
    place.write_bytes(whole[: len(whole) // 2])
    status, found = compared(*pair)
    (file,) = found["files"]
    assert (status, file["kind"], file["path"]) == (1, "damaged", path)


@pytest.mark.parametrize("side", [0, 1])
def test_missing_files_are_listed(pair, side):
    (pair[side] / IMAGES).unlink()
    status, found = compared(*pair)
    (file,) = found["files"]
    assert (status, file["kind"], file["step"]) == (1, "missing", "reconstruct")
    assert file["told"] == f"{IMAGES} is in {pair[1 - side]} and not in {pair[side]}"


def test_rows_and_columns_of_tables(pair):
    path = pair[1] / "counts.csv"
    path.write_text("subject,counts,more\n45,801,1\n45,799,1\n")
    _, found = compared(*pair)
    told = [part["part"] + " " + part["how"] for part in found["files"][0]["differences"]]
    assert told == ["column `more` is in the second alone", "the table has 3 rows against 2"]


TABLES = {
    "of a text": ("a.md", "a,b\n1,2", "a.csv", "a,b\n1,2\n", "the file is a text against a table"),
    "of values": ("a.csv", "a,b\n1,2\n", "a.json", "[]", "the file is a table against values"),
    "of a page": ("a.csv", "a,b\n1,2\n", "a.html", "<p>", "the file is a table against a text"),
    "a cell more": ("a.csv", "a,b\n1,2\n", "b.csv", "a,b\n1,2,9\n", "in line 2"),
    "a cell less": ("a.csv", "a,b\n1,\n", "b.csv", "a,b\n1\n", "in line 2"),
    "a cell beyond": ("a.csv", "a\n1,2\n", "b.csv", "a\n1,3\n", "beyond its header"),
    "a cell beyond in a row more": ("a.csv", "a\n1,2\n", "b.csv", "a\n1,2\n1\n", "1 rows against 2"),
    "a repeated name": ("a.csv", "a,a\n1,2\n", "b.csv", "a,a\n1,5\n", "column `a` at 1 of 1 rows"),
    "a name more often": (
        "a.csv",
        "a\n1\n",
        "b.csv",
        "a,a\n1,1\n",
        "`a` stands more often in the second",
    ),
    "a name less often": ("a.csv", "a,b,a\n1,2,3\n", "b.csv", "a,b\n1,2\n", "more often in the first"),
    "another order": ("a.csv", "a,b,a\n1,2,3\n", "b.csv", "a,a,b\n1,3,2\n", "in another order"),
    "an empty file": ("a.csv", "", "b.csv", "a,b\n", "the header is in the second alone"),
    "an empty line": ("a.csv", "\na\n", "b.csv", "\nb\n", "beyond its header"),
    "an array": ("a.bin", "1", "a.csv", "2", "the file is values against a table"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_differ_only_in_their_form(tmp_path, name):
    first, one, second, other, told = TABLES[name]
    (tmp_path / first).write_text(one)
    (tmp_path / second).write_text(other)
    for paths in ((first, second), (second, first)):
        status, found = compared(*(tmp_path / path for path in paths))
        assert status == 1
        if paths[0] == first:
            assert told in found["files"][0]["told"]


def test_measured_columns_do_not_hide_what_is_beyond_the_header(pair):
    path = "models/phantom/low/unet/r0/training.csv"
    for root, more in zip(pair, (",7", ",8"), strict=True):
        (root / path).write_text(f"step,iterations_per_s\n1,1{more[1]}{more}\n")
    assert compared(*pair)[0] == 1


def test_shapes_types_and_arrays_of_one_side(pair):
    with h5py.File(pair[1] / SINOGRAMS, "r+") as file:
        values = file["prompts"][()]
        del file["prompts"]
        file["prompts"] = values.astype(np.float32)
        file["more"] = values
    with h5py.File(pair[1] / IMAGES, "r+") as file:
        del file["image"]
        file["image"] = np.zeros((3, 8, 9), np.float32)
    _, found = compared(*pair)
    sinograms, images = found["files"]
    assert "`prompts` is int32 against float32" in sinograms["told"]
    assert "`more` is in the second alone" in sinograms["told"]
    assert "`image` has the shape (3, 8, 8) against (3, 8, 9)" in images["told"]


def test_tolerance_is_relative(pair):
    with h5py.File(pair[1] / IMAGES, "r+") as file:
        file["image"][...] = file["image"][()] * np.float32(1 + 1e-5)
    replaced("tables.csv", "30.1429", "30.143")(pair[1])
    assert compared(*pair)[0] == 1
    assert compared(*pair, "--tolerance", "1e-4")[0] == 0
    status, found = compared(*pair, "--tolerance", "1e-6")
    assert status == 1
    difference = found["files"][0]["differences"][0]
    assert difference["relative"] == pytest.approx(1e-5, rel=0.02)


def test_nan_is_like_nan_alone(pair):
    for root, row in zip(pair, (0, 1), strict=True):
        with h5py.File(root / IMAGES, "r+") as file:
            file["image"][0, 0, 0] = np.nan
            file["image"][1, 0, row] = np.nan
    _, found = compared(*pair, "--tolerance", "1e-3")
    (difference,) = found["files"][0]["differences"]
    assert difference["count"] == 2


def test_the_first_of_several_steps_is_told_first(pair, capsys):
    with_pixel(IMAGES, "image")(pair[1])
    with_weight("a")(pair[1])
    with_pixel("restored/phantom/low/unet/r0.h5", "single")(pair[1])
    capsys.readouterr()
    assert main(["diff", *map(str, pair)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "3 of 19 files differ" in lines[0]
    assert "The first step that differs is `reconstruct`" in lines[0]
    assert lines[1].lstrip().startswith(f"{IMAGES} differs in `image` at 1 of 192 values")
    assert lines[2] == "Step `fit` differs, too:"
    assert lines[-1].startswith("Step `restore`: 1 file that follows from inputs that differ")


def test_studies_are_compared_by_their_results(pair):
    assert main(["diff", *(str(root.parent) for root in pair)]) == 0


def test_a_part_of_two_folders_keeps_its_steps(pair):
    with_pixel(SINOGRAMS, "prompts")(pair[1])
    status, found = compared(*(root / "sinograms/phantom" for root in pair))
    assert (status, found["first_step"], found["files"][0]["path"]) == (1, "simulate", SINOGRAMS)


def test_two_files(pair):
    one, other = (root / "scores/phantom/low/unet/r0.csv" for root in pair)
    assert compared(one, other)[0] == 0
    replaced("scores/phantom/low/unet/r0.csv", "30.1429", "31.1429")(pair[1])
    edit_record(other.with_suffix(".json"), versions={"numpy": "1.26", "torch": "2.13.0"})
    status, found = compared(one, other)
    assert (status, found["first_step"]) == (1, "score")
    assert found["files"][0]["reason"] == "numpy is 2.4.6 against 1.26"


def test_two_files_of_other_names(pair):
    other = (pair[1] / SINOGRAMS).with_name("less.h5")
    shutil.copy(pair[1] / SINOGRAMS, other)
    assert compared(pair[0] / SINOGRAMS, other)[0] == 0
    edit_record(other, python="3.12.1")
    status, found = compared(pair[0] / SINOGRAMS, other)
    assert (status, found["files"][0]["reason"]) == (1, "Python is 3.11.7 against 3.12.1")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("one", "absent"), "absent: cannot be compared (No such file or directory)"),
        (("one", "one/results/tables.csv"), "is a folder and"),
        (("one", "empty"), "empty: holds no files"),
    ],
)
def test_trouble_is_status_2_and_one_sentence(pair, tmp_path, capsys, names, told):
    (tmp_path / "empty").mkdir()
    assert main(["diff", *(str(tmp_path / name) for name in names)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


@pytest.mark.parametrize("tolerance", ["-1", "1", "nan", "few"])
def test_tolerances_that_are_none(capsys, tolerance):
    with pytest.raises(SystemExit, match="2"):
        main(["diff", "a", "b", f"--tolerance={tolerance}"])
    assert "--tolerance" in capsys.readouterr().err


def test_halves_of_floats_are_read_as_their_values(tmp_path):
    """bfloat16 is no type of numpy."""
    for name, value in (("one", 1.5), ("other", 1.25)):
        tensors = {"w": torch.full((3,), value, dtype=torch.bfloat16)}
        write_tensors(tmp_path / f"{name}.safetensors", tensors, {})
    _, found = compared(tmp_path / "one.safetensors", tmp_path / "other.safetensors")
    assert found["files"][0]["differences"][0]["largest"] == 0.25


PAGE = """\
<main>
<h2 id="a">Samplers</h2>
<thead><tr>
<th scope="col">Sampler</th>
<th scope="col" class="number">Seconds per sample</th>
</tr></thead>
<tr>
<th scope="row" data-sort="ddim">ddim</th>
<td data-sort="0.75">0.75</td>
</tr>
<h2 id="b">How it was made</h2>
<td>written at noon, in 3 s</td>
<h2 id="c">Limits</h2>
<p>few slices</p>
</main>
<footer><p>Made at noon.</p></footer>
"""


def test_how_the_report_was_made_does_not_count(pair):
    for root in pair:
        (root / "report.html").write_text(PAGE)
    replaced("report.html", "noon", "midnight")(pair[1])
    replaced("report.html", "0.75", "0.81")(pair[1])
    assert compared(*pair)[0] == 0
    replaced("report.html", "few slices", "many slices")(pair[1])
    status, found = compared(*pair)
    assert (status, found["first_step"]) == (1, "report")
    assert "few slices</p> against <p>many slices" in found["files"][0]["told"]


def test_seconds_per_sample_do_not_count(pair):
    """Of the plan, the table and the section; its other columns do."""
    for root, seconds in zip(pair, ("0.75", "0.81"), strict=True):
        row = {"sampler": "ddim", "seconds_per_sample": float(seconds)}
        write_json(root / "sampling/phantom/low/mfdiff.json", {"rows": [row]})
        write_json(root / "sections/sampling.json", {"tables": [{"rows": [row]}]})
        write_csv(root / "sampling.csv", tuple(row), [row])
        head = "| Sampler | Seconds per sample |\n| --- | --- |\n"
        (root / "sampling.md").write_text(f"{head}| ddim | {seconds} |\n")
    assert compared(*pair)[0] == 0
    for path in ("sampling/phantom/low/mfdiff.json", "sampling.csv", "sampling.md"):
        replaced(path, "ddim", "heun")(pair[1])
    _, found = compared(*pair)
    assert [file["step"] for file in found["files"]] == ["plan", "sampling", "sampling"]


def test_workbooks_by_cells(pair):
    for root, value in zip(pair, (30.1, 30.2), strict=True):
        columns = tuple(SheetColumn(heading=name) for name in ("method", "mean"))
        sheet = Sheet(name="psnr", columns=columns, rows=(("unet", value),))
        write_workbook(root / "tables.xlsx", [sheet])
    status, found = compared(*pair)
    assert (status, found["first_step"]) == (1, "tables")
    assert "`psnr!B2` is 30.1 against 30.2" in found["files"][0]["told"]
    assert compared(*pair, "--tolerance", "0.01")[0] == 0


def test_damaged_workbooks_are_told(tmp_path):
    """Whichever byte is wrong, there is an answer: another cell, or one sentence."""
    one, other = tmp_path / "one.xlsx", tmp_path / "other.xlsx"
    sheet = Sheet(name="psnr", columns=(SheetColumn(heading="mean"),), rows=((30.1,),))
    write_workbook(one, [sheet])
    whole = one.read_bytes()
    for place in range(0, len(whole), 41):
        data = bytearray(whole)
        data[place] ^= 16
        other.write_bytes(data)
        assert compared(one, other)[0] in (0, 1)


@pytest.mark.parametrize("depth", [800, 100_000])
def test_deeply_nested_json_is_compared_or_told(tmp_path, depth):
    for name, value in (("one", 1), ("other", 2)):
        (tmp_path / f"{name}.json").write_text(f"{'[' * depth}{value}{']' * depth}")
    status, found = compared(tmp_path / "one.json", tmp_path / "other.json")
    assert status == 1
    (file,) = found["files"]
    assert file["kind"] == ("content" if depth == 800 else "damaged")
    assert depth == 800 or "one.json: not readable as JSON" in file["told"]


def test_a_record_that_is_none_is_compared_as_a_value(tmp_path):
    for name, value in (("one", "by me"), ("other", "by you")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs["provenance"] = f"made {value}"
        (tmp_path / f"{name}.json").write_text(json.dumps({"provenance": [value]}))
    for suffix, told in (("h5", "`provenance` is made by me"), ("json", "`provenance[0]` is by me")):
        status, found = compared(tmp_path / f"one.{suffix}", tmp_path / f"other.{suffix}")
        assert status == 1
        assert told in found["files"][0]["told"]


def test_a_voxel_of_one_frame(pair):
    for root, value in zip(pair, (1.0, 2.0), strict=True):
        series = {"shape": (3, 4, 5), "frames": 3, "affine_ras_mm": np.eye(4), "scale": 0.5}
        with write_series(root / "invivo/ds_sub-01/pet.nii.gz", frame_seconds=9, **series) as writer:
            for frame in range(3):
                writer.append(np.full((3, 4, 5), value if frame == 1 else 3.0))
    _, found = compared(*pair)
    (difference,) = found["files"][0]["differences"]
    assert (difference["count"], difference["total"], difference["largest"]) == (60, 180, 1.0)


def test_long_lines_are_told_where_they_part(pair):
    for root, word in zip(pair, ("more", "less"), strict=True):
        (root / "tables.md").write_text(f"{'alike ' * 50}{word}\n")
    _, found = compared(*pair)
    assert found["files"][0]["told"].endswith(
        "from line 1 on: ...e alike alike alike more against ...e alike alike alike less"
    )


def test_an_input_that_is_gone_is_known_by_its_checksum(pair):
    """Which is another one, too, where only its times are."""
    for root in pair:
        (root / SINOGRAMS).unlink()
    with h5py.File(pair[1] / IMAGES) as file:
        inputs = json.loads(file.attrs["provenance"])["inputs"]
    edit_record(pair[1] / IMAGES, inputs=dict.fromkeys(inputs, "0"))
    assert compared(*pair)[0] == 0
    with_pixel(IMAGES, "image")(pair[1])
    _, found = compared(*pair)
    told = f"its input {SINOGRAMS} has another checksum, of its content or of its times"
    assert found["files"][0]["reason"] == told


def test_dates_of_drawings_do_not_count(pair):
    """matplotlib writes one into SVG."""
    for root, day in zip(pair, ("01", "02"), strict=True):
        drawing = f"<svg>\n<dc:date>2026-01-{day}</dc:date>\n<path d='M 0 0'/>\n</svg>\n"
        (root / "tables.svg").write_text(drawing)
    assert compared(*pair)[0] == 0
    replaced("tables.svg", "M 0 0", "M 0 1")(pair[1])
    assert compared(*pair)[0] == 1
