"""Where the scans of a study come from: one source of the section ``invivo``."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from quietpet.config.section import BRACES, Label, Section

T1Presence = Literal["required", "if_there"]


class SourceSettings(Section):
    """Where scans come from: a BIDS tree with PET and T1 images, or a folder of pairs."""

    kind: Literal["openneuro", "folder", "standin", "pairs"] = Field(
        description="openneuro: fetched, participant by participant; folder: one that you have; "
        "standin: the cohort of this study's own simulated scans; pairs: your own images of standard "
        "and low dose, named by the table pairs.tsv in their folder (docs/pairs.md)"
    )
    accession: str | None = Field(None, pattern=r"^ds\d{6}$", description="openneuro: of the data set")
    manifest: str | None = Field(
        None,
        description="openneuro: table of files (accession, version, path, bytes, md5), for data sets "
        "other than ds002898 and ds003397, whose table comes with the program; relative to this file",
    )
    root: str | None = Field(
        None,
        description="folder of the tree, or of pairs, relative to this file; with openneuro it is "
        "where files are kept, and those there already are not fetched; none: resources/<accession>",
    )
    cohort: Label | None = Field(None, description="standin: name of the simulated cohort")
    entities: dict[str, str] = Field(
        {},
        description="BIDS entities that the PET file names must have, such as {task: rest, ses: '1'}; "
        "needed where a participant has several sessions, tracers or reconstructions. An empty value, "
        "such as {rec: ''}, asks for names without it",
    )
    runs: tuple[str, ...] = Field(
        (), description="runs that are fetched and read, as in the file names; none: all"
    )
    t1: dict[str, str] = Field(
        {},
        description="BIDS entities that the name of the T1 image must have, such as {acq: mprage, "
        "run: '1'}, or must not have, such as {rec: ''}; needed where a participant has several in the "
        "session of the PET images, which goes before others",
    )

    t1_presence: T1Presence = Field(
        "required",
        description="if_there: participants of whom the source holds no T1 image are taken too, on the "
        "grid of their PET, which nothing is registered to; methods that need T1 then restore none of "
        "its data sets",
    )

    @field_validator("root", "manifest")
    @classmethod
    def _no_wildcard(cls, path: str | None) -> str | None:
        if path and set(path) & set(BRACES):
            raise ValueError(
                f"{path!r} has a brace, which Snakemake takes for a wildcard; rename it, or give a link "
                "to it"
            )
        return path

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed, also = _SOURCE_KEYS[self.kind]
        given = {key for key in ("accession", "manifest", "root", "cohort") if getattr(self, key)}
        if needed not in given:
            raise ValueError(f"kind {self.kind!r} needs {needed}")
        of_bids = {key for key in ("entities", "runs", "t1") if getattr(self, key)}
        wrong = sorted(given - {needed} - also) + sorted(of_bids if self.has_pairs else ())
        if wrong:
            raise ValueError(f"kind {self.kind!r} has no {', '.join(wrong)}")
        return self

    @property
    def has_pairs(self) -> bool:
        """Whether standard and low doses are images of their own, in place of windows of a scan."""
        return self.kind == "pairs"

    @property
    def is_of_the_user(self) -> bool:
        """Whether its files lie in a folder of the user's, and nothing pins what they are."""
        return self.kind in ("folder", "pairs")

    @property
    def steps(self) -> tuple[str, ...]:
        """From its files to the images of one scan, registered to T1."""
        return ("import_pair", "register") if self.has_pairs else _STEPS_OF_BIDS

    @property
    def data(self) -> tuple[str, ...]:
        """What names the data set that scans come from: sessions of one may be sources of their own.

        A folder is the real one, however it is written, also where a link leads to it.
        """
        folder = os.path.realpath(self.root) if self.root else None
        return tuple(name for name in (folder, self.accession, self.cohort) if name)


_STEPS_OF_BIDS = ("fetch_invivo", "import_scan", "register")
_SOURCE_KEYS = {
    "openneuro": ("accession", {"manifest", "root"}),
    "folder": ("root", set()),
    "standin": ("cohort", set()),
    "pairs": ("root", set()),
}
"""Kind of a source -> the key it needs, and those it may have."""
