"""Sphinx configuration of the documentation: `make docs`."""

from __future__ import annotations

from quietpet import __version__

project = "quietpet"
author = "The quietpet developers"
copyright = author
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # docstrings say shapes and units
nitpicky = True  # a link that leads nowhere is a warning, and warnings end the build

html_theme = "furo"
html_title = f"quietpet {release}"
html_show_sphinx = False
