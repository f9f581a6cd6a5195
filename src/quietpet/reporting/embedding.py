"""Figures inside a page: as data, so that the page needs no other file."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from quietpet.errors import InputError, reading, replacing
from quietpet.evaluation.drawing import DPI

CSS_PIXELS_PER_INCH = 96

LARGEST_SVG_BYTES = 300_000
"""A larger SVG gives way to the PNG of the same name."""

SMALLER_PIXELS = 800

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_VIEW_BOX = re.compile(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A figure as a data URI, with the width and height it is meant to have [CSS pixels]."""

    uri: str
    width: int
    height: int


def embed_figures(paths: Iterable[Path]) -> dict[str, Embedded]:
    """Each figure by the name of its file without ending: its SVG if that is small, else its PNG.

    Raises:
        InputError: a file is no PNG or SVG, or cannot be read; two in different folders have one name.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in paths:
        endings = found.setdefault(path.stem, {})
        if path.suffix in endings:
            raise InputError(
                f"{path} and {endings[path.suffix]}: two figures have one name; rename one."
            )
        endings[path.suffix] = path
    return {stem: _embedded(endings) for stem, endings in found.items()}


def _embedded(endings: Mapping[str, Path]) -> Embedded:
    svg, png = endings.get(".svg"), endings.get(".png")
    if svg is not None and (png is None or svg.stat().st_size <= LARGEST_SVG_BYTES):
        return _svg(svg)
    if png is not None:
        return png_data(png)
    (path, *_) = endings.values()
    raise InputError(f"{path}: is no figure of a page; give a PNG or an SVG.")


def png_data(path: Path) -> Embedded:
    """A PNG as it is, shown as large as it was drawn.

    Raises:
        InputError: it is no PNG, or cannot be read.
    """
    with reading(path, "not a PNG"):
        content = path.read_bytes()
    if not content.startswith(_SIGNATURE) or len(content) < 24:
        raise InputError(f"{path}: not a PNG. {replacing(path)}")
    width, height = struct.unpack(">II", content[16:24])  # of the header IHDR, the first chunk
    scale = CSS_PIXELS_PER_INCH / DPI
    return Embedded(
        uri=_uri("image/png", content),
        width=round(width * scale) or 1,
        height=round(height * scale) or 1,
    )


def smaller(path: Path) -> Embedded:
    """A figure of which there are many, as JPEG of at most :data:`SMALLER_PIXELS` across.

    Raises:
        InputError: it is no image, or cannot be read.
    """
    content = BytesIO()
    with reading(path, "not an image"), Image.open(path) as image:
        image.thumbnail((SMALLER_PIXELS, SMALLER_PIXELS))
        image.convert("RGB").save(content, format="JPEG", quality=80)
        width, height = image.size
    return Embedded(uri=_uri("image/jpeg", content.getvalue()), width=width, height=height)


def svg_data(text: str) -> Embedded:
    """An SVG; ValueError if it does not say how large it is."""
    size = _VIEW_BOX.search(text)
    if size is None:
        raise ValueError("no viewBox")
    width, height = (round(float(each) * 4 / 3) for each in size.groups())  # of points
    return Embedded(uri=_uri("image/svg+xml", text.encode()), width=width, height=height)


def _svg(path: Path) -> Embedded:
    with reading(path, "not an SVG"):
        return svg_data(path.read_text(encoding="utf-8"))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
