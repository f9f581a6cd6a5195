"""The stage ``gallery`` on small files in the real schema."""

from __future__ import annotations

import numpy as np
import pytest
from packed import PIXELS, write_packed

from quietpet.errors import InputError
from quietpet.evaluation.gallery import MEDIAN_ERROR, MOST_LESION
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings, write_hdf5
from quietpet.files.named import Files
from quietpet.files.sections import read_section
from quietpet.files.text import read_json
from quietpet.jobs.evaluation import GalleryJob
from quietpet.provenance import file_digest
from quietpet.stages import gallery

LINEAGE = {"data_source": "brainweb", "projector": "embedded", "registration": "-"}


def write_test(folder, *, lesions_in=(), **options):
    """A packed test set whose rows ``lesions_in`` have a lesion, each larger than the one before."""
    path = write_packed(folder / "packed.h5", split="test", slices=4, **options)
    names = ("low", "standard", "t1", "head", "t1_lesions", "has_t1")
    with open_hdf5(path, kind="dataset") as file:
        arrays = {name: file[name][()] for name in names}
        arrays |= {name: np.array(read_strings(file, name)) for name in ("key", "subject")}
    lesions = np.zeros((4, PIXELS, PIXELS), np.uint8)
    for size, row in enumerate(lesions_in, start=2):
        lesions[row, 30 : 30 + size, 30 : 30 + size] = 1
    attributes = {
        "dataset": "phantom", "setting": "low", "split": "test", "lineage": LINEAGE, "pixel_mm": 2.0,
        "units": {"standard": "kBq/ml"},
    }  # fmt: skip
    target = folder / "test.h5"
    write_hdf5(target, kind="dataset", arrays={**arrays, "pet_lesions": lesions}, attributes=attributes)
    return target


def write_restored(path, test, *, factors, method, **changed):
    """The standard dose times a factor for each slice."""
    with open_hdf5(test, kind="dataset") as file:
        standard, key = read_array(file, "standard"), np.array(read_strings(file, "key"))
    single = (standard * np.reshape(factors, (-1, 1, 1))).astype(np.float32)
    attributes = {"dataset": "phantom", "setting": "low", "method": method, **changed}
    write_hdf5(path, kind="restored", arrays={"single": single, "key": key}, attributes=attributes)
    return path


def run(folder, test, restored):
    outputs = {name: [folder / f"out.{name}"] for name in ("png", "svg", "section")}
    job = GalleryJob(dataset="phantom", setting="low", low_dose=("lpet",))
    gallery.run(job, Files({"test": [test], "restored": restored}), Files(outputs))
    return read_section(outputs["section"][0])


def test_the_slice_with_most_lesion_is_drawn_as_png_and_svg(tmp_path):
    test = write_test(tmp_path, lesions_in=(1, 3), without_t1=(3,))
    restored = [
        write_restored(tmp_path / f"{name}.h5", test, factors=[factor] * 4, method=name)
        for name, factor in (("lpet", 2.0), ("unet", 1.1), ("mfdiff", 0.8))
    ]
    section = run(tmp_path, test, restored)
    assert f"Slice `00_s3_r0` of test subject 00, {MOST_LESION}" in section.summary
    rows = section.tables[0].rows
    assert [row["method"] for row in rows] == ["unet", "mfdiff"]  # the low dose has a panel of its own
    np.testing.assert_allclose([row["nmse"] for row in rows], [0.01, 0.04], rtol=1e-5)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "out.svg").read_text()
    assert ">mfdiff<" in svg.replace("\n", "")


def test_it_says_how_it_was_made(tmp_path):
    test = write_test(tmp_path)
    restored = [write_restored(tmp_path / "unet.h5", test, factors=[1.0, 1.1, 1.2, 1.3], method="unet")]
    outputs = {name: [tmp_path / f"out.{name}"] for name in ("png", "svg", "section", "provenance")}
    job = GalleryJob(dataset="phantom", setting="low")
    gallery.run(job, Files({"test": [test], "restored": restored}), Files(outputs))
    record = read_json(outputs["provenance"][0])
    assert record["stage"] == "gallery"
    assert record["inputs"] == {str(path): file_digest(path) for path in (*restored, test)}


def test_the_same_files_give_the_same_bytes(tmp_path):
    test = write_test(tmp_path, lesions_in=(1,))
    restored = [write_restored(tmp_path / "unet.h5", test, factors=[1.1] * 4, method="unet")]
    run(tmp_path, test, restored)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out.*")}
    run(tmp_path, test, restored)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out.*")} == before


def test_without_lesions_the_slice_of_median_error_is_drawn(tmp_path):
    test = write_test(tmp_path)
    restored = [
        write_restored(tmp_path / f"{name}.h5", test, factors=factors, method=name)
        for name, factors in (("unet", [1.4, 1.1, 1.2, 1.3]), ("mfdiff", [1.4, 1.1, 1.22, 1.3]))
    ]
    section = run(tmp_path, test, restored)
    # NMSE of the slices 0.16, 0.01, about 0.044 and 0.09: the third is the lower one in the middle.
    assert f"Slice `00_s2_r0` of test subject 00, {MEDIAN_ERROR}" in section.summary


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"setting": "half"}, "holds setting 'half', this job shows 'low'"),
        ({"method": "unet"}, "is of the method 'unet', as .*first.h5 is; give one"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, changed, message):
    test = write_test(tmp_path)
    first = write_restored(tmp_path / "first.h5", test, factors=[1.1] * 4, method="unet")
    values = {"method": "mfdiff", **changed}
    second = write_restored(tmp_path / "second.h5", test, factors=[1.1] * 4, **values)
    with pytest.raises(InputError, match=f"second.h5: {message}"):
        run(tmp_path, test, [first, second])
    assert not list(tmp_path.glob("out.*"))


def test_slices_of_another_test_set_are_refused(tmp_path):
    test = write_test(tmp_path)
    (tmp_path / "other").mkdir()
    other = write_test(tmp_path / "other", seed=1)
    restored = write_restored(tmp_path / "unet.h5", other, factors=[1.1] * 4, method="unet")
    with pytest.raises(InputError, match=r"unet\.h5: its slices are not those of .*test\.h5; run"):
        run(tmp_path, test, [restored])


def test_the_low_dose_alone_is_no_comparison(tmp_path):
    test = write_test(tmp_path)
    restored = write_restored(tmp_path / "lpet.h5", test, factors=[1.1] * 4, method="lpet")
    with pytest.raises(InputError, match="restores nothing"):
        run(tmp_path, test, [restored])
