"""A scanner is one function and its entry in one file: the configuration and the command find it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from edited_package import EditedPackage, edited_package

from quietpet.study.reading import read_yaml

FILE = "geometry/scanner.py"
LAST = '    "small_test": small_test,\n}'
TOY = '''

def toy_ring() -> ScannerGeometry:
    """The mMR with two thirds of its blocks."""
    fewer = {"crystals_per_ring": 342, "n_bins": 230, "image_pixel_mm": 3.1}
    return replace(siemens_mmr(), name="toy_ring", stir_name=None, **fewer)


'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> EditedPackage:
    made = edited_package(tmp_path_factory.mktemp("edited"), {})
    path = made.folder / "quietpet" / FILE
    text = path.read_text().replace("import dataclass\n", "import dataclass, replace\n")
    before, registry = text.split("\n\nSCANNERS: ")
    entry = registry.replace(LAST, LAST.replace("}", '    "toy_ring": toy_ring,\n}'))
    path.write_text(f"{before}{TOY}SCANNERS: {entry}")
    return made


def test_the_configuration_and_the_command_know_it(
    package: EditedPackage, repository: Path, tmp_path: Path
) -> None:
    assert package.touched == {FILE}
    study = read_yaml(repository / "config.yaml")
    study["scanner"]["model"] = "toy_ring"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    validated = json.loads(package.run("validate", tmp_path / "config.yaml"))
    assert validated["scanner"]["model"] == "toy_ring"
    assert '"toy_ring"' in package.run("schema")
    checked = package.run("check", "projector", "--scanner", "toy_ring")
    assert "embedded" in checked
