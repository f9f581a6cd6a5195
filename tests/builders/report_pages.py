"""A small report of everything that a page can hold, and what a parser finds in a page."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from html.parser import HTMLParser

from quietpet.files.sections import Column, Section, ShownFigure, Table
from quietpet.reporting.embedding import svg_data
from quietpet.reporting.page import Page, render_page

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 36"><rect width="9" height="9"/></svg>'
COLUMNS = (
    Column(key="method", label="Method"),
    Column(key="psnr", label="PSNR", unit="dB", digits=1, spread="std", low="low", high="high"),
    Column(key="word", label="Verdict"),
)
ROWS = (
    {"method": "unet", "psnr": 30.0, "std": 1.0, "low": 29.0, "high": 31.0, "word": "better"},
    {"method": "<b>lpet</b> & more", "psnr": 9.5, "word": None},
    {"method": "mfdiff", "psnr": None, "word": "a `word` in **bold**"},
)


def table(caption="Fidelity", variant="", rows=ROWS):
    return Table(caption=caption, columns=COLUMNS, rows=rows, variant=variant)


def wide_table():
    """As wide as the widest table of a study: many metrics, each with spread and interval."""
    labels = (
        "PSNR",
        "SSIM",
        "NMSE",
        "Bias",
        "Grey matter bias",
        "NMSE due to the maximum",
        "T1-only hot",
    )
    metrics = [
        Column(key=f"m{number}", label=label, unit="%", digits=2, spread="std", low="low", high="high")
        for number, label in enumerate(labels * 2)
    ]
    cells = {column.key: 1234.5 for column in metrics}
    row = {"method": "munet_concat", **cells, "std": 1.25, "low": 1233.25, "high": 1236.75}
    return Table(caption="Wide", columns=(COLUMNS[0], *metrics), rows=(row, row))


def section(name, **changes):
    values = {"id": name, "title": name.title(), "summary": f"What {name} says.", **changes}
    return Section(**values)


def page(*sections, **changes):
    figure = ShownFigure(file="bars.png", alt="Two bars.", caption="PSNR of `unet`.")
    shown = sections or (
        section(
            "tables",
            warnings=("Nobody was scanned.",),
            notes=("One.", "Two."),
            sections=(
                section(
                    "table-1",
                    tables=(
                        table(variant="quantitative"),
                        table(variant="paper"),
                        table("Other"),
                        wide_table(),
                    ),
                    figures=(figure,),
                    warnings=("Below.",),
                ),
            ),
        ),
        section("scans", part="Data"),
        section("times", part="How it was made"),
        section("registration", part="Data"),
    )
    values = {
        "title": "A study",
        "facts": {"Study": "`small`", "Methods": "17"},
        "sections": shown,
        "figures": {"bars": svg_data(SVG)},
        "made": "Made today.",
    }
    return Page(**{**values, **changes})


@dataclass
class Found(HTMLParser):
    """What is in a page: every element with its attributes, and the text of some."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    open_tags: list[str] = field(default_factory=list)
    _VOID = frozenset({"meta", "img", "link", "br", "input", "hr"})

    def __post_init__(self):
        super().__init__()

    @classmethod
    def of(cls, text):
        found = cls()
        found.feed(text)
        found.close()
        assert not found.open_tags, f"not closed: {found.open_tags}"
        return found

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open_tags.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open_tags):
            self.texts[tag][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(*sections, **changes):
    return render_page(page(*sections, **changes))


def require_accessible(text):
    """What a reader without eyes, mouse or network needs of a page, as far as its text shows."""
    found = Found.of(text)
    (html,) = found.all("html")
    assert html["lang"] == "en"
    headings = [int(tag[1]) for tag, _ in found.elements if tag[0] == "h" and tag[1:].isdigit()]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(headings))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id stands twice"
    for _, attributes in found.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    for link in found.all("a"):
        assert link["href"].startswith("#")
        assert link["href"][1:] in ids
    assert all(image["alt"].strip() for image in found.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "srcset", "data", "poster", "background", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), f"{tag} asks for something"
    for style in found.texts.get("style", []):
        assert "url(" not in style
        assert "@import" not in style
    (policy,) = (each["content"] for each in found.all("meta") if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; img-src data:;")
    scrolling = [each for each in found.all("div") if each.get("class") == "scroll"]
    assert all(each["role"] == "group" and each["aria-labelledby"] for each in scrolling)
    assert not any("tabindex" in each for each in scrolling), "its script makes those that scroll stops"
    first_link = next(attributes for tag, attributes in found.elements if tag == "a")
    assert first_link == {"class": "skip", "href": "#content"}
    return found
