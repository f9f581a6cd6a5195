"""The table of steps: unknown and missing names of files are refused before any work."""

from __future__ import annotations

import importlib.util

import pytest

from quietpet.cli import main
from quietpet.files.named import Files
from quietpet.steps import STEPS

FILES = [
    pytest.param(step, option, file, id=f"{step.name}-{option}-{file.name}")
    for step in STEPS.values()
    for option, files in (("--in", step.inputs), ("--out", step.outputs))
    for file in files
]


def command(step, folder):
    """The arguments of ``step`` with all its files, by option."""
    return {
        option: [f"{file.name}={folder / option[2:]}.{file.name}" for file in files]
        for option, files in (("--in", step.inputs), ("--out", step.outputs))
    }


def refusal(step, arguments, capsys):
    """What the command says; settings are not even looked at, and nothing runs."""
    flat = [text for option, values in arguments.items() for text in (option, *values)]
    assert main([step.name, "--settings", "{}", *flat]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"quietpet: error: {step.name}: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture(autouse=True)
def _no_stage_is_started(monkeypatch):
    monkeypatch.setattr(
        "quietpet.cli.importlib.import_module", lambda name: pytest.fail(f"{name} was imported")
    )


@pytest.mark.parametrize(("step", "option", "file"), FILES)
def test_a_misspelt_name_is_refused(tmp_path, capsys, step, option, file):
    arguments = command(step, tmp_path)
    right = f"{file.name}="
    arguments[option] = [text.replace(right, f"{file.name}s=", 1) for text in arguments[option]]
    said = refusal(step, arguments, capsys)
    assert f"{option} knows no '{file.name}s' (meant: {file.name}?)" in said
    assert (f"{option} lacks {file.name}=PATH" in said) == (not file.optional)
    assert file.usage in said


@pytest.mark.parametrize(("step", "option", "file"), FILES)
def test_a_missing_name_is_refused_unless_it_is_optional(tmp_path, capsys, step, option, file):
    arguments = command(step, tmp_path)
    arguments[option] = [text for text in arguments[option] if not text.startswith(f"{file.name}=")]
    if not file.optional:
        assert f"{option} lacks {file.name}=PATH ({file.content})" in refusal(step, arguments, capsys)
    elif file.beside:
        assert f"has {file.beside!r} without {file.name}=PATH" in refusal(step, arguments, capsys)
    else:
        step.require_names(Files.parse(arguments["--in"]), Files.parse(arguments["--out"]))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_name_of_no_file_is_refused(tmp_path, capsys, step):
    for option in ("--in", "--out"):
        arguments = command(step, tmp_path)
        arguments[option].append("zzz=x")
        assert f"{option} knows no 'zzz'. It takes" in refusal(step, arguments, capsys)


@pytest.mark.parametrize(
    ("step", "option", "file"), [each for each in FILES if not each.values[2].several]
)
def test_two_files_for_one_name_are_refused(tmp_path, capsys, step, option, file):
    arguments = command(step, tmp_path)
    arguments[option].append(f"{file.name}={tmp_path}/second")
    assert f"{option} has 2 files called {file.name!r}" in refusal(step, arguments, capsys)


def test_a_repeated_option_keeps_the_names_before_it(tmp_path, capsys):
    """argparse would forget them, and with them the engine that was decided on."""
    arguments = ["--in", "engines=x", "--in", "slices=y", "--out", "sinograms=z"]
    assert main(["simulate", "--settings", "{}", *arguments]) == 1
    assert "knows no 'engines'" in capsys.readouterr().err


def test_no_files_at_all_are_missing_names(capsys):
    assert main(["slices", "--settings", "{}"]) == 1
    assert "--in lacks phantom=PATH" in capsys.readouterr().err


def test_one_file_for_two_outputs_is_refused(tmp_path, capsys):
    for name in ("restored", "test"):
        (tmp_path / name).touch()
    job = {"dataset": "phantom", "setting": "low", "method": "lpet", "replicate": "r0"}
    settings = STEPS["score"].job.model_validate({**job, "learning": "-", "evaluation": {}})
    arguments = [
        *("--in", f"restored={tmp_path}/restored", f"test={tmp_path}/test"),
        *("--out", f"scores={tmp_path}/x", f"provenance={tmp_path}/../{tmp_path.name}/x"),
    ]
    assert main(["score", "--settings", settings.model_dump_json(), *arguments]) == 1
    assert "is named twice in --out" in capsys.readouterr().err


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_help_lists_the_names(capsys, step):
    with pytest.raises(SystemExit, match="0"):
        main([step.name, "--help"])
    said = capsys.readouterr().out
    assert step.summary in " ".join(said.split())
    for file in (*step.inputs, *step.outputs):
        assert f"{file.usage} " in said
        assert file.content in said


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_every_step_is_a_module_of_stages(step):
    assert importlib.util.find_spec(f"quietpet.stages.{step.name}") is not None
    assert step.summary.endswith(".")
