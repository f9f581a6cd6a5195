"""Files that several steps read or write."""

from __future__ import annotations

from quietpet.steps.step import NamedFile

DECISION = NamedFile("decision", "JSON: what was decided, and why")

ENGINE_DECISION = NamedFile(
    "engine",
    "JSON of `engine`, for scanner.projector: auto; without it, what is found decides",
    optional=True,
)

PROVENANCE = NamedFile(
    "provenance", "JSON: settings, inputs, code and versions behind the rows", optional=True
)

SVG = NamedFile("svg", "SVG: the same figure", optional=True)

SECTION = NamedFile("section", "JSON: what the report shows of it")

SINOGRAMS_OF_SLICES = "low-dose sinograms of all {} subjects, for methods that reconstruct"

TO_RESTORE = (
    NamedFile("weights", "weights of `fit`; methods that fit nothing need none", optional=True),
    NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
    NamedFile("sinograms", SINOGRAMS_OF_SLICES.format("test"), optional=True, several=True),
)
