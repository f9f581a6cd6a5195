"""The documentation says what is: pages, paths, commands and keys that it names exist."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import generate
import jsonschema
import pytest
import rows
import yaml

from quietpet import cli
from quietpet.study.reading import json_schema

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((REPOSITORY / "docs").rglob("*.md"))
PATH = re.compile(r"(?<![\w/.-])(?:workflow|src|benchmarks|docs|envs|tests|profiles)/[\w./-]*\w")
MADE = re.compile(r"docs/_build|benchmarks/results")
OUTSIDE = re.compile(r"^(https?:|#|mailto:)")


def _text(page: Path) -> str:
    return page.read_text()


def _code(text: str) -> Iterator[str]:
    """What stands in blocks and between backticks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    yield from (line for block in blocks for line in block.splitlines())
    yield from re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def page(request) -> Path:
    return request.param


def test_generated_pages_are_those_of_the_code():
    assert generate.stale_pages() == [], "run: python docs/generate.py"


def test_a_page_that_lags_behind_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    name = next(iter(generate.pages()))
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
    assert generate.main() == 1
    assert name in capsys.readouterr().err


def test_the_readme_is_one_that_is_read():
    assert len(_text(REPOSITORY / "README.md").splitlines()) <= 150


def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", _text(page)):
        if not OUTSIDE.match(target):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_every_page_of_the_site_can_be_reached():
    docs = REPOSITORY / "docs"
    listed = {docs / "index.md"}
    for index in (docs / "index.md", *sorted(docs.glob("*/index.md"))):
        for tree in re.findall(r"```\{toctree\}(.*?)```", _text(index), re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            for name in names:
                listed |= set(index.parent.glob(f"{name}.md"))
    assert listed == set(docs.rglob("*.md"))


def test_paths_that_are_named_exist(page):
    for code in _code(_text(page)):
        for path in PATH.findall(code):
            assert MADE.match(path) or list(REPOSITORY.glob(path)), path


def test_modules_that_are_named_exist(page):
    for code in _code(_text(page)):
        for module in re.findall(r"(?:^|(?<=[\s(]))[\w/]+\.(?:py|smk)\b", code):
            assert list(REPOSITORY.glob(module)) or _ends_with(module), module


def _ends_with(module: str) -> bool:
    """Whether a file of the repository has this name, with as many of its folders as are named."""
    tracked = [
        path for folder in ("src", "workflow", "docs") for path in (REPOSITORY / folder).rglob("*")
    ]
    return any(path.as_posix().endswith(f"/{module}") for path in tracked)


def test_names_of_code_exist(page):
    """Constants and classes that a page tells to edit or read."""
    source = "\n".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
    listed = re.findall(r"\(((?:`_?[A-Z]\w+`(?:, )?)+)\)|entry of (`_?[A-Z]\w+`)", _text(page))
    for name in re.findall(r"`(\w+)`", " ".join(map(" ".join, listed))):
        assert re.search(rf"\b{name}\b", source), name


def test_examples_of_configurations_are_valid(page):
    for block in re.findall(r"^```yaml\n(.*?)^```", _text(page), re.DOTALL | re.MULTILINE):
        for key, value in yaml.safe_load(block).items():
            errors = [_errors(record, {key: value}) for record in _records_with(key)]
            assert min(errors, key=len) == [], f"{key}: {errors}"


def _records_with(key: str) -> list[dict]:
    """Records in which ``key`` may stand: all sections of a configuration, or those of a given name."""
    schema = json_schema()
    if key in schema["properties"]:
        return [schema["properties"]]
    named = ("LowDoseSettings", "SourceSettings")
    return [{key: {"$ref": f"#/$defs/{name}"}} for name in named]


def _errors(properties: dict, document: dict) -> list[str]:
    schema = {"$defs": json_schema()["$defs"], "properties": properties}
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def test_targets_of_make_exist(page):
    targets = re.findall(r"^([\w-]+):", _text(REPOSITORY / "Makefile"), re.MULTILINE)
    for code in _code(_text(page)):
        for target in re.findall(r"^make ([a-z]\w*)", code):
            assert target in targets


def test_commands_exist(page):
    verbs = {"--version"}
    for action in cli._parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            verbs |= set(action.choices)
    for code in _code(_text(page)):
        for verb in re.findall(r"^quietpet ([\w-]+)", code):
            assert verb in verbs


def test_keys_of_the_configuration_exist(page):
    schema = json_schema()
    for code in _code(_text(page)):
        keys = re.split(r"[:=]", code)[0].split(".")
        is_code = any(key in {"csv", "json", "yaml"} or key.lower() != key for key in keys)
        if len(keys) > 1 and keys[0] in schema["properties"] and not is_code:
            assert _resolves(schema, schema, keys), code


def _resolves(schema, record, keys: list[str]) -> bool:
    """Whether keys lead to a value of a configuration; a name of one's own stands for any."""
    if not keys:
        return True
    if "$ref" in record:
        return _resolves(schema, schema["$defs"][record["$ref"].rsplit("/", 1)[-1]], keys)
    if "anyOf" in record:
        return any(_resolves(schema, part, keys) for part in record["anyOf"])
    key, *rest = keys
    if key in record.get("properties", {}):
        return _resolves(schema, record["properties"][key], rest)
    return any(_resolves(schema, part, rest) for part in record.get("patternProperties", {}).values())


def test_the_rows_of_the_readme_are_as_they_are_drawn():
    table = re.search(
        r"^\| method \|.*?\n\n", _text(REPOSITORY / "README.md"), re.DOTALL | re.MULTILINE
    )[0]
    header, rule, *lines = table.strip().splitlines()
    assert f"{header}\n{rule}" == rows.HEADER
    assert [line.split("`")[1] for line in lines] == list(rows.METHODS)


def test_every_room_says_what_it_is_for():
    for init in sorted((REPOSITORY / "src/quietpet").rglob("__init__.py")):
        assert (ast.get_docstring(ast.parse(init.read_text())) or "").endswith("."), init


def test_the_site_is_built_without_a_warning(tmp_path):
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed")
    build = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    built = subprocess.run(
        [*build, "-d", tmp_path / "doctrees", REPOSITORY / "docs", tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "published protocol" in (tmp_path / "site/tutorial.html").read_text()


def test_continuous_integration_runs_the_script_of_the_repository():
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    assert {"run": ".ci/run"} in workflow["jobs"]["test"]["steps"]
    assert (REPOSITORY / ".ci/run").stat().st_mode & 0o111
