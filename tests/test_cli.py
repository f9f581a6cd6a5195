"""The command line: one clear sentence for a user's mistake, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import petbids
import pytest

from quietpet.cli import main


def test_unreadable_settings(capsys, tmp_path):
    assert (
        main(["slices", "--settings", "{}", "--in", f"phantom={tmp_path}/x", "--out", "slices=y"]) == 1
    )
    message = capsys.readouterr().err
    assert "quietpet: error: --settings of slices" in message
    assert "study_seed" in message


def test_missing_input_file_is_named(capsys, tmp_path):
    settings = '{"study_seed": 0, "subject": "04", "slices": {}}'
    arguments = [
        "slices",
        "--settings",
        settings,
        "--in",
        f"phantom={tmp_path}/no.h5",
        "--out",
        "slices=y",
    ]
    assert main(arguments) == 1
    assert "no.h5: no such file" in capsys.readouterr().err


def test_a_terminated_writer_removes_its_temporary_file(tmp_path):
    """SIGTERM is what a scheduler sends when a job is cancelled or out of time."""
    script = (
        "import signal, sys, os; from pathlib import Path; from quietpet import cli\n"
        "from quietpet.commands import configuration_verbs\n"
        "from quietpet.files.atomic import atomic_path\n"
        "def command(options):\n"
        f"    with atomic_path(Path({str(tmp_path / 'out.h5')!r})):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "configuration_verbs._validate = command\n"
        "sys.exit(cli.main(['validate', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 128 + 15
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", ["0", "-1"])
def test_no_threads_are_refused(capsys, threads):
    with pytest.raises(SystemExit):
        main(["slices", "--settings", "{}", "--out", "slices=y", "--threads", threads])
    assert f"{threads} is less than 1" in capsys.readouterr().err


def test_unnamed_file_is_refused(capsys):
    settings = '{"study_seed": 0, "subject": "04", "slices": {}}'
    assert main(["slices", "--settings", settings, "--in", "phantom.h5", "--out", "slices=y"]) == 1
    assert "name=path" in capsys.readouterr().err


def test_validate_prints_the_whole_study(repository, capsys):
    assert main(["validate", str(repository / "config.yaml")]) == 0
    assert '"white_matter": 32' in capsys.readouterr().out


def test_validate_explains_the_acquisition(repository, capsys):
    assert main(["validate", str(repository / "workflow/configs/dose_ladder.yaml")]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["acquisition"]["scatter_fraction"] == 0.37
    for line in (
        "Acquisition: scatter 37 % of trues and scatter, randoms 30 % of prompts at the standard dose",
        "Images: kBq/ml at the start of the standard scan, at every dose; grey matter is 14.5 (SUV 7",
        "Dose tenth_activity: 0.1 of the standard dose's activity, by thinning its prompts: 0.1 of "
        "trues and scatter, 0.01 of randoms",
        "Dose later: 200 MBq injected, scanned for 5 min from 90 min after injection",
    ):
        assert line in printed.err


def test_validate_refuses_a_wrong_file(tmp_path, capsys):
    path = tmp_path / "wrong.yaml"
    path.write_text("protocol: [")
    assert main(["validate", str(path)]) == 1
    assert "wrong.yaml: not valid YAML" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["phantom", "fit", "tables"])
def test_every_verb_explains_itself(verb):
    done = subprocess.run(
        [sys.executable, "-m", "quietpet.cli", verb, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--settings" in done.stdout


def test_validate_refuses_sirf_where_it_is_absent(repository, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)
    study = (repository / "config.yaml").read_text()
    path = tmp_path / "study.yaml"
    path.write_text(study.replace("projector: embedded", "projector: sirf"))
    assert main(["validate", str(path)]) == 1
    assert "scanner.projector = 'sirf', but SIRF is not installed here" in capsys.readouterr().err


def test_check_projector_prints_what_it_compared(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)
    assert main(["check", "projector", "--scanner", "small_test"]) == 0
    output = capsys.readouterr().out
    assert "SIRF is not installed here" in output
    assert "closed forms" in output
    assert output.count(" ok\n") == 5


def test_parallelproj_cannot_be_checked_without_sirf(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)
    arguments = ["check", "projector", "--scanner", "small_test", "--stir-projector", "parallelproj"]
    assert main(arguments) == 1
    assert "scanner.projector = 'sirf', but SIRF is not installed here" in capsys.readouterr().err


@pytest.mark.sirf
@pytest.mark.parametrize("stir_projector", ["ray_tracing", "parallelproj"])
def test_sirfs_projectors_pass_their_check(sirf, capsys, stir_projector):
    arguments = ["check", "projector", "--scanner", "small_test", "--stir-projector", stir_projector]
    assert main(arguments) == 0, capsys.readouterr().out


def test_a_failed_check_is_an_exit_status(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)
    monkeypatch.setattr(
        "quietpet.recon.agreement.CLOSED_FORM_TOLERANCES",
        dict.fromkeys(("forward", "attenuation", "sensitivity", "OSEM"), 1e-6),
    )
    assert main(["check", "projector", "--scanner", "small_test"]) == 1
    assert "TOO FAR" in capsys.readouterr().out


SLICES = ["slices", "--settings", '{"study_seed": 0, "subject": "04", "slices": {}}']


def test_outputs_are_looked_at_before_the_work(tmp_path, capsys):
    phantom = tmp_path / "phantom.h5"
    phantom.write_bytes(b"no phantom")
    for target, reason in (
        (tmp_path, "is a folder; name a file"),
        (phantom, "is an input of this step"),
        (tmp_path / "phantom.h5" / "x", "cannot be written"),
    ):
        assert main([*SLICES, "--in", f"phantom={phantom}", "--out", f"slices={target}"]) == 1
        assert f"{target}: {reason}" in capsys.readouterr().err
    assert main([*SLICES, "--in", f"phantom={tmp_path}", "--out", "slices=x"]) == 1
    assert f"{tmp_path}: is a folder; name a file" in capsys.readouterr().err
    assert phantom.read_bytes() == b"no phantom"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(5, "Input/output error", "/mnt/t1.nii"), "/mnt/t1.nii: Input/output error."),
        (OSError(28, "No space left"), "slices (slices=out.h5): No space left on device. Make room"),
        (
            RuntimeError("CUDA out of memory.\nFrames"),
            "slices (slices=out.h5) stopped: CUDA out of memory",
        ),
        (MemoryError(), "slices (slices=out.h5) stopped: no memory is left (MemoryError)."),
    ],
)
def test_a_stage_that_fails_says_so_in_one_sentence(tmp_path, capsys, monkeypatch, error, sentence):
    """The traceback is for the log, where standard error is one."""

    def run(*_):
        raise error

    monkeypatch.chdir(tmp_path)
    (tmp_path / "phantom.h5").touch()
    monkeypatch.setattr("quietpet.stages.slices.run", run)
    command = [*SLICES, "--in", "phantom=phantom.h5", "--out", "slices=out.h5"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"quietpet: error: {sentence}")
    assert said.count("\n") == 1

    script = (
        f"import sys; from quietpet import cli; from quietpet.stages import slices\n"
        f"def run(*_): raise {error!r}\n"
        f"slices.run = run; sys.exit(cli.main({command!r}))"
    )
    with (tmp_path / "log").open("w") as log:
        assert subprocess.run([sys.executable, "-c", script], stderr=log, check=False).returncode == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert "Traceback (most recent call last):" in lines
    assert lines[-1].startswith("quietpet: error: ")


@pytest.mark.parametrize("arguments", [["schema"], ["validate", "config.yaml"]])
def test_standard_output_that_is_full_or_closed(repository, arguments):
    command = [sys.executable, "-m", "quietpet.cli", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=repository, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "quietpet: error: standard output: No space left on device. "
        "Make room there, or name a place on a larger disk."
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command, cwd=repository, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("option", ["--html", "--json"])
def test_an_audit_writes_into_devices_and_refuses_folders(tmp_path, capsys, option):
    tree = str(petbids.write_dataset(tmp_path / "tree", participants=1))
    assert main(["audit", tree, option, "/dev/full"]) == 1
    assert "/dev/full: cannot be written (No space left on device)" in capsys.readouterr().err
    assert Path("/dev/full").is_char_device()
    capsys.readouterr()
    assert main(["audit", tree, option, str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert f"{tmp_path}: is a folder; name a file" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--gpus", "-1", "-1 is less than 0"),
        ("--gpus", "two", "'two' is no whole number"),
        ("--threads", "0", "0 is less than 1"),
        ("--threads", "1.5", "'1.5' is no whole number"),
    ],
)
def test_impossible_numbers_of_devices_are_refused(option, value, problem, capsys):
    with pytest.raises(SystemExit):
        main(["fit", option, value])
    assert f"argument {option}: {problem}" in capsys.readouterr().err
