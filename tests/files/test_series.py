"""Frames of a 4-D image read one by one, compared with nibabel's reading of the whole."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import petbids
import pytest

from quietpet.errors import InputError
from quietpet.files.series import frames, read_header


@pytest.fixture
def values() -> np.ndarray:
    return petbids.frames(1)


@pytest.mark.parametrize("name", ["pet.nii", "pet.nii.gz"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_frames_are_those_of_nibabel(tmp_path: Path, values, name: str, gzipped: bool) -> None:
    path = tmp_path / name
    petbids.write_image(path, values, petbids.PET_AFFINE, slope=0.25, gzipped=gzipped)
    content = path.read_bytes()
    whole = nib.Nifti1Image.from_bytes(gzip.decompress(content) if gzipped else content)
    header = read_header(path)
    assert header.shape == (*petbids.SHAPE, petbids.N_FRAMES)
    assert header.misnamed == (gzipped != name.endswith(".gz"))
    np.testing.assert_array_equal(header.affine_ras_mm, petbids.PET_AFFINE)
    read = dict(frames(path, header))
    assert list(read) == list(range(petbids.N_FRAMES))
    for number, frame in read.items():
        assert frame.dtype == np.float32
        np.testing.assert_array_equal(frame, whole.get_fdata()[..., number])


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("wanted", [[0], [3, 7], [11], []])
def test_only_wanted_frames_come(tmp_path: Path, values, wanted: list[int], gzipped: bool) -> None:
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, values, petbids.PET_AFFINE, gzipped=gzipped)
    read = dict(frames(path, read_header(path), wanted=wanted))
    assert list(read) == wanted
    for number, frame in read.items():
        np.testing.assert_array_equal(frame, values[..., number])


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i2", "<u2", "<f8"])
def test_other_kinds_of_nifti(tmp_path: Path, values, kind, dtype: str) -> None:
    header = kind.header_class(endianness=dtype[0])
    header.set_data_dtype(dtype)
    image = kind(values.astype(dtype), petbids.PET_AFFINE, header)
    path = tmp_path / "pet.nii"
    nib.save(image, path)
    for number, frame in frames(path, read_header(path)):
        np.testing.assert_array_equal(frame, values[..., number])


def test_a_last_dimension_of_one_is_none(tmp_path: Path, values) -> None:
    path = tmp_path / "pet.nii"
    nib.save(nib.Nifti1Image(values[..., None], petbids.PET_AFFINE), path)
    assert read_header(path).n_frames == petbids.N_FRAMES


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_file_that_ends_too_soon(tmp_path: Path, values, gzipped: bool) -> None:
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, values, petbids.PET_AFFINE, gzipped=gzipped)
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"pet\.nii\.gz: damaged .*Fetch it again"):
        list(frames(path, header))


def test_the_checksum_of_a_gzip_file_is_compared(tmp_path: Path, values) -> None:
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, values, petbids.PET_AFFINE)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="CRC check failed"):
        list(frames(path, read_header(path), wanted=[0]))


def test_only_a_wanted_frame_must_be_finite(tmp_path: Path, values) -> None:
    broken = values.astype(np.float32)
    broken[1, 2, 2, 5] = np.nan
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, broken, petbids.PET_AFFINE)
    header = read_header(path)
    assert len(list(frames(path, header, wanted=range(5)))) == 5
    with pytest.raises(InputError, match="1 of 120 values of frame 5 are not finite"):
        list(frames(path, header, wanted=range(6)))


def test_nan_outside_the_field_of_view_are_0(tmp_path: Path, caplog) -> None:
    """A cylinder, as scanners see it; a hole in it, and infinity outside it, are still refused."""
    x, y = np.ogrid[-7.5:8, -7.5:8]
    seen = np.broadcast_to((x**2 + y**2 < 49)[..., None, None], (16, 16, 5, 2))
    values = np.where(seen, 3.0, np.nan).astype(np.float32)
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, values, petbids.PET_AFFINE)
    for _, frame in frames(path, read_header(path)):
        np.testing.assert_array_equal(frame, np.where(seen[..., 0], 3.0, 0.0))
    outside = int(np.count_nonzero(~seen[..., 0]))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"pet.nii.gz: frame 0: {outside} of 1280 voxels are NaN" in told[0]
    for place, value in (((8, 8, 2, 1), np.nan), ((0, 0, 2, 1), np.inf)):
        broken = values.copy()
        broken[place] = value
        petbids.write_image(path, broken, petbids.PET_AFFINE)
        with pytest.raises(InputError, match=r"pet\.nii\.gz: 1 of 1280 values of frame 1 are not"):
            list(frames(path, read_header(path)))


def test_a_frame_of_nan_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, np.full((4, 5, 6, 1), np.nan, np.float32), petbids.PET_AFFINE)
    with pytest.raises(InputError, match="120 of 120 values of frame 0 are not finite"):
        list(frames(path, read_header(path)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<html><body>504</body></html>" + bytes(600), "web page"),
        (gzip.compress(b"<!DOCTYPE html>"), "web page"),
        (b"../../.git/annex/objects/xx/MD5E-s5--ab.nii.gz", "pointer"),
        (bytes(600), "no NIfTI image"),
        (b"\x1f\x8b" + bytes(600), "damaged"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "sub-01_pet.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_header(path, file="sub-01/pet/sub-01_pet.nii.gz")
    assert str(caught.value).startswith("sub-01/pet/sub-01_pet.nii.gz: ")


@pytest.mark.parametrize("gzipped", [True, False])
def test_memory_holds_single_frames(tmp_path: Path, gzipped: bool) -> None:
    values = np.zeros((64, 64, 32, 60), np.int16)
    path = tmp_path / "pet.nii.gz"
    petbids.write_image(path, values, petbids.PET_AFFINE, gzipped=gzipped)
    header = read_header(path)
    tracemalloc.start()
    for _ in frames(path, header):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * header.frame_bytes < values.nbytes / 4
