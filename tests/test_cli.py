"""The command line: one clear sentence for a user's mistake, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys

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
        "import signal, sys, os; from pathlib import Path; from quietpet import cli, store\n"
        "def command(options):\n"
        f"    with store.atomic_path(Path({str(tmp_path / 'out.h5')!r})):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli._validate = command\n"
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


def test_a_failed_check_is_an_exit_status(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)
    monkeypatch.setattr(
        "quietpet.recon.agreement.CLOSED_FORM_TOLERANCES",
        dict.fromkeys(("forward", "attenuation", "sensitivity", "OSEM"), 1e-6),
    )
    assert main(["check", "projector", "--scanner", "small_test"]) == 1
    assert "TOO FAR" in capsys.readouterr().out
