"""What `import quietpet` and reading a configuration load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import quietpet


def third_party_after(statement: str) -> set[str]:
    """Packages outside of Python's own library that ``statement`` loads in a fresh interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    return packages - sys.stdlib_module_names - {"quietpet"}


def test_the_package_alone_loads_no_other():
    assert third_party_after("import quietpet") == set()


@pytest.mark.parametrize("module", ["quietpet.config.doses", "quietpet.methods.registry"])
def test_settings_load_no_numerics(module):
    """So that a study is checked, and a mistake in it told, in a moment."""
    heavy = {"torch", "monai", "pandas", "h5py", "nibabel", "skimage", "SimpleITK", "matplotlib"}
    assert not third_party_after(f"import {module}") & heavy


def test_type_checkers_see_every_public_name():
    """They cannot follow names that are imported when first asked for: a stub says where these are."""
    stub = ast.parse(Path(quietpet.__file__).with_suffix(".pyi").read_text())
    (imports,) = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    assert imports.module == "quietpet.api"
    assert sorted(alias.name for alias in imports.names) == sorted(quietpet.__all__)
