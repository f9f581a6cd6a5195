"""What the SIRF adapter decides without SIRF; with it, see the projector laws and the STIR files."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import numpy as np
import pytest
from stir_reference import FOLDER

from quietpet.errors import InputError
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import SCANNERS, ge_signa_petmr, siemens_mmr
from quietpet.projection.engines import available_engine, require_installed, require_usable
from quietpet.projection.interfile import direct_plane_header, write_template
from quietpet.projection.sirf import Engine, engine, in_blocks, level_of, sirf_projector_3d
from quietpet.projection.sirf_installation import sirf_fault, sirf_is_installed


@pytest.fixture
def without_sirf(monkeypatch):
    """Python as it is where SIRF is not installed."""
    monkeypatch.setitem(sys.modules, "sirf", None)


BROKEN = {
    "a library is missing": (
        "raise ImportError('libstir.so: cannot open shared object file')",
        r"ImportError: libstir\.so: cannot open shared object file",
    ),
    "another release": ("pass", "AttributeError: module 'sirf.STIR' has no attribute .*"),
    "it crashes": ("import os; os.abort()", "importing it ended Python with SIGABRT"),
    "it leaves": ("import os; os._exit(3)", "importing it ended Python with 3"),
}


@pytest.fixture(params=BROKEN)
def broken_sirf(request, tmp_path, monkeypatch):
    """A SIRF that is installed and cannot be used; what is said of it."""
    code, fault = BROKEN[request.param]
    (tmp_path / "sirf").mkdir()
    (tmp_path / "sirf" / "__init__.py").write_text("")
    (tmp_path / "sirf" / "STIR.py").write_text(code + "\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sirf"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    sirf_fault.cache_clear()
    yield fault
    sirf_fault.cache_clear()


def keys(header):
    """Interfile keys and values; STIR ignores the spaces around both."""
    pairs = (line.split(":=") for line in header.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, value in pairs}


def test_absent_sirf_is_named_with_its_remedy(without_sirf):
    assert not sirf_is_installed()
    require_installed("embedded")
    require_installed("auto")
    with pytest.raises(
        InputError, match=r"scanner\.projector = 'sirf'.*ghcr\.io/synerbi/sirf.*envs/sirf"
    ):
        require_installed("sirf")
    with pytest.raises(InputError, match=r"SIRF cannot be used \(ModuleNotFoundError: .*sirf.*\); run"):
        engine.__wrapped__()
    with pytest.raises(ImportError):
        Engine()


def test_a_broken_sirf_is_refused_before_any_job(broken_sirf):
    """Tried in a process of its own, which may crash; the remedy is not 'auto', which asks nothing."""
    assert sirf_is_installed()
    with pytest.raises(
        InputError, match=rf"'sirf', but SIRF does not work here \({broken_sirf}\); .*to 'embedded'\.$"
    ) as caught:
        require_usable("sirf")
    assert "auto" not in str(caught.value)
    require_usable("auto")
    require_usable("embedded")


def test_auto_says_why_it_does_not_take_a_broken_sirf(broken_sirf):
    chosen, reason = available_engine()
    assert chosen == "embedded"
    assert re.search(rf"SIRF is installed but does not work \({broken_sirf}\)", reason)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (
            "WARNING: forward_project. Imaging modality unknown for either the image or the",
            logging.DEBUG,
        ),
        ("WARNING: Imaging modality is unknown for either the target or the input", logging.DEBUG),
        ("Going ahead anyway.", logging.DEBUG),
        ("WARNING: Using OpenMP with number of threads=1 produces parallel overhead.", logging.DEBUG),
        ("WARNING: This matrix will completely miss some voxels", logging.WARNING),
        ("WARNING: RadionuclideDB: unknown modality. Returning", logging.WARNING),
    ],
)
def test_what_is_harmless_among_stirs_warnings_stays_out_of_the_log(line, level):
    """The texts are those of STIR 6.4's warning() calls."""
    assert level_of(line, channel="warning") == level
    assert level_of(line, channel="error") == logging.ERROR


@pytest.mark.sirf
def test_a_process_with_sirf_ends_quietly(sirf):
    """Its message redirector is dropped before Python takes down the modules it needs."""
    code = "from quietpet.projection.sirf import engine; print(sorted(engine().versions))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "['SIRF', 'STIR']" in done.stdout
    assert "Exception ignored" not in done.stderr


def test_the_header_is_the_one_that_stir_accepted():
    """The one-ring template with which the reference projections were computed."""
    accepted = (FOLDER / "mmr1ring.hs").read_text()
    written = direct_plane_header(siemens_mmr(), n_rings=1, data_name="mmr1ring.s")
    assert keys(written) == keys(accepted)


@pytest.mark.parametrize("model", SCANNERS)
def test_templates_describe_the_scanner(model, tmp_path):
    scanner = SCANNERS[model]()
    header = write_template(tmp_path, scanner, n_rings=3)
    found = keys(header.read_text())
    assert float(found["Inner ring diameter (cm)"]) == pytest.approx(scanner.inner_radius_mm / 5)
    assert int(found["Number of detectors per ring"]) == scanner.crystals_per_ring
    assert int(found["!matrix size [3]"]) == scanner.n_views
    blocks = int(found["Number of crystals per block in transaxial direction"])
    assert scanner.crystals_per_ring % blocks == 0
    angle = np.deg2rad(float(found["View offset (degrees)"]))
    assert angle == pytest.approx(scanner.view_angles_rad[0], abs=1e-8)
    assert re.fullmatch(r"\{ 3\}", found["!matrix size [2]"])
    data = header.with_name(found["name of data file"])
    assert data.stat().st_size == 4 * 3 * scanner.n_views * scanner.n_bins


def test_batches_are_cut_into_full_calls():
    items = np.arange(1.0, 6.0)[:, None]
    blocks = list(in_blocks(items, 2))
    assert [block.ravel().tolist() for block in blocks] == [[1, 2], [3, 4], [5, 0]]
    assert [len(block) for block in in_blocks(items, 1)] == [1] * 5


def test_3d_is_refused_where_stir_would_add_time_of_flight():
    with pytest.raises(InputError, match=r"'ge_signa_petmr': SIRF in 3-D is only there for siemens_mmr"):
        sirf_projector_3d(ge_signa_petmr(), mmr_grid(128), rays=1)


@pytest.mark.sirf
def test_an_error_of_the_engine_is_one_sentence(sirf):
    with (
        pytest.raises(InputError, match=r"SIRF failed while asking for an unknown scanner: .+"),
        sirf.doing("asking for an unknown scanner") as stir,
    ):
        stir.AcquisitionData("no such scanner")
