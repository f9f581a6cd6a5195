"""``scanner.projector: auto`` is decided once, written down, and kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import read_json, write_json
from quietpet.jobs.acquisition import EngineJob
from quietpet.recon.system import as_simulated, decided
from quietpet.stages import engine

AUTO = ScannerSettings(projector="auto")


@pytest.fixture(autouse=True)
def without_sirf(monkeypatch):
    monkeypatch.setitem(sys.modules, "sirf", None)


def test_without_sirf_the_decision_is_the_embedded_projector(tmp_path, caplog):
    target = tmp_path / "engine.json"
    with caplog.at_level("INFO"):
        engine.run(EngineJob(projector="auto"), Files({}), Files({"decision": [target]}))
    said = "this study uses the projector 'embedded': SIRF is not installed here"
    assert f"scanner.projector = auto: {said}" in caplog.text
    assert read_json(target)["projector"] == "embedded"
    assert read_json(target)["reason"] == "SIRF is not installed here"
    assert decided(AUTO, target).projector == "embedded"
    assert decided(AUTO).projector == "embedded"


def test_a_decision_for_sirf_is_not_forgotten_where_it_is_absent(tmp_path):
    """Jobs of one study never mix engines silently."""
    target = tmp_path / "engine.json"
    write_json(target, {"projector": "sirf"})
    with pytest.raises(InputError, match=r"scanner\.projector = 'sirf', but SIRF is not installed"):
        decided(AUTO, target)


def test_a_named_engine_that_is_not_here_is_no_decision(tmp_path):
    target = tmp_path / "engine.json"
    with pytest.raises(InputError, match="SIRF is not installed here"):
        engine.run(EngineJob(projector="sirf"), Files({}), Files({"decision": [target]}))
    assert not target.exists()


def test_images_are_reconstructed_by_the_engine_that_simulated():
    origin = Path("x.h5")
    lineage = {"data_source": "template", "projector": "embedded"}
    assert as_simulated(AUTO, lineage, origin=origin).projector == "embedded"
    with pytest.raises(InputError, match=r"x\.h5: was simulated with the projector 'embedded'"):
        as_simulated(ScannerSettings(projector="sirf"), lineage, origin=origin)
    with pytest.raises(InputError, match="SIRF is not installed here"):
        as_simulated(AUTO, {**lineage, "projector": "sirf"}, origin=origin)


def test_an_engine_that_is_gone_is_named():
    """Of files made with a projector of one's own, whose file is no longer there."""
    lineage = {"data_source": "template", "projector": "mine"}
    with pytest.raises(InputError, match="'mine' is none of this installation"):
        as_simulated(AUTO, lineage, origin=Path("x.h5"))
