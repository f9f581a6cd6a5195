"""The record of a result names the modules of its code, so that two tell which of them differs."""

from __future__ import annotations

from edited_package import edited_package

import quietpet.provenance
from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import by_module, fingerprint_of
from quietpet.provenance import Stopwatch, provenance

ROOTS = ("stages.reconstruct", "recon.osem")


def test_the_edited_module_alone_has_another_fingerprint(tmp_path):
    sources = Sources(edited_package(tmp_path, {}).folder / "quietpet")
    before = fingerprint_of(sources, *ROOTS), by_module(sources, *ROOTS)
    place = tmp_path / "quietpet/recon/osem.py"
    place.write_text(place.read_text().replace("LEAST_PROJECTION = ", "LEAST_PROJECTION = 2 * "))
    sources = Sources(tmp_path / "quietpet")
    found = before, (fingerprint_of(sources, *ROOTS), by_module(sources, *ROOTS))
    (whole, parts), (other_whole, other_parts) = found
    assert whole != other_whole
    assert {name for name in parts if parts[name] != other_parts[name]} == {"recon.osem"}
    assert set(parts) == set(other_parts)


def test_the_record_has_them_and_the_processor():
    record = provenance("counts", settings={}, inputs=(), watch=Stopwatch())
    assert "stages.counts" in record["modules"]
    assert "quietpet.provenance" not in record["modules"]
    assert record["processor"]


def test_a_machine_without_a_list_of_processors(monkeypatch):
    def absent(_):
        raise FileNotFoundError

    monkeypatch.setattr(quietpet.provenance.Path, "read_text", absent)
    assert quietpet.provenance.processor()
