"""The fingerprint changes with code that a step reaches, and with nothing else."""

from __future__ import annotations

import pytest

from quietpet import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of quietpet: a.py imports b.py; c.py stands alone."""
    for name, text in {
        "__init__": "",
        "a": '"""A."""\nfrom quietpet.b import f\n\ndef run():\n    """Run."""\n    return f()\n',
        "b": "def f():\n    return 1\n",
        "c": "X = 1\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(provenance, "_PACKAGE_FOLDER", tmp_path)

    def forget():
        for cached in (provenance._tree, provenance._imported_modules, provenance._meaning):
            cached.cache_clear()

    def fingerprint(*roots):
        forget()
        return provenance.fingerprint(*roots)

    yield tmp_path, fingerprint
    forget()


def test_reached_code_counts(package):
    folder, fingerprint = package
    before = fingerprint("a")
    (folder / "b.py").write_text("def f():\n    return 2\n")
    assert fingerprint("a") != before


def test_code_out_of_reach_does_not_count(package):
    folder, fingerprint = package
    before = fingerprint("a")
    (folder / "c.py").write_text("X = 2\n")
    assert fingerprint("a") == before
    assert fingerprint("a", "c") != before


def test_what_carries_settings_does_not_count_and_what_it_reaches_does(package):
    folder, fingerprint = package
    (folder / "a.py").write_text("from quietpet.config.scanner import RAYS\n")
    (folder / "config").mkdir()
    (folder / "config" / "scanner.py").write_text("from quietpet.c import X\nRAYS = 1\n")
    before = fingerprint("a")
    (folder / "config" / "scanner.py").write_text("from quietpet.c import X\nRAYS = 2\n")
    assert fingerprint("a") == before
    (folder / "c.py").write_text("X = 2\n")
    assert fingerprint("a") != before


def test_comments_docstrings_and_layout_do_not_count(package):
    folder, fingerprint = package
    before = fingerprint("a")
    (folder / "a.py").write_text(
        '"""Another."""\nfrom quietpet.b import f\n\n\n'
        '# why\ndef run():\n    """Other."""\n    return (f())\n'
    )
    assert fingerprint("a") == before


def test_metric_code_reaches_scores_but_not_training():
    """On the real package: what evaluates is not part of what simulates or trains."""

    def reach(stage):
        waiting, reached = [f"quietpet.stages.{stage}"], set()
        while waiting:
            module = waiting.pop()
            if module not in reached:
                reached.add(module)
                waiting.extend(provenance._imported_modules(module))
        return reached

    assert "quietpet.evaluation.metrics" in reach("score")
    for stage in ("fetch", "phantom", "slices", "simulate", "reconstruct", "pack", "fit", "restore"):
        assert not any(module.startswith("quietpet.evaluation") for module in reach(stage)), stage
    assert not any(module.startswith("quietpet.training") for module in reach("score"))
