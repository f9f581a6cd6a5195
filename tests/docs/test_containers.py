"""The recipe of the images: what it copies is there, and it names no version a second time."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from quietpet.projection.backends import BACKENDS


@pytest.fixture
def recipe(repository) -> str:
    return (repository / "envs/Containerfile").read_text()


def test_what_is_copied_is_in_the_repository(repository, recipe):
    copied = re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE)
    assert copied
    for sources in copied:
        assert all((repository / source).exists() for source in sources.split())


def test_every_image_of_the_page_is_a_stage_of_the_recipe(repository, recipe):
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", recipe, re.MULTILINE))
    page = (repository / "envs/containers.md").read_text()
    named = set(re.findall(r"--target (\w+)", page + recipe))
    assert named == stages - {"python"}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == named


def test_versions_are_those_of_the_lock(repository, recipe):
    assert re.search(r"^torch==", (repository / "requirements.lock").read_text(), re.MULTILINE)
    assert not re.search(r"==\d", recipe), "versions belong in requirements.lock"
    assert re.search(r"^ARG SIRF_IMAGE=(.+):", recipe, re.MULTILINE)[1] in BACKENDS["sirf"].remedy


def test_nothing_large_or_private_goes_into_an_image(repository):
    left_out = (repository / ".dockerignore").read_text().split()
    assert {".git", ".venv*", "results", "resources", "logs"} <= set(left_out)


def test_hadolint_finds_nothing(repository):
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        ["hadolint", repository / "envs/Containerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
