"""Images that are not NIfTI, told by their names and by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import petbids
import pytest

from quietpet.errors import InputError
from quietpet.files.foreign import foreign_file
from quietpet.files.series import read_header


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sub-1_pet.nii.zst", "zstd -d sub-1_pet.nii.zst"),
        ("sub-1_pet.nii.bz2", "bunzip2 -k sub-1_pet.nii.bz2"),
        ("sub-1_pet.nii.xz", "xz -dk sub-1_pet.nii.xz"),
        ("sub-1_pet.NII.GZ", "rename it to sub-1_pet.nii.gz"),
        ("sub-1_pet.Nii", "rename it to sub-1_pet.nii"),
        ("sub-1_PET.nii.gz", "rename it to sub-1_pet.nii.gz"),
        ("sub-1_pet.JSON", "rename it to sub-1_pet.json"),
        ("sub-1_pet.img", "does not tell left from right"),
        ("sub-1_pet.hdr", "nib-convert sub-1_pet.hdr sub-1_pet.nii.gz"),
        ("sub-1_pet.v", "ecatpet2bids sub-1_pet.v --nifti sub-1_pet.nii --convert"),
        ("sub-1_pet.v.gz", "ecatpet2bids"),
        ("sub-1_pet.dcm", "dcm2niix4pet"),
        ("sub-1_pet.mgz", "nib-convert sub-1_pet.mgz sub-1_pet.nii.gz"),
        ("sub-1_pet.mnc", "nib-convert"),
    ],
)
def test_the_tool_is_named(name: str, words: str) -> None:
    found = foreign_file(f"sub-1/pet/{name}", "pet")
    assert words in str(found)
    assert (found.file, found.stem) == (f"sub-1/pet/{name}", "sub-1/pet/sub-1_pet")


@pytest.mark.parametrize(
    "name",
    ["sub-1_pet.nii.gz", "sub-1_pet.nii", "sub-1_pet.json", "sub-1_blood.tsv", "sub-1_pet.nii.gz.part"],
)
def test_what_is_read_or_is_no_image_is_none_of_them(name: str) -> None:
    assert foreign_file(f"sub-1/pet/{name}", "pet") is None


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("pet.nii", bytes(1000))
    return stream.getvalue()


def minc() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["minc-2.0"] = 1
    return stream.getvalue()


def analyze(order: str) -> Callable[[], bytes]:
    def make() -> bytes:
        header = nib.AnalyzeHeader(endianness=order)
        header.set_data_shape((4, 4, 4))
        return header.binaryblock + bytes(1000)

    return make


CONTENTS = {
    "xz": (lambda: lzma.compress(bytes(1000)), "xz -dk"),
    "bzip2": (lambda: bz2.compress(bytes(1000)), "bunzip2"),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd" + bytes(1000), "zstd -d"),  # RFC 8878, 3.1.1
    "zip": (zipped, "unzip"),
    "MINC": (minc, "MINC"),
    "DICOM": (lambda: bytes(128) + b"DICM" + bytes(1000), "dcm2niix4pet"),  # PS3.10, 7.1
    "ECAT": (lambda: b"MATRIX72v" + bytes(1000), "ecatpet2bids"),
    "Analyze": (analyze("<"), "Analyze"),
    "Analyze, big-endian": (analyze(">"), "Analyze"),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("gzipped", [False, True])
def test_another_format_under_the_name_of_nifti(tmp_path: Path, name: str, gzipped: bool) -> None:
    make, tool = CONTENTS[name]
    path = tmp_path / "sub-1_pet.nii.gz"
    path.write_bytes(gzip.compress(make()) if gzipped else make())
    with pytest.raises(
        InputError, match=r"sub-1_pet\.nii\.gz: is an? .* under a name of NIfTI"
    ) as caught:
        read_header(path)
    assert tool in str(caught.value)


@pytest.mark.parametrize("kind", [nib.MGHImage, nib.Nifti1Pair])
def test_the_conversion_named_works(tmp_path: Path, kind: type) -> None:
    extension = {nib.MGHImage: ".mgz", nib.Nifti1Pair: ".img"}[kind]
    path = tmp_path / f"sub-1_pet{extension}"
    values = petbids.frames(1)[..., 0].astype(np.float32)
    nib.save(kind(values, petbids.PET_AFFINE), path)
    remedy = foreign_file(path.name, "pet").remedy
    command = remedy[remedy.index("nib-convert") :].split("`")[0].split()
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent))
    subprocess.run([tool, *command[1:]], cwd=tmp_path, check=True, capture_output=True)
    image = nib.load(tmp_path / "sub-1_pet.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(), values)
    np.testing.assert_array_equal(image.affine, petbids.PET_AFFINE)
    assert read_header(tmp_path / "sub-1_pet.nii.gz").n_frames == 1


def test_a_header_without_its_values(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(petbids.frames(1), petbids.PET_AFFINE), tmp_path / "pet.img")
    (tmp_path / "pet.hdr").rename(tmp_path / "pet.nii")
    with pytest.raises(InputError, match="header of a NIfTI pair"):
        read_header(tmp_path / "pet.nii")
