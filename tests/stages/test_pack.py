"""What ``pack`` joins must belong together."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_strings, write_hdf5
from quietpet.files.named import Files
from quietpet.files.packed import ReferenceSlices
from quietpet.files.records import read_record
from quietpet.jobs.datasets import PackJob
from quietpet.stages import pack

LINEAGE = {"data_source": "template", "projector": "embedded"}
UNITS = {"activity_units": "kBq/ml", "activity_per_phantom_unit": 0.25}


@pytest.fixture
def files(tmp_path):
    """Slices and images of subject 04: two rows of 32 x 32, low dose marked by a bright pixel."""
    keys = np.array(["04/z065/r0", "04/z065/r1"])
    maps = {name: np.full((2, 32, 32), 8.0, dtype=np.float32) for name in ("activity", "t1")}
    masks = {
        name: np.zeros((2, 32, 32), dtype=np.uint8)
        for name in ("head", "labels", "pet_lesions", "t1_lesions")
    }
    rows = {"key": keys, "slice_mm": np.zeros(2), "angle_deg": np.array([0.0, 7.0])}
    attributes = {"subject": "04", "lineage": LINEAGE}
    write_hdf5(
        tmp_path / "slices.h5", kind="slices", arrays={**maps, **masks, **rows}, attributes=attributes
    )
    for dose, level in (("standard", 2.0), ("low", 3.0)):
        image = np.full((2, 32, 32), level, dtype=np.float32)
        image[:, 16, 16] = 10 * level
        write_hdf5(
            tmp_path / f"{dose}.h5",
            kind="images",
            arrays={"key": keys, "image": image},
            attributes={**attributes, "dose": dose, **UNITS},
        )
    return tmp_path


def packed(folder, *, standard="standard", low="low", subjects=("04",)):
    job = PackJob(
        dataset="phantom",
        setting="low",
        split="test",
        subjects=subjects,
        scanner_model="siemens_mmr",
        pixels=64,
    )
    names = {"slices": "slices", "standard": standard, "low": low}
    inputs = Files({name: [folder / f"{file}.h5"] for name, file in names.items()})
    pack.run(job, inputs, Files({"dataset": [folder / "test.h5"]}))
    return folder / "test.h5"


def test_the_scanner_axis_stays_in_the_centre_and_the_scale_is_the_low_doses(files):
    with open_hdf5(packed(files), kind="dataset") as file:
        low = read_array(file, "low")
        assert low.shape == (2, 64, 64)
        assert low[0, 32, 32] == 30.0
        assert read_strings(file, "key") == ["04/z065/r0", "04/z065/r1"]
        assert read_array(file, "scale")[0] == pytest.approx(activity_weighted_mean(low[0]))


def test_the_scale_is_known_in_closed_form():
    """sum(x^2) / sum(x) of three pixels of 2 and one of 6 is (12 + 36) / 12 = 4."""
    assert activity_weighted_mean(np.array([[2.0, 2.0], [2.0, 6.0]])) == 4.0
    assert activity_weighted_mean(np.zeros((4, 4))) == 1.0


def test_all_images_are_in_the_units_of_the_reconstruction(files):
    """8 units of the phantom at 0.25 kBq/ml each; the T1 image stays what it is."""
    with open_hdf5(packed(files), kind="dataset") as file:
        units = read_attribute(file, "units")
        assert units == {**dict.fromkeys(("low", "standard", "truth"), "kBq/ml"), "t1": "arbitrary"}
        assert read_array(file, "truth")[0, 32, 32] == 2.0
        assert read_array(file, "t1")[0, 32, 32] == 8.0


def test_different_units_are_refused(files):
    with open_hdf5(files / "low.h5", kind="images") as file:
        arrays = {"key": np.array(read_strings(file, "key")), "image": read_array(file, "image")}
    relative = {"activity_units": "relative activity", "activity_per_phantom_unit": 1.0}
    attributes = {"subject": "04", "lineage": LINEAGE, "dose": "low", **relative}
    write_hdf5(files / "relative.h5", kind="images", arrays=arrays, attributes=attributes)
    message = r"relative\.h5 is in relative activity \(1 per unit.*standard\.h5 in kBq/ml \(0\.25\)"
    with pytest.raises(InputError, match=message):
        packed(files, low="relative")


def test_exchanged_doses_are_refused(files):
    with pytest.raises(InputError, match=r"low\.h5: holds dose 'low', but 'standard' is packed here"):
        packed(files, standard="low", low="standard")


def test_another_subject_is_refused(files):
    with pytest.raises(InputError, match=r"the test split is \('05',\), but images of \('04',\)"):
        packed(files, subjects=("05",))


def with_regions(folder, names, *, file="slices"):
    """The slices of ``files``, in which pixel (16, 20) is of the second of the regions ``names``."""
    with open_hdf5(folder / "slices.h5", kind="slices") as slices:
        arrays = {name: slices[name][()] for name in slices}
    arrays["key"] = arrays["key"].astype(str)
    if names:
        arrays["regions"] = np.zeros((2, 32, 32), dtype=np.uint8)
        arrays["regions"][:, 16, 20] = 2
    attributes = {"subject": "04", "lineage": LINEAGE, **({"region_names": names} if names else {})}
    write_hdf5(folder / f"{file}.h5", kind="slices", arrays=arrays, attributes=attributes)


def test_regions_and_their_names_are_cropped_with_the_images(files):
    with_regions(files, ["cortex", "deep"])
    reference = read_record(packed(files), ReferenceSlices)
    assert list(reference.region_names) == ["cortex", "deep"]
    assert (reference.regions.dtype, reference.regions.shape) == (np.uint8, (2, 64, 64))
    assert np.argwhere(reference.regions).tolist() == [[0, 32, 36], [1, 32, 36]]
    assert reference.regions[0, 32, 36] == 2


def test_without_regions_a_data_set_holds_neither_the_array_nor_names(files):
    with open_hdf5(packed(files), kind="dataset") as file:
        assert "regions" not in file
        assert "region_names" not in file.attrs
    reference = read_record(files / "test.h5", ReferenceSlices)
    assert reference.regions is None
    assert not reference.region_names


@pytest.mark.parametrize("other", [["deep", "cortex"], ["cortex"], []])
def test_slices_that_number_other_regions_are_refused(files, other):
    with_regions(files, other, file="other")
    with_regions(files, ["cortex", "deep"])
    job = PackJob(
        dataset="phantom", setting="low", split="test", subjects=("04", "04"),
        scanner_model="siemens_mmr", pixels=64,
    )  # fmt: skip
    inputs = Files(
        {
            "slices": [files / "slices.h5", files / "other.h5"],
            "standard": [files / "standard.h5"] * 2,
            "low": [files / "low.h5"] * 2,
        }
    )
    with pytest.raises(InputError, match=r"other\.h5: numbers the regions .*slices\.h5"):
        pack.run(job, inputs, Files({"dataset": [files / "test.h5"]}))
    assert not (files / "test.h5").exists()
