"""One rule for the position and the content of an image, whoever reads it."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from quietpet.cli import main
from quietpet.errors import InputError
from quietpet.files.placement import header_faults
from quietpet.files.series import frames, read_header
from quietpet.files.volumes import read_description, read_volume, write_volume
from quietpet.geometry.volume import Volume
from quietpet.registration.volume import RigidTransform

SHAPE = (7, 6, 5)
HALF_TURN = np.diag([2.0, -3.0, -4.0, 1.0])
"""By 180 degrees about x, voxels of 2 x 3 x 4 mm: the quaternion (0, 1, 0, 0)."""
HALF_TURN[:3, 3] = (-6, 7, 8)


@pytest.fixture
def values():
    return np.random.default_rng(5).random(SHAPE, np.float32)


def write(path: Path, values: np.ndarray, edit=lambda header: None, *, affine=HALF_TURN) -> Path:
    """An image whose header is changed byte by byte, past all checks of nibabel."""
    header = nib.Nifti1Image(values, affine).header
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    edit(header)
    path.write_bytes(header.binaryblock + bytes(4) + values.tobytes(order="F"))
    return path


def no_forms(header):
    header["sform_code"] = header["qform_code"] = 0


def qform_alone(**fields):
    def edit(header):
        header["sform_code"] = 0
        for name, value in fields.items():
            header[name] = value

    return edit


def longer_quaternion(length):
    return qform_alone(quatern_b=length, quatern_c=0.0, quatern_d=0.0)


def mirrored_qform(header):
    header.set_qform(HALF_TURN @ np.diag([-1.0, 1, 1, 1]), 1)


def sheared_sform(header):
    header.set_sform(HALF_TURN @ (np.eye(4) + 0.05 * np.eye(4, k=1) * [1, 1, 0, 0]), 1)


def in_metres(header):
    header.set_xyzt_units("meter")


def other_steps(header):
    header["pixdim"][1] = 2.5


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (no_forms, "sform_code, qform_code: 0, 0, .* left and right are unknown"),
        (mirrored_qform, "mirror image of the other"),
        (sheared_sform, "axes meet at .* degrees"),
        (in_metres, "xyzt_units: meter"),
        (other_steps, "pixdim: .* another size"),
        (longer_quaternion(1.2), r"qform alone.* of length 1\.2"),
        (qform_alone(pixdim=[1, -2, 3, 4, 0, 0, 0, 0]), "qform alone, which cannot be read"),
    ],
)
@pytest.mark.parametrize("which", ["t1", "pet"])
def test_what_the_audit_refuses_no_check_registers(
    tmp_path, values, capsys, monkeypatch, edit, complaint, which
):
    """Before any engine starts, of PET as of T1, and blamed on the file that was given."""
    from quietpet.commands import check_registration

    def starts(*_, **__):
        raise AssertionError("an engine was started")

    monkeypatch.setattr(check_registration, "register_pair", starts)
    monkeypatch.setattr(check_registration, "_engines_here", starts)
    paths = {name: write(tmp_path / f"{name}.nii", values) for name in ("t1", "pet")}
    bad = write(paths[which], values, edit)
    with contextlib.suppress(InputError):  # a header that is not read at all is an error of the audit
        assert any(fault.severity == "error" for fault in header_faults(read_header(bad)))
    assert main(["check", "registration", "--pet", str(paths["pet"]), "--t1", str(paths["t1"])]) == 1
    said = capsys.readouterr().err
    assert str(bad) in said
    with pytest.raises(InputError, match=rf"{which}\.nii: .*{complaint}"):
        read_volume(bad)


@pytest.mark.parametrize(
    "edit",
    [
        longer_quaternion(1.0),
        longer_quaternion(1 + 1e-6),
        longer_quaternion(1.0005),
        qform_alone(pixdim=[0, 2, 3, 4, 0, 0, 0, 0]),
    ],
    ids=["exact", "rounded", "six digits", "no qfac"],
)
def test_a_rounded_qform_is_the_rotation_it_means(tmp_path, values, edit):
    """The position that ITK, which reads by NIfTI's own library, finds as well (LPS there)."""
    sitk = pytest.importorskip("SimpleITK")
    path = write(tmp_path / "x.nii", values, edit)
    affine = read_volume(path).affine_ras_mm
    np.testing.assert_allclose(affine, HALF_TURN, atol=1e-5)
    image = sitk.ReadImage(str(path))
    for index in np.ndindex(2, 2, 2):
        x, y, z = image.TransformContinuousIndexToPhysicalPoint([float(each) for each in index])
        np.testing.assert_allclose((-x, -y, z), affine[:3] @ [*index, 1], atol=1e-4)


def test_a_quaternion_is_not_rounded_where_it_is_right(tmp_path, values):
    """1.5 degrees from a half turn, a = 0.013: nothing is set to zero."""
    affine = RigidTransform.from_rotation(euler_deg=(178.5, 0, 0)).fixed_to_moving @ np.diag(
        [2.0, 3.0, 4.0, 1.0]
    )
    path = write(tmp_path / "x.nii", values, qform_alone(), affine=affine)
    np.testing.assert_allclose(read_volume(path).affine_ras_mm, affine, atol=1e-4)


def test_the_sform_is_read_where_the_qform_lies_elsewhere(tmp_path, values, caplog):
    """As in the import; the audit calls it a warning, and so does every reader."""

    def shifted_qform(header):
        header.set_qform(HALF_TURN + 20 * np.eye(4, k=3), 1)

    path = write(tmp_path / "x.nii", values, shifted_qform)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.affine_ras_mm, HALF_TURN)
    np.testing.assert_array_equal(volume.affine_ras_mm, read_header(path).affine_ras_mm)
    assert [fault.severity for fault in header_faults(read_header(path))] == ["warning"]
    assert "x.nii: sform, qform: 20.0 mm apart" in caplog.text
    assert "the sform is read" in caplog.text


def test_nan_is_left_to_whoever_registers(tmp_path, values):
    values[1, 2, 3] = np.nan
    path = write(tmp_path / "x.nii", values)
    np.testing.assert_array_equal(read_volume(path).values, values)
    with pytest.raises(InputError, match="1 of 210 values of frame 0 are not finite"):
        list(frames(path, read_header(path)))


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), "holds RGB values, not real numbers"),
        (np.dtype(np.complex64), "holds complex64 values, not real numbers"),
    ],
)
def test_colours_and_complex_numbers_are_named(tmp_path, dtype, words):
    path = tmp_path / "x.nii.gz"
    nib.Nifti1Image(np.zeros(SHAPE, dtype), HALF_TURN).to_filename(path)
    with pytest.raises(InputError, match=rf"x\.nii\.gz: {words} .*save one channel, or the magnitude"):
        read_volume(path)


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 1), (7, 6, 5, 2), (7, 6, 5, 1, 3)])
def test_only_one_volume_is_taken(tmp_path, shape):
    path = tmp_path / "x.nii"
    nib.Nifti1Image(np.zeros(shape, np.int16), HALF_TURN).to_filename(path)
    with pytest.raises(InputError, match=r"has \d axes .*registration takes one 3-D image"):
        read_volume(path)


def test_a_series_of_one_frame_is_a_volume(tmp_path, values):
    path = tmp_path / "x.nii.gz"
    nib.Nifti1Image(values[..., None], HALF_TURN).to_filename(path)
    np.testing.assert_array_equal(read_volume(path).values, values)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"<html>504</html>", "is a web page"),
        (gzip.compress(b"x" * 4000), "no NIfTI image"),
        (b"\x1f\x8b" + bytes(600), "damaged"),
    ],
    ids=["none", "empty", "web page", "other", "no gzip"],
)
def test_what_is_no_image_is_named(tmp_path, content, words):
    path = tmp_path / "x.nii.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.nii\.gz: .*{words}"):
        read_volume(path)


OTHER_FORMATS = [
    ("mgz", nib.MGHImage, "a FreeSurfer image"),
    ("mgh", nib.MGHImage, "a FreeSurfer image"),
    ("hdr", nib.Nifti1Pair, "the header of a NIfTI pair"),
    ("img", nib.Nifti1Pair, "an Analyze image"),
    ("hdr", nib.Nifti2Pair, "the header of a NIfTI pair"),
    ("img", nib.Spm2AnalyzeImage, "an Analyze image"),
    ("hdr", nib.AnalyzeImage, "an Analyze image"),
]


@pytest.mark.parametrize(("extension", "kind", "words"), OTHER_FORMATS)
def test_whole_images_of_other_formats_are_not_damaged(tmp_path, values, extension, kind, words):
    """The file is named, and the command that makes NIfTI of it, which is run here where it may be."""
    path = tmp_path / f"sub-01.T1.{extension}"
    kind(values, HALF_TURN).to_filename(path)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    complaint = str(caught.value)
    assert complaint.startswith(f"{path}: is {words}")
    command = f"nib-convert {path.name} sub-01.T1.nii.gz"
    assert f"`{command}`" in complaint
    assert "rename" not in complaint
    if kind not in (nib.AnalyzeImage, nib.Spm2AnalyzeImage):
        nib_convert(command.split()[1:], tmp_path)
        volume = read_volume(tmp_path / "sub-01.T1.nii.gz")
        np.testing.assert_array_equal(volume.values, values)
        np.testing.assert_allclose(volume.affine_ras_mm, HALF_TURN, atol=1e-5)


def nib_convert(arguments, folder):
    """In a process of its own, since nibabel leaves files of FreeSurfer open."""
    code = "from nibabel.cmdline.convert import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, check=True)


def test_another_format_under_a_name_of_nifti_is_renamed(tmp_path, values):
    nib.MGHImage(values, HALF_TURN).to_filename(tmp_path / "x.mgz")
    (tmp_path / "x.mgz").rename(tmp_path / "x.nii.gz")
    with pytest.raises(
        InputError, match=r"a FreeSurfer image under a name of NIfTI.*rename it to x\.mgz"
    ):
        read_volume(tmp_path / "x.nii.gz")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(it is a folder"):
        read_volume(tmp_path)


def test_rights_are_not_damage(tmp_path, values, monkeypatch):
    path = write(tmp_path / "x.nii", values)
    if os.geteuid() == 0:  # whom no rights stop

        def refused(*_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refused)
    else:
        path.chmod(0)
    complaint = r"cannot be read \(Permission denied: give this user the right"
    with pytest.raises(InputError, match=complaint) as caught:
        read_volume(path)
    assert "damaged" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc")
def test_a_failing_disk_is_not_damage():
    """Address 0 of a process cannot be read: a true input/output error."""
    with pytest.raises(InputError, match=r"cannot be read \(Input/output error: .*may be whole"):
        read_volume(Path("/proc/self/mem"))


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_no_header_however_damaged_breaks_the_reader(tmp_path, values, kind):
    """One to three bytes of it are replaced, 400 times: an image, or one sentence, never a warning."""
    image = kind(values, HALF_TURN)
    image.set_qform(HALF_TURN, 1)
    whole, path, rng = image.to_bytes(), tmp_path / "x.nii", np.random.default_rng(11)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = rng.integers(image.header.sizeof_hdr)
            content[at] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        path.write_bytes(content)
        try:
            read_volume(path)
        except InputError:
            refused += 1
    assert 20 < refused < 200


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]},
            r"voxels of .*no memory\. Is the header damaged",
        ),
        ({"xyzt_units": 5}, "xyzt_units: code 5, expected mm"),
        ({"vox_offset": np.nan}, "vox_offset is nan"),
        ({"vox_offset": 100}, "vox_offset is 100, but the header takes 348 bytes"),
        ({"srow_x": [1e9, 0, 0, 0]}, "affine: .* within a kilometre"),
        ({"pixdim": [1, 0, 3, 4, 0, 0, 0, 0]}, "pixdim: .* another size"),
        ({"datatype": 9}, "datatype is 9, which NIfTI has not"),
    ],
)
def test_impossible_headers_are_named(tmp_path, values, fields, complaint):
    def edit(header):
        for name, value in fields.items():
            header[name] = value

    if "dim" in fields:
        values = values.astype(np.float64)  # more bytes than can be addressed
    with pytest.raises(InputError, match=rf"x\.nii: .*{complaint}"):
        read_volume(write(tmp_path / "x.nii", values, edit))


def test_the_description_is_read_back(tmp_path, values):
    path = tmp_path / "x.nii.gz"
    volume = Volume(values=values, affine_ras_mm=HALF_TURN)
    write_volume(path, volume, description="standard, Bq/mL")
    assert read_description(path) == "standard, Bq/mL"


def test_a_sheared_volume_is_not_written(tmp_path, values):
    affine = HALF_TURN @ (np.eye(4) + 0.01 * np.eye(4, k=1) * [1, 1, 0, 0])
    with pytest.raises(InputError, match=r"x\.nii\.gz: its axes are not at right angles"):
        write_volume(tmp_path / "x.nii.gz", Volume(values=values, affine_ras_mm=affine))
    assert not (tmp_path / "x.nii.gz").exists()
