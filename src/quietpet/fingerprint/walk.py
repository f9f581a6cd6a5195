"""The fingerprint of a step: a hash of all code and tables that can change its result.

It makes Snakemake run a step again when, and only when, such code has changed. It covers the definitions
that a step's modules reach by name when they run, whichever modules those lie in:

- A function, a constant or a class counts if reached code names it; what a module does when it is
  imported, beside defining names, counts wherever the module is imported.
- Imports and names of annotations, docstrings, descriptions and the texts of errors and logs do not
  (:mod:`quietpet.fingerprint.syntax`).
- Settings reach a step by value, as its parameters. Of a record of settings that a job carries, a method
  or property counts if reached code uses its name; of one that reached code makes itself, everything.
- A file of the package that is no source counts if reached code holds its name.

Modules that are imported under computed names are the caller's to name, as one more root.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from quietpet.fingerprint.kept import kept
from quietpet.fingerprint.sources import PACKAGE, Definition, Sources
from quietpet.fingerprint.syntax import EFFECTS

_WITHOUT_EFFECT = ("quietpet.fingerprint", "quietpet.provenance", "quietpet.outputs.digests")
"""Modules that describe a result and do not make it."""


def fingerprint(*roots: str) -> str:
    """Hash of the code and tables that the modules ``quietpet.<root>`` reach, as installed."""
    return _of_installed(roots)


@functools.cache
def _of_installed(roots: tuple[str, ...]) -> str:
    folder = Path(__file__).parents[1]
    return kept(folder, roots, lambda: fingerprint_of(_sources(folder), *roots))


@functools.cache
def _sources(folder: Path) -> Sources:
    return Sources(folder)


def fingerprint_of(sources: Sources, *roots: str) -> str:
    """The same of any sources of the package."""
    reached, tables = reach(sources, *roots)
    digest = hashlib.sha256()
    for module, name in sorted(reached):
        digest.update(f"{module}\0{name}\0{sources.meaning((module, name)).text}\0".encode())
    for path in tables:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def module_fingerprints(*roots: str) -> dict[str, str]:
    """The same, of each module of the package and each table by its name: which of them has changed."""
    return json.loads(_by_module_of_installed(roots))


@functools.cache
def _by_module_of_installed(roots: tuple[str, ...]) -> str:
    folder = Path(__file__).parents[1]
    return kept(folder, ("by module:", *roots), lambda: json.dumps(by_module(_sources(folder), *roots)))


def by_module(sources: Sources, *roots: str) -> dict[str, str]:
    """The same of any sources of the package."""
    reached, tables = reach(sources, *roots)
    digests: dict[str, hashlib._Hash] = {}
    for module, name in sorted(reached):
        digest = digests.setdefault(module.removeprefix(f"{PACKAGE}."), hashlib.sha256())
        digest.update(f"{name}\0{sources.meaning((module, name)).text}\0".encode())
    found = {module: digest.hexdigest()[:8] for module, digest in digests.items()}
    return found | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in tables}


def reach(sources: Sources, *roots: str) -> tuple[set[Definition], list[Path]]:
    """The definitions and the tables that count for what starts in the modules ``quietpet.<root>``."""
    walk = _Walk(sources)
    for root in roots:
        walk.start(f"{PACKAGE}.{root}")
    walk.finish()
    tables = {path for name in walk.names for path in sources.tables.get(name, ())}
    return walk.reached, sorted(tables)


class _Walk:
    """From definition to definition, until nothing new is reached."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.reached: set[Definition] = set()
        self.names: set[str] = set()
        self._waiting: list[Definition] = []
        self._spoken_of: set[Definition] = set()
        self._imported: set[str] = set()

    def start(self, module: str) -> None:
        """From everything in ``module``, and from the classes of what it is handed."""
        self._import(module)
        for definition in self._sources.all_of(module):
            handed = self._sources.meaning(definition).types
            for each in (definition, *handed):
                if self._sources.is_record(each):
                    self._carry(each)
                else:
                    self._run(each)

    def finish(self) -> None:
        while self._waiting:
            while self._waiting:
                meaning = self._sources.meaning(self._waiting.pop())
                self.names |= meaning.names
                for module in meaning.imports:
                    self._import(module)
                for definition in meaning.runs:
                    self._run(definition)
                for definition in meaning.types:
                    self._carry(definition)
            for module, name in list(self._spoken_of):
                self._use_members(module, name)

    def _run(self, definition: Definition) -> None:
        if definition not in self.reached and not definition[0].startswith(_WITHOUT_EFFECT):
            self.reached.add(definition)
            self._waiting.append(definition)
            self._import(definition[0])

    def _carry(self, definition: Definition) -> None:
        """Of what annotations name, records count, also behind names for several types."""
        if definition in self._spoken_of or definition[0].startswith(_WITHOUT_EFFECT):
            return
        self._spoken_of.add(definition)
        if self._sources.is_record(definition):
            for each in (*self._sources.bases(definition), *self._sources.field_types(definition)):
                self._carry(each)
        elif self._sources.is_assigned(definition):
            meaning = self._sources.meaning(definition)
            for each in meaning.runs | meaning.types:
                self._carry(each)

    def _use_members(self, module: str, name: str) -> None:
        parts = self._sources.parts((module, name))
        if parts is None or not self._sources.is_record((module, name)):
            return
        for member in parts.members:
            if member in self.names or member.startswith("__") or member == "model_post_init":
                self._run((module, f"{name}.{member}"))

    def _import(self, module: str) -> None:
        """What runs when a module is imported, and the modules and folders that this imports."""
        if (
            module in self._imported
            or module.startswith(_WITHOUT_EFFECT)
            or not self._sources.has(module)
        ):
            return
        self._imported.add(module)
        source = self._sources.module(module)
        if EFFECTS in source.statements:
            self._run((module, EFFECTS))
        self._import(module.rpartition(".")[0])
        for each in source.imports:
            self._import(each)
