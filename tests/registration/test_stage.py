"""Stage ``register`` and ``quietpet check registration``: files in, files out, bad ones named."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread

from quietpet.cli import main
from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.jobs.invivo import RegisterJob
from quietpet.registration.volume import RigidTransform, Volume, resample
from quietpet.stages import register
from quietpet.stages.files import Files
from quietpet.stages.volumes import read_volume, write_volume
from quietpet.store import read_json

JOB = RegisterJob(scan="sub-01", registration=RegistrationSettings(engine="embedded"))
RECORD = {"registration": "r.json", "itk": "x.tfm", "matrix": "x.txt", "fsl": "x.mat", "figure": "x.png"}


@pytest.fixture(scope="module")
def scan(coarse_pair, tmp_path_factory):
    """A standard image, a short frame of the same scan, and T1, as files."""
    folder = tmp_path_factory.mktemp("scan")
    pet = coarse_pair.pet
    noise = np.random.default_rng(3).standard_normal(pet.values.shape).astype(np.float32)
    write_volume(folder / "standard.nii.gz", pet)
    write_volume(
        folder / "16s.nii.gz", Volume(values=pet.values + noise, affine_ras_mm=pet.affine_ras_mm)
    )
    write_volume(folder / "T1w.nii.gz", coarse_pair.t1)
    return folder


def run(folder, target, **changed):
    inputs = {"standard": ["standard.nii.gz"], "low": ["16s.nii.gz"], "t1": ["T1w.nii.gz"]}
    given = {name: [folder / each for each in files] for name, files in inputs.items()} | {
        name: [path] for name, path in changed.items()
    }
    outputs = {name: [target / each for each in files] for name, files in inputs.items() if name != "t1"}
    outputs |= {name: [target / file] for name, file in RECORD.items()}
    register.run(JOB, Files(given), Files(outputs))


@pytest.fixture(scope="module")
def done(scan, tmp_path_factory):
    target = tmp_path_factory.mktemp("registered")
    run(scan, target)
    return target


def altered(path, target, change):
    """A copy of an image, changed as a nibabel image."""
    image = nib.load(path)
    image = nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine, image.header)
    change(image).to_filename(target)
    return target


def test_the_record_is_complete_and_true(done, coarse_pair):
    record = read_json(done / "r.json")
    assert record["scan"] == "sub-01"
    assert record["engine"] == "embedded"
    assert record["provenance"]["versions"]["embedded"] == record["version"]
    found = RigidTransform(fixed_to_moving=np.array(record["t1_to_pet_ras_mm"]))
    assert coarse_pair.error_mm(found).mean() < 1
    assert record["rotation_deg"] == pytest.approx(found.rotation_deg)
    np.testing.assert_allclose(np.loadtxt(done / "x.txt"), found.fixed_to_moving, rtol=1e-9)
    assert imread(done / "x.png").shape[2] == 4


def test_images_lie_on_the_voxels_of_t1(done, scan):
    t1 = nib.load(scan / "T1w.nii.gz")
    for name in ("standard.nii.gz", "16s.nii.gz"):
        image = nib.load(done / name)
        assert image.shape == t1.shape
        assert image.get_data_dtype() == np.float32
        assert image.header.get_xyzt_units()[0] == "mm"
        for form in (image.get_sform, image.get_qform):
            affine, code = form(coded=True)
            assert code == 1
            np.testing.assert_allclose(affine, t1.affine, atol=1e-3)


def test_the_short_frame_follows_the_transform_of_the_long_image(done, scan):
    found = RigidTransform(fixed_to_moving=np.loadtxt(done / "x.txt"))
    t1, frame = (read_volume(scan / name) for name in ("T1w.nii.gz", "16s.nii.gz"))
    expected = resample(frame, found, like=t1).values
    np.testing.assert_allclose(read_volume(done / "16s.nii.gz").values, expected, atol=1e-3)


def test_the_same_job_writes_the_same_bytes(done, scan, tmp_path):
    run(scan, tmp_path)
    for path in done.iterdir():
        if path.suffix != ".json":  # which says when it was made
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("which", "change", "complaint"),
    [
        (
            "low",
            lambda i: nib.Nifti1Image(i.get_fdata(dtype=np.float32)[1:], i.affine),
            r"does not lie on the voxels of .*standard\.nii\.gz",
        ),
        (
            "low",
            lambda i: nib.Nifti1Image(np.full(i.shape, np.nan, np.float32), i.affine),
            "voxels are not finite",
        ),
        (
            "standard",
            lambda i: nib.Nifti1Image(np.zeros(i.shape, np.float32), i.affine),
            "every voxel is 0",
        ),
        (
            "standard",
            lambda i: nib.Nifti1Image(np.stack([i.get_fdata(dtype=np.float32)] * 2, -1), i.affine),
            "has 4 axes",
        ),
    ],
    ids=["other grid", "nan frame", "zeros", "4-D"],
)
def test_unusable_images_are_named(scan, tmp_path, which, change, complaint):
    names = {"low": "16s.nii.gz", "standard": "standard.nii.gz"}
    path = altered(scan / names[which], tmp_path / "bad.nii.gz", change)
    with pytest.raises(InputError, match=rf"bad\.nii\.gz: .*{complaint}"):
        run(scan, tmp_path / "out", **{which: path})


def test_a_turned_header_stops_the_scan_and_leaves_no_output(scan, tmp_path):
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    path = altered(
        scan / "standard.nii.gz",
        tmp_path / "turned.nii.gz",
        lambda i: nib.Nifti1Image(i.get_fdata(dtype=np.float32), half_turn @ i.affine),
    )
    with pytest.raises(InputError, match=r"turned\.nii\.gz: its registration to .* is not credible"):
        run(scan, tmp_path / "out", standard=path, low=path)
    assert not (tmp_path / "out").exists()


def mirrored_qform(image):
    image.set_qform(image.affine @ np.diag([-1.0, 1, 1, 1]), 1)
    return image


def shifted_qform(image):
    affine = image.affine.copy()
    affine[2, 3] += 20
    image.set_qform(affine, 1)
    return image


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (mirrored_qform, r"mirror images of each other \(left and right exchanged\)"),
        (shifted_qform, r"different positions, 20\.0 mm apart"),
    ],
)
def test_contradicting_positions_are_refused(scan, tmp_path, change, complaint):
    path = altered(scan / "T1w.nii.gz", tmp_path / "t1.nii.gz", change)
    with pytest.raises(InputError, match=rf"t1\.nii\.gz: its sform and qform are {complaint}"):
        read_volume(path)


@pytest.mark.parametrize("damage", ["cut", "checksum", "text"])
def test_damaged_files_are_named(scan, tmp_path, damage):
    whole = (scan / "16s.nii.gz").read_bytes()
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(
        {"cut": whole[:-2000], "checksum": whole[:-8] + bytes(8), "text": b"<html>504</html>"}[damage]
    )
    with pytest.raises(InputError, match=r"broken\.nii\.gz: not a whole NIfTI image"):
        read_volume(path)


def test_written_volumes_are_read_back(tmp_path):
    affine = RigidTransform.from_rotation(
        euler_deg=(20, -10, 5), translation_mm=(1, 2, 3)
    ).fixed_to_moving @ np.diag([-2.0, 3.0, 1.5, 1.0])
    values = np.random.default_rng(1).random((4, 5, 6), np.float32)
    write_volume(tmp_path / "x.nii.gz", Volume(values=values, affine_ras_mm=affine))
    with gzip.open(tmp_path / "x.nii.gz") as stream:
        assert stream.read(4) == (348).to_bytes(4, "little")
    read = read_volume(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(read.values, values)
    np.testing.assert_allclose(read.affine_ras_mm, affine, atol=1e-5)


@pytest.fixture
def without_spm(monkeypatch):
    for name in ("SPMMCRCMD", "MATLABCMD", "QUIETPET_SPM"):
        monkeypatch.delenv(name, raising=False)
    folders = [each for each in os.get_exec_path() if not (Path(each) / "matlab").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))


def test_check_registration_says_which_engine_is_missing(scan, tmp_path, capsys, without_spm):
    arguments = ["--pet", str(scan / "standard.nii.gz"), "--t1", str(scan / "T1w.nii.gz")]
    figure = tmp_path / "look.png"
    assert main(["check", "registration", *arguments, "--figure", str(figure)]) == 0
    said = capsys.readouterr().out
    assert "Only the embedded engine is here" in said
    assert "QUIETPET_SPM" in said
    assert "SimpleITK" in said
    assert figure.exists()


def test_check_registration_names_a_missing_file(tmp_path, capsys):
    assert (
        main(["check", "registration", "--pet", f"{tmp_path}/a.nii", "--t1", f"{tmp_path}/b.nii"]) == 1
    )
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("apart_mm", "status", "verdict"), [(0.4, 0, "passed"), (0.6, 1, "FAILED")])
def test_check_registration_compares_two_engines(
    scan, done, capsys, monkeypatch, apart_mm, status, verdict
):
    """Two results of which one is shifted by a known distance, in place of two engines."""
    from quietpet.registration.register import register_rigid
    from quietpet.stages import check_registration

    embedded = register_rigid(
        *(read_volume(scan / name) for name in ("T1w.nii.gz", "standard.nii.gz")), engine="embedded"
    )

    def engine_of(*_, engine, **__):
        shift = RigidTransform.from_rotation(translation_mm=(0, 0, apart_mm if engine == "spm12" else 0))
        from dataclasses import replace

        return replace(embedded, engine=engine, transform=shift @ embedded.transform)

    monkeypatch.setattr(check_registration, "register_rigid", engine_of)
    monkeypatch.setattr(check_registration, "_engines_here", lambda: ["spm12", "embedded"])
    arguments = ["--pet", str(scan / "standard.nii.gz"), "--t1", str(scan / "T1w.nii.gz")]
    assert main(["check", "registration", *arguments]) == status
    said = capsys.readouterr().out
    assert f"{apart_mm:.2f} mm apart on average, {apart_mm:.2f} mm at most" in said
    assert verdict in said
