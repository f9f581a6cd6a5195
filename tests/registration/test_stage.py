"""Stage ``register`` and ``quietpet check registration``: files in, files out, bad ones named."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.image import imread

from quietpet.cli import main
from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import read_json, write_json
from quietpet.files.volumes import read_description, read_volume, write_volume
from quietpet.geometry.volume import Volume
from quietpet.jobs.invivo import RegisterJob, RegistrationEngineJob
from quietpet.registration import choice
from quietpet.registration.formats import matrix_text
from quietpet.registration.register import register_rigid
from quietpet.registration.spm import Engine
from quietpet.registration.spm_launchers import Launcher
from quietpet.registration.volume import RigidTransform, resample
from quietpet.stages import register, registration_engine

pytestmark = pytest.mark.slow

JOB = RegisterJob(scan="sub-01", registration=RegistrationSettings(engine="embedded"))
RECORD = {"registration": "r.json", "itk": "x.tfm", "matrix": "x.txt", "fsl": "x.mat", "figure": "x.png"}


@pytest.fixture(scope="module")
def scan(coarse_pair, tmp_path_factory):
    """A standard image, a short frame of the same scan, and T1, as files."""
    folder = tmp_path_factory.mktemp("scan")
    pet = coarse_pair.pet
    noise = np.random.default_rng(3).standard_normal(pet.values.shape).astype(np.float32)
    write_volume(folder / "standard.nii.gz", pet, description="standard, Bq/mL")
    write_volume(
        folder / "16s.nii.gz",
        Volume(values=pet.values + noise, affine_ras_mm=pet.affine_ras_mm),
        description="16s, Bq/mL",
    )
    write_volume(folder / "T1w.nii.gz", coarse_pair.t1, description="T1w")
    return folder


@pytest.fixture(scope="module")
def embedded(scan):
    """What the embedded engine finds on it."""
    return register_rigid(
        *(read_volume(scan / name) for name in ("T1w.nii.gz", "standard.nii.gz")), engine="embedded"
    )


def run(folder, target, *, job=JOB, **changed):
    inputs = {"standard": ["standard.nii.gz"], "low": ["16s.nii.gz"], "t1": ["T1w.nii.gz"]}
    given = {name: [folder / each for each in files] for name, files in inputs.items()} | {
        name: [path] for name, path in changed.items()
    }
    outputs = {name: [target / each for each in files] for name, files in inputs.items() if name != "t1"}
    outputs |= {name: [target / file] for name, file in RECORD.items()}
    register.run(job, Files(given), Files(outputs))


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
        assert read_description(done / name) == read_description(scan / name)  # which names the unit
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


def test_a_long_image_alone_is_registered(scan, tmp_path, embedded, monkeypatch):
    """Short frames are not what registration needs; the transform is that of a true run, kept."""
    monkeypatch.setattr(choice, "register_rigid", lambda *_, **__: embedded)
    inputs = Files({"standard": [scan / "standard.nii.gz"], "t1": [scan / "T1w.nii.gz"]})
    outputs = {name: [tmp_path / file] for name, file in RECORD.items()}
    register.run(JOB, inputs, Files(outputs | {"standard": [tmp_path / "standard.nii.gz"]}))
    t1, standard = (read_volume(scan / name) for name in ("T1w.nii.gz", "standard.nii.gz"))
    expected = resample(standard, embedded.transform, like=t1).values
    np.testing.assert_allclose(read_volume(tmp_path / "standard.nii.gz").values, expected, atol=1e-3)


def test_short_frames_and_their_targets_are_counted_before_the_engine_starts(scan, tmp_path):
    given = {name: [scan / f"{file}.nii.gz"] for name, file in (("standard", "standard"), ("t1", "T1w"))}
    outputs = {name: [tmp_path / file] for name, file in RECORD.items()}
    outputs |= {name: [tmp_path / f"{name}.nii.gz"] for name in ("standard", "low")}
    with pytest.raises(InputError, match="0 inputs are called 'low', but 1 outputs"):
        register.run(JOB, Files(given), Files(outputs))


def sheared(image):
    """By 1.7 degrees, which no scanner does."""
    shear = np.eye(4)
    shear[0, 1] = 0.03
    return nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine @ shear)


@pytest.mark.parametrize("which", ["t1", "standard", "low"])
def test_shear_is_found_before_the_engine_starts(scan, tmp_path, monkeypatch, which):
    def starts(*_, **__):
        raise AssertionError("an engine was started")

    monkeypatch.setattr(choice, "register_rigid", starts)
    names = {"t1": "T1w.nii.gz", "standard": "standard.nii.gz", "low": "16s.nii.gz"}
    path = altered(scan / names[which], tmp_path / "given.nii.gz", sheared)
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/given\.nii\.gz: affine: axes meet at 88\.28 deg"
    ):
        run(scan, tmp_path / "out", **{which: path})


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


def test_a_turned_header_stops_the_scan_and_leaves_no_output(scan, tmp_path, capsys):
    """And fails the check, which judges as the stage does."""
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    path = altered(
        scan / "standard.nii.gz",
        tmp_path / "turned.nii.gz",
        lambda i: nib.Nifti1Image(i.get_fdata(dtype=np.float32), half_turn @ i.affine),
    )
    with pytest.raises(InputError, match=r"turned\.nii\.gz: its registration to .* is not credible"):
        run(scan, tmp_path / "out", standard=path, low=path)
    assert not (tmp_path / "out").exists()
    arguments = ["--pet", str(path), "--t1", str(scan / "T1w.nii.gz"), "--engine", "embedded"]
    assert main(["check", "registration", *arguments]) == 1
    said = capsys.readouterr().out
    assert "turned.nii.gz: its registration to" in said
    assert "FAILED" in said
    assert "passed" not in said


def given_job(engine, **settings):
    registration = RegistrationSettings(engine=engine, **settings)
    return RegisterJob(scan="sub-01", registration=registration)


FILE_JOB = given_job("file", transform="{participant}.tfm")


def test_a_given_transform_moves_the_images_as_the_estimated_one_did(done, scan, tmp_path):
    """What one run wrote gives the same images in another, and nothing is estimated."""
    run(scan, tmp_path, job=FILE_JOB, transform=done / "x.tfm")
    for image in ("standard.nii.gz", "16s.nii.gz"):
        before, after = (read_volume(folder / image).values for folder in (done, tmp_path))
        np.testing.assert_allclose(after, before, atol=1e-4 * before.max())
    record = read_json(tmp_path / "r.json")
    assert (record["engine"], record["version"]) == ("file", str(done / "x.tfm"))
    assert str(done / "x.tfm") in record["provenance"]["inputs"]
    assert record["nmi_after"] == pytest.approx(read_json(done / "r.json")["nmi_after"], rel=0.01)
    assert {"margin", "lead", "nmi_rival", "bias_field"} <= set(record)


def test_a_transform_of_another_scan_is_refused(scan, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text(matrix_text(RigidTransform.from_rotation(euler_deg=(0, 0, 170))))
    with pytest.raises(InputError, match=r"by file is not credible.*Is it the transform of this scan"):
        run(scan, tmp_path / "out", job=FILE_JOB, transform=path)
    assert not (tmp_path / "out").exists()


def test_a_file_that_was_not_given_is_missed(scan, tmp_path):
    with pytest.raises(InputError, match="no file called 'transform' was given"):
        run(scan, tmp_path / "out", job=FILE_JOB)


def test_identity_takes_pet_that_another_program_has_registered(done, scan, tmp_path):
    """Images on T1's grid, as the first run left them, stay what they are."""
    images = {"standard": done / "standard.nii.gz", "low": done / "16s.nii.gz"}
    run(scan, tmp_path, job=given_job("identity", correct_bias=False), **images)
    for name, path in (("standard.nii.gz", images["standard"]), ("16s.nii.gz", images["low"])):
        before, after = read_volume(path).values, read_volume(tmp_path / name).values
        np.testing.assert_allclose(after, before, atol=1e-5 * before.max())
    record = read_json(tmp_path / "r.json")
    assert record["engine"] == "identity"
    assert record["t1_to_pet_ras_mm"] == np.eye(4).tolist()


def test_identity_is_refused_where_images_do_not_meet(scan, tmp_path):
    with pytest.raises(InputError, match="by identity is not credible"):
        run(scan, tmp_path / "out", job=given_job("identity", correct_bias=False))


@pytest.fixture
def decision(tmp_path):
    return tmp_path / "registration_engine.json"


def test_auto_is_decided_once(scan, tmp_path, decision, without_spm, caplog):
    caplog.set_level("INFO")
    job = RegistrationEngineJob(engine="auto")
    registration_engine.run(job, Files({}), Files({"decision": [decision]}))
    assert "all scans of this study use 'embedded'" in caplog.text
    assert read_json(decision)["engine"] == "embedded"
    auto = RegistrationSettings(engine="auto")
    assert choice.decided(auto, decision).engine == "embedded"
    assert choice.decided(auto, None).engine == "auto"
    # A working SPM12 that appears later does not register the rest of the scans.
    from quietpet.registration import register as engines

    def appeared(*_):
        raise AssertionError("asked for again")

    with pytest.MonkeyPatch.context() as later:
        later.setattr(engines.spm, "find_engine", appeared)
        run(scan, tmp_path / "out", job=JOB.model_copy(update={"registration": auto}), engine=decision)
    assert read_json(tmp_path / "out/r.json")["engine"] == "embedded"


def test_a_decision_for_spm_is_not_forgotten_where_it_fails(scan, tmp_path, decision, without_spm):
    write_json(decision, {"engine": "spm12"})
    job = JOB.model_copy(update={"registration": RegistrationSettings(engine="auto")})
    with pytest.raises(InputError, match=r"_engine\.json: .*by SPM12, but .* delete this file"):
        run(scan, tmp_path / "out", job=job, engine=decision)
    assert not (tmp_path / "out").exists()
    assert choice.decided(RegistrationSettings(engine="embedded"), decision).engine == "embedded"


@pytest.mark.parametrize(
    ("damage", "words"), [("cut", "damaged"), ("checksum", "damaged"), ("text", "is a web page")]
)
def test_damaged_files_are_named(scan, tmp_path, damage, words):
    whole = (scan / "16s.nii.gz").read_bytes()
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(
        {"cut": whole[:-2000], "checksum": whole[:-8] + bytes(8), "text": b"<html>504</html>"}[damage]
    )
    with pytest.raises(InputError, match=rf"broken\.nii\.gz: {words}"):
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


@pytest.mark.parametrize("here", ["SPM12 r7771, GNU Octave 7.3.0", "SPM25 25.01, GNU Octave 7.3.0"])
@pytest.mark.parametrize("decided_for", ["spm12", "spm25"])
def test_a_study_begun_with_one_spm_is_not_continued_with_another(
    decision, monkeypatch, here, decided_for
):
    launcher = Launcher(name="GNU Octave", command="octave-cli")
    engine = Engine(launcher=launcher, name=here.split()[0].lower(), version=here)
    monkeypatch.setattr(choice, "find_engine", lambda: engine)
    write_json(decision, {"engine": decided_for})
    auto = RegistrationSettings(engine="auto")
    if here.lower().startswith(decided_for):
        assert choice.decided(auto, decision).engine == "spm12"  # the setting that means both
    else:
        with pytest.raises(
            InputError,
            match=rf"by (SPM\d+), but {here} is here\. Name an \1 \(see envs/spm\.md\)\. Or delete",
        ):
            choice.decided(auto, decision)


def test_the_decision_names_the_spm_that_was_found(decision, monkeypatch):
    engine = Engine(
        launcher=Launcher(name="GNU Octave", command="octave-cli"),
        name="spm25",
        version="SPM25 25.01, GNU Octave 7.3.0",
    )
    monkeypatch.setattr("quietpet.registration.spm.find_engine", lambda **_: engine)
    registration_engine.run(
        RegistrationEngineJob(engine="auto"), Files({}), Files({"decision": [decision]})
    )
    assert read_json(decision)["engine"] == "spm25"
    assert read_json(decision)["version"] == engine.version


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


@pytest.fixture
def two_engines(scan, embedded, monkeypatch, capsys):
    """Check the scan, the result of SPM12 given in place of its engine; returns status and words."""
    from quietpet.commands import check_registration

    def checked(of_spm12):
        def engine_of(_, working):
            return of_spm12() if working else embedded

        spm12 = Engine(launcher=Launcher(name="x", command="x"), name="spm12", version="SPM12")
        monkeypatch.setattr(check_registration, "register_pair", engine_of)
        monkeypatch.setattr(check_registration, "_engines_here", lambda: [spm12, None])
        arguments = ["--pet", str(scan / "standard.nii.gz"), "--t1", str(scan / "T1w.nii.gz")]
        return main(["check", "registration", *arguments]), capsys.readouterr().out

    return checked


@pytest.mark.parametrize(("apart_mm", "status", "verdict"), [(0.4, 0, "passed"), (0.6, 1, "FAILED")])
def test_check_registration_compares_two_engines(two_engines, embedded, apart_mm, status, verdict):
    """Two results of which one is shifted by a known distance."""
    shift = RigidTransform.from_rotation(translation_mm=(0, 0, apart_mm))
    shifted = replace(embedded, engine="spm12", transform=shift @ embedded.transform)
    found, said = two_engines(lambda: shifted)
    assert found == status
    assert f"{apart_mm:.2f} mm apart on average, {apart_mm:.2f} mm at most" in said
    assert verdict in said


def test_engines_that_agree_on_what_is_not_credible_fail(two_engines, embedded):
    """As on PET of another head, on which both may end at one wrong place."""
    found, said = two_engines(lambda: replace(embedded, engine="spm12", field_of_view=0.4))
    assert found == 1
    assert "by spm12 is not credible: only 40% of the head" in said
    assert "0.00 mm apart" in said
    assert "FAILED" in said


def test_an_engine_that_fails_does_not_hide_the_other(two_engines):
    def crashed():
        raise InputError("SPM12 r7771 failed to register this scan: Segmentation fault")

    found, said = two_engines(crashed)
    assert found == 1
    assert "SimpleITK" in said
    assert "Segmentation fault" in said
    assert "FAILED" in said
