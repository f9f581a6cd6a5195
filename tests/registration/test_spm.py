"""What the SPM12 adapter makes of engines that work, fail, hang or lie; with SPM12, the real one.

The stand-ins are scripts started as nipype starts a standalone SPM: with the name of a MATLAB script.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.registration import spm
from quietpet.registration.register import register_rigid, working_spm
from quietpet.registration.spm import Engine, Launcher, find_engine, launchers
from quietpet.registration.volume import RigidTransform, Volume

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
    engine = Engine(launcher=launcher, version="SPM12 r0, stand-in 1")
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
    with pytest.raises(InputError, match=r"nipype is not installed: pip install 'quietpet\[spm\]'"):
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
    """0.3 mm on average; half a millimetre from the embedded engine over the brain."""
    found, embedded = (
        register_rigid(template_pair.t1, template_pair.pet, engine=engine)
        for engine in ("spm12", "embedded")
    )
    assert found.version == spm12.version
    error_mm = template_pair.error_mm(found.transform)
    assert error_mm.mean() < 0.3
    assert error_mm.max() < 1.5
    apart_mm = found.transform.distance_mm(embedded.transform, template_pair.brain_mm)
    assert apart_mm.mean() < 0.5


@pytest.mark.spm
def test_spm12_out_of_time_is_stopped(spm12, template_pair):
    with pytest.raises(InputError, match="did not end within"):
        register_rigid(template_pair.t1, template_pair.pet, engine="spm12", spm_minutes=0.02)
