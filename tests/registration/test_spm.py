"""What the SPM12 adapter makes of engines that work, fail, hang or lie; with SPM12, the real one.

The stand-ins are scripts started as nipype starts a standalone SPM: with the name of a MATLAB script.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.registration import spm, spm_process
from quietpet.registration.register import register_rigid, working_spm
from quietpet.registration.spm import Engine, find_engine
from quietpet.registration.spm_launchers import Launcher, launchers
from quietpet.registration.volume import RigidTransform

MOTION = RigidTransform.from_rotation(euler_deg=(5, -8, 12), translation_mm=(4, 5, -6))
START = RigidTransform.from_rotation(euler_deg=(0, 0, 15), translation_mm=(100, 0, 0))

MOVES = f"""
import nibabel, numpy
image = nibabel.load(source)
assert image.get_qform(coded=True)[1] == 0 and image.get_data_dtype() == "float32"
motion = numpy.array({MOTION.fixed_to_moving.tolist()})
image.set_sform(numpy.linalg.inv(motion) @ image.affine, 2)
image = nibabel.Nifti1Image(image.get_fdata(), None, image.header)
image.to_filename(source)
"""

HEAD = """
import pathlib, re, sys, time, os
script = pathlib.Path(sys.argv[-1]).read_text()
found = re.search(r"'(/[^']*pet\\.nii)", script)
source = found and found.group(1)
if "NIPYPE path" in script:  # nipype asks for the version before every job
    print("NIPYPE path:/opt/spm12|name:SPM12|release:7771")
    sys.exit()
"""


@pytest.fixture
def stand_in(tmp_path):
    """Write a script that is started like SPM; returns its launcher."""
    pytest.importorskip("nipype", reason="nipype is not installed")

    def write(body):
        path = tmp_path / "engine.py"
        path.write_text(HEAD + body)
        return Launcher(name="stand-in", command=f"{sys.executable} {path}", standalone=True)

    return write


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    affine = RigidTransform.from_rotation(euler_deg=(0, 10, 0)).fixed_to_moving @ np.diag(
        [-2.0, 2, 3, 1]
    )
    return [
        Volume(values=rng.random((9, 8, 7), np.float32), affine_ras_mm=matrix)
        for matrix in (affine, np.diag([2.0, 2.0, 2.0, 1.0]))
    ]


def estimate(launcher, images, *, minutes=1.0):
    engine = Engine(launcher=launcher, name="spm12", version="SPM12 r0, stand-in 1")
    return engine.estimate(*images, start=START, minutes=minutes)


def which(*names):
    return lambda name: f"/bin/{name}" if name in names else None


def test_launchers_in_order_of_preference():
    environment = {"SPMMCRCMD": "run_spm12.sh /opt/mcr script", "QUIETPET_SPM": "/opt/spm12"}
    found = launchers(environment, which=which("matlab", "octave-cli"))
    assert [each.name for each in found] == ["SPM standalone", "MATLAB", "GNU Octave"]
    assert [each.standalone for each in found] == [True, False, True]
    assert found[1].folder == "/opt/spm12"
    assert found[2].command.endswith("--path /opt/spm12")


def test_octave_alone_is_no_spm():
    assert launchers({}, which=which("octave-cli")) == []
    matlab = launchers({"MATLABCMD": "matlab-r2023a -nojvm"}, which=which("matlab-r2023a"))
    assert [each.command for each in matlab] == ["matlab-r2023a -nojvm"]


def test_paths_relative_to_the_working_directory_are_found(tmp_path, monkeypatch):
    """Engines start elsewhere, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for name in ("spm 12", "mcr", "bin"):
        (tmp_path / name).mkdir()
    for name in ("run_spm12.sh", "matlab"):
        (tmp_path / "bin" / name).touch()
    environment = {
        "SPMMCRCMD": "bin/run_spm12.sh ./mcr script",
        "MATLABCMD": "./bin/matlab -nojvm -r/none",
        "QUIETPET_SPM": "spm 12",
    }
    standalone, matlab, octave = launchers(environment, which=which("octave-cli"))
    assert standalone.command == f"{tmp_path}/bin/run_spm12.sh {tmp_path}/mcr script"
    assert matlab.command == f"{tmp_path}/bin/matlab -nojvm -r/none"
    assert matlab.folder == str(tmp_path / "spm 12")
    assert octave.command.endswith(f"--path '{tmp_path}/spm 12'")
    monkeypatch.setenv("HOME", str(tmp_path))
    (octave,) = launchers({"QUIETPET_SPM": "~/spm 12"}, which=which("octave-cli"))
    assert octave.folder == str(tmp_path / "spm 12")


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("'./my tools/run_spm12.sh' ./mcr script", "'{here}/my tools/run_spm12.sh' {here}/mcr script"),
        (r"./my\ tools/run_spm12.sh  mcr/", "'{here}/my tools/run_spm12.sh'  {here}/mcr"),
        ('"my tools"/run_spm12.sh -r "a b"', "'{here}/my tools/run_spm12.sh' -r \"a b\""),
        ("$HOME/run_spm12.sh ./none ~/mcr 2>&1", "$HOME/run_spm12.sh ./none ~/mcr 2>&1"),
        ("'./my tools/run_spm12.sh ./mcr", "'./my tools/run_spm12.sh {here}/mcr"),
    ],
)
def test_commands_are_read_as_a_shell_reads_them(tmp_path, monkeypatch, command, found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcr").mkdir()
    (tmp_path / "my tools").mkdir()
    (tmp_path / "my tools/run_spm12.sh").touch()
    (standalone,) = launchers({"SPMMCRCMD": command}, which=which())
    assert standalone.command == found.format(here=tmp_path)


@pytest.mark.parametrize("variable", ["MATLABCMD", "SPMMCRCMD"])
@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("'/opt/my matlab/bin/matlab", "cannot be read .No closing quotation.; correct its quotes"),
        ("/nowhere/engine -x", "/nowhere/engine"),
    ],
)
def test_a_command_that_cannot_start_is_named(monkeypatch, variable, command, complaint, caplog):
    """By spm12 as an error, by auto as the reason for the other engine."""
    pytest.importorskip("nipype", reason="nipype is not installed")
    caplog.set_level("INFO")
    for name in ("MATLABCMD", "SPMMCRCMD", "QUIETPET_SPM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, command)
    with pytest.raises(InputError, match=rf"{re.escape(command)}\): .*{complaint}"):
        working_spm("spm12")
    assert working_spm("auto") is None
    assert "auto: the embedded engine, because" in caplog.text


def test_blank_variables_name_nothing():
    assert launchers({"MATLABCMD": "  ", "SPMMCRCMD": " ", "QUIETPET_SPM": ""}, which=which()) == []


def test_a_folder_without_spm_is_named(tmp_path, monkeypatch):
    pytest.importorskip("nipype", reason="nipype is not installed")
    engine = Launcher(name="GNU Octave", command="octave-cli", standalone=True, folder=str(tmp_path))
    monkeypatch.setattr(spm, "launchers", lambda _: [engine])
    with pytest.raises(InputError, match=rf"QUIETPET_SPM = {tmp_path} holds no spm\.m"):
        find_engine()


ODD_NAMES = ["my files", "it's here", 'größe "1", 100%; $HOME']


@pytest.mark.parametrize("name", ODD_NAMES)
def test_temporary_folders_with_odd_names(stand_in, images, tmp_path, monkeypatch, name):
    """Spaces and apostrophes end what nipype writes into commands and scripts; commas SPM's names."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = estimate(stand_in(MOVES), images)
    np.testing.assert_allclose(found.fixed_to_moving, (START @ MOTION).fixed_to_moving, atol=1e-4)
    assert not list(folder.iterdir())


def test_no_usable_temporary_folder_is_named(stand_in, images, tmp_path, monkeypatch):
    monkeypatch.setattr(spm_process.os, "access", lambda *_: False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(InputError, match=rf"temporary folder '{tmp_path}' .* set TMPDIR to"):
        estimate(stand_in(MOVES), images)


def test_a_new_position_becomes_the_transform(stand_in, images):
    """The transform that SPM's header means, after the start that both engines share."""
    found = estimate(stand_in(MOVES), images)
    expected = START @ MOTION
    np.testing.assert_allclose(found.fixed_to_moving, expected.fixed_to_moving, atol=1e-4)


def test_inputs_are_untouched_and_copies_removed(stand_in, images, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = [each.affine_ras_mm.copy() for each in images]
    estimate(stand_in(MOVES), images)
    for volume, affine in zip(images, before, strict=True):
        np.testing.assert_array_equal(volume.affine_ras_mm, affine)
    assert not list(tmp_path.glob("quietpet-spm-*"))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (MOVES + "sys.exit('no licence')", "no licence"),
        ("print('fine')", "wrote no new position"),
        (
            "sys.stderr.write('MATLAB code threw an exception:\\nout of licences\\n')",
            "out of licences",
        ),
        (MOVES.replace("numpy.linalg.inv(motion)", "2 * motion"), "not a rotation"),
        (MOVES.replace("numpy.linalg.inv(motion)", "numpy.nan * motion"), "wrote no new position"),
    ],
    ids=["exit status", "nothing done", "exception", "not rigid", "nan"],
)
def test_failures_are_noticed(stand_in, images, body, complaint):
    with pytest.raises(
        InputError, match=rf"^SPM12 r0, stand-in 1 failed to register this scan: .*{complaint}"
    ):
        estimate(stand_in(body), images)


def test_a_hanging_engine_is_ended_with_its_children(stand_in, images, tmp_path):
    note = tmp_path / "child"
    body = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(300)\n"
    )
    with pytest.raises(InputError, match=r"did not end within 0\.15 min and was stopped"):
        estimate(stand_in(body), images, minutes=0.15)
    for process in map(int, note.read_text().split()):
        deadline = time.monotonic() + 10
        while _runs(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(process)


def _runs(process):
    """Whether a process is there, and no zombie that nobody has collected yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_version_is_asked_of_the_engine(stand_in, monkeypatch):
    launcher = stand_in("print('quietpet|SPM12|7771|9.14 (R2023a)|')")
    monkeypatch.setattr(spm, "launchers", lambda _: [launcher])
    found = find_engine()
    assert found.version == "SPM12 r7771, stand-in 9.14 (R2023a)"
    assert working_spm("auto") == found
    assert working_spm("embedded") is None


@pytest.mark.parametrize(
    ("answer", "version", "name"),
    [
        ("SPM12|7771", "SPM12 r7771", "spm12"),
        ("SPM25|25.01.02", "SPM25 25.01.02", "spm25"),
        ("SPM (dev)|26.0", "SPM (dev) 26.0", "spm-dev"),
    ],
)
def test_an_engine_is_recorded_as_what_it_is(stand_in, monkeypatch, answer, version, name):
    launcher = stand_in(f"print('quietpet|{answer}|7.3.0|')")
    monkeypatch.setattr(spm, "launchers", lambda _: [launcher])
    found = find_engine()
    assert found.version == f"{version}, stand-in 7.3.0"
    assert found.name == name


def test_an_engine_that_fails_is_started_once(stand_in, monkeypatch, tmp_path):
    """Without a licence it may take minutes; the next one, which works, is found each time."""
    broken = stand_in(f"open({str(tmp_path / 'starts')!r}, 'a').write('.'); sys.exit('no licence')")
    (tmp_path / "engine.py").rename(tmp_path / "broken.py")
    broken = replace(broken, command=broken.command.replace("engine.py", "broken.py"))
    working = stand_in("print('quietpet|SPM12|7771|9.14|')")
    monkeypatch.setattr(spm, "launchers", lambda _: [broken, working])
    assert find_engine() == find_engine() == working_spm("auto")
    monkeypatch.setattr(spm, "launchers", lambda _: [broken])
    for _ in range(2):
        with pytest.raises(InputError, match="no licence"):
            find_engine()
    assert len((tmp_path / "starts").read_text()) == 1


def test_an_spm_before_the_twelfth_is_refused(stand_in, monkeypatch):
    launcher = stand_in("print('quietpet|SPM8|6313|9.14|')")
    monkeypatch.setattr(spm, "launchers", lambda _: [launcher])
    with pytest.raises(InputError, match="it is SPM8, older than SPM12"):
        find_engine()


ANSWERS = "if source is None: print('quietpet|SPM12|7771|7.3.0|'); sys.exit()\n"


@pytest.mark.parametrize(
    ("shift_mm", "body", "complaint"),
    [
        (-6.0, ANSWERS + MOVES, None),
        (0.0, ANSWERS + MOVES, r"registered an image to itself 6\.0 mm away from it"),
        (-6.0, ANSWERS + "sys.exit('Segmentation fault')", "failed .*: Segmentation fault"),
    ],
    ids=["works", "lies", "crashes"],
)
def test_an_engine_is_tried_out_before_a_study_relies_on_it(
    stand_in, monkeypatch, caplog, shift_mm, body, complaint
):
    """One that answers and cannot register would fail every scan of a study whose engine is auto."""
    caplog.set_level("INFO")
    back = RigidTransform.from_rotation(translation_mm=(shift_mm, 0, 0)).fixed_to_moving
    launcher = stand_in(body.replace(str(MOTION.fixed_to_moving.tolist()), str(back.tolist())))
    monkeypatch.setattr(spm, "launchers", lambda _: [launcher])
    assert find_engine().version  # which only asks
    found = working_spm("auto", trial=True)
    assert (found is None) == bool(complaint)
    assert not complaint or re.search(complaint, caplog.text)


def test_an_engine_without_spm_is_named_with_its_remedy(stand_in, monkeypatch, caplog):
    caplog.set_level("INFO")
    launcher = stand_in("print('Octave, no SPM')")
    monkeypatch.setattr(spm, "launchers", lambda _: [launcher])
    with pytest.raises(InputError, match=r"did not name its version.*no SPM.*QUIETPET_SPM=<folder"):
        working_spm("spm12")
    assert working_spm("auto") is None
    assert re.search(r"auto: the embedded engine, because SPM12 cannot be used", caplog.text)


def test_no_launcher_is_named_with_its_remedy(monkeypatch):
    pytest.importorskip("nipype", reason="nipype is not installed")
    monkeypatch.setattr(spm, "launchers", lambda _: [])
    with pytest.raises(InputError, match=r"no MATLAB, no standalone SPM and no Octave.*SPMMCRCMD="):
        find_engine()


def test_absent_nipype_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nipype", None)
    with pytest.raises(InputError, match=r"nipype is not installed: pip install nipype"):
        working_spm("spm12")
    assert working_spm("auto") is None


@pytest.fixture(scope="session")
def spm12():
    """SPM12, where it is installed."""
    try:
        return find_engine(os.environ)
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.spm
def test_spm12_is_within_the_goals_and_agrees(spm12, template_pair):
    """0.2 mm on average; half a millimetre from the embedded engine over the brain."""
    found, embedded = (
        register_rigid(template_pair.t1, template_pair.pet, engine=engine)
        for engine in ("spm12", "embedded")
    )
    assert found.version == spm12.version
    error_mm = template_pair.error_mm(found.transform)
    assert error_mm.mean() < 0.2
    assert error_mm.max() < 1.5
    apart_mm = found.transform.distance_mm(embedded.transform, template_pair.brain_mm)
    assert apart_mm.mean() < 0.5


@pytest.mark.spm
def test_spm12_out_of_time_is_stopped(spm12, template_pair):
    with pytest.raises(InputError, match="did not end within"):
        register_rigid(template_pair.t1, template_pair.pet, engine="spm12", spm_minutes=0.02)


COMPILED = ("spm_slice_vol", "spm_hist2", "spm_conv_vol")
"""What of SPM's compiled functions Coregister calls."""


@pytest.fixture(scope="session")
def octave(spm12):
    """SPM12 on GNU Octave, where it is installed so."""
    if spm12.launcher.name != "GNU Octave":
        pytest.skip("SPM12 does not run in GNU Octave here")
    return spm12


@pytest.mark.spm
@pytest.mark.parametrize("function", COMPILED)
def test_functions_that_were_not_compiled_are_named(octave, tmp_path, function):
    """A copy of SPM without one compiled function, in a folder whose path needs quotes."""
    folder = tmp_path / "it's SPM"
    shutil.copytree(octave.launcher.folder, folder, copy_function=linked)
    (folder / f"{function}.mex").unlink()
    with pytest.raises(InputError, match=rf"{function}\.c not compiled.*make PLATFORM=octave"):
        find_engine({"QUIETPET_SPM": str(folder)})


def linked(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.mark.spm
def test_spm12_works_from_odd_folders(octave, tmp_path, monkeypatch):
    """A relative path to SPM with a space and an apostrophe, and such a temporary folder.

    No function is compiled but those that are asked for, so that nothing else need be.
    """
    (tmp_path / "it's tmp").mkdir()
    shutil.copytree(octave.launcher.folder, tmp_path / "it's SPM", copy_function=linked)
    for path in (tmp_path / "it's SPM").rglob("*.mex"):
        if path.stem not in COMPILED:
            path.unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "it's tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert find_engine({"QUIETPET_SPM": "it's SPM"}, trial=True).version == octave.version
