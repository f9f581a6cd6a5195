"""File names of BIDS: entities, suffix, and what in a name follows no rule.

Grammar: BIDS 1.11.2, ``objects.formats`` (a label is ``[0-9a-zA-Z+]+``, an index ``[0-9]+``) and
``objects.entities`` of its schema. Two labels are the same label or unrelated: ``FDG+base`` is neither
``FDG`` nor ``FDG+drug``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PART = re.compile(r"([a-zA-Z]+)-([0-9a-zA-Z+]+)")
_INDEX = re.compile(r"[0-9]+")
_INDICES = frozenset(("chunk", "echo", "flip", "inv", "run", "split"))
"""Entities whose value is a number, leading zeros being for show."""

_T1 = re.compile(r"(?<![a-z])(?:\dd|s|uni|inplane)?t1(?!\d)|mp2?rage", re.IGNORECASE)
_LABELS = re.compile(r"(?<![a-zA-Z])(?:sub|ses)-[0-9a-zA-Z+]+")
_OF_OTHER_IMAGES = frozenset(
    (
        "t1map", "t1rho", "t2w", "t2map", "t2star", "t2starw", "t2starmap", "pdw", "pdmap", "pdt2",
        "flair", "swi", "angio", "pet", "bold", "cbv", "sbref", "dwi", "epi", "asl", "m0scan", "mask",
        "dseg", "probseg",
    )
)  # fmt: skip
"""Suffixes of BIDS that no T1-weighted image has, whatever its entities say."""


@dataclass(frozen=True, kw_only=True)
class FileName:
    """``sub-01_ses-1_pet`` taken apart; ``odd`` holds the parts that no rule of BIDS explains."""

    entities: Mapping[str, str]
    suffix: str
    odd: tuple[str, ...]

    @property
    def parts(self) -> frozenset[object]:
        """All of the name but its suffix."""
        return frozenset((*self.entities.items(), *self.odd))


def parsed(stem: str) -> FileName:
    """The name of a file without its folder and its extensions."""
    *parts, suffix = stem.split("_")
    entities: dict[str, str] = {}
    odd = []
    for part in parts:
        found = _PART.fullmatch(part)
        name, value = found.groups() if found else ("", "")
        if not found or name in entities or (name in _INDICES and not _INDEX.fullmatch(value)):
            odd.append(part)
        else:
            entities[name] = value
    return FileName(entities=entities, suffix=suffix, odd=tuple(odd))


def entities_of(stem: str) -> dict[str, str]:
    """``{"sub": "01", "task": "rest"}`` of ``sub-01_task-rest_pet``."""
    return dict(parsed(stem).entities)


def same_value(entity: str, one: str, other: str) -> bool:
    """Whether two values of an entity mean the same: an index is a number, a label is its letters."""
    if entity in _INDICES and _INDEX.fullmatch(one) and _INDEX.fullmatch(other):
        return int(one) == int(other)
    return one == other


def has_entities(own: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether a file with the entities ``own`` is one of those that a setting asks for.

    An empty value asks for files without the entity.
    """
    return all(same_value(name, own.get(name, ""), value) for name, value in asked.items())


def applies(sidecar: FileName, image: FileName) -> bool:
    """Whether a side-car's name lets it apply to an image (BIDS, inheritance principle, rule 2).

    That of an odd name applies to the image of exactly this name.
    """
    return sidecar == image or (
        not sidecar.odd
        and sidecar.suffix == image.suffix
        and sidecar.entities.items() <= image.entities.items()
    )


def more_specific(one: FileName, other: FileName) -> bool:
    """Whether the first of two side-cars that apply to an image has all parts of the other, and more."""
    return one.parts > other.parts


def speaks_of_t1(stem: str) -> bool:
    """Whether a file is named like a T1-weighted image, by BIDS or otherwise.

    ``T1``, ``MPRAGE``, ``MP2RAGE`` or ``UNIT1`` in any case; not the name of a participant or session.
    """
    said = _LABELS.sub("", stem)
    return parsed(stem).suffix.lower() not in _OF_OTHER_IMAGES and _T1.search(said) is not None
