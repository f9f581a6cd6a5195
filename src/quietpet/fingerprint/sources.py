"""The sources of the package: what each definition says, and which others it refers to."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quietpet.fingerprint.kept import COMPILED
from quietpet.fingerprint.silence import Places, silent_parameters, without_silent
from quietpet.fingerprint.stripping import called
from quietpet.fingerprint.syntax import ClassParts, ModuleSource, read_module

_HAND_ON = frozenset({"cache", "contextmanager"})
"""Decorators that hand arguments on as they are; others may read them, or shift their places."""

PACKAGE = "quietpet"

Definition = tuple[str, str]
"""A module and a name in it, as in :class:`quietpet.fingerprint.syntax.ModuleSource`."""


@dataclass(frozen=True, eq=False)
class Meaning:
    """One definition: its text for the hash, the definitions it may run, those it speaks of as types.

    ``names`` are all its attributes and strings, ``imports`` the modules that it imports when it runs.
    """

    text: str
    runs: frozenset[Definition]
    types: frozenset[Definition]
    names: frozenset[str]
    imports: frozenset[str]


class Sources:
    """The sources of the package, in ``folder``; each is read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for cached in ("module", "meaning", "resolve", "is_record", "silent"):
            setattr(self, cached, functools.cache(getattr(self, cached)))

    def module(self, name: str) -> ModuleSource:
        """One module; ModuleNotFoundError if there is none of that full name."""
        if not self.has(name):
            raise ModuleNotFoundError(f"no module {name} below {self._folder}")
        path = self._paths[name]
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        return read_module(path.read_text(encoding="utf-8"), package=package)

    def has(self, name: str) -> bool:
        """Whether there is a module of that full name."""
        return name in self._paths

    @functools.cached_property
    def _paths(self) -> dict[str, Path]:
        """The file of every module."""
        found = {}
        for path in self._folder.rglob("*.py"):
            parts = path.relative_to(self._folder).with_suffix("").parts
            inner = parts[:-1] if path.name == "__init__.py" else parts
            found[".".join((PACKAGE, *inner))] = path
        return found

    @functools.cached_property
    def tables(self) -> dict[str, list[Path]]:
        """Every file that is no source, by its name."""
        found: dict[str, list[Path]] = {}
        for path in self._folder.rglob("*"):
            if COMPILED in path.parts or not path.is_file():
                continue
            if path.suffix not in (".py", ".pyi", ".typed"):
                found.setdefault(path.name, []).append(path)
        return found

    def resolve(self, module: str, name: str, *, typing: bool = False) -> frozenset[Definition]:
        """Where the global ``name`` of a module is defined; empty for what is not of the package."""
        known = self.module(module)
        found = {(module, name)} if name in known.statements else set()
        targets = set(known.bindings.get(name, ()))
        targets |= set(known.typing_bindings.get(name, ())) if typing else set()
        for origin, attribute in targets:
            whole = origin if attribute is None else f"{origin}.{attribute}"
            if self.has(whole):
                found |= self.all_of(whole)
            elif attribute is not None and self.has(origin):
                found |= self.resolve(origin, attribute)
        return frozenset(found)

    def all_of(self, module: str) -> set[Definition]:
        """Every definition of a module."""
        return {(module, name) for name in self.module(module).statements}

    def modules_called(self, module: str, name: str) -> set[str]:
        """Modules that ``name`` stands for in a module."""
        found = set()
        for origin, attribute in self.module(module).bindings.get(name, ()):
            whole = origin if attribute is None else f"{origin}.{attribute}"
            found |= {whole} if self.has(whole) else set()
        return found

    def below(self, module: str, names: list[str]) -> set[Definition]:
        """What ``module.a.b`` means for the ``names`` a and b."""
        for name in names:
            if not self.has(f"{module}.{name}"):
                return set(self.resolve(module, name))
            module = f"{module}.{name}"
        return self.all_of(module)

    def is_assigned(self, definition: Definition) -> bool:
        """Whether it is a name that values, such as types, are assigned to."""
        module, name = definition
        return any(isinstance(each.node, ast.Assign) for each in self.module(module).statements[name])

    def is_record(self, definition: Definition) -> bool:
        """Whether it is a class of settings: a pydantic model."""
        parts = self.parts(definition)
        return parts is not None and (
            "BaseModel" in parts.bases or any(map(self.is_record, self.bases(definition)))
        )

    def parts(self, definition: Definition) -> ClassParts | None:
        """The parts of a class; None for anything else."""
        module, name = definition
        return self.module(module).classes.get(name)

    def bases(self, definition: Definition) -> Iterator[Definition]:
        """The classes of the package that a class derives from."""
        parts = self.parts(definition)
        for name in parts.bases if parts else ():
            yield from self.resolve(definition[0], name)

    def field_types(self, definition: Definition) -> frozenset[Definition]:
        """What the annotations of a class's fields name."""
        parts, references = self.parts(definition), _References(self, definition[0], typing=True)
        for annotation in parts.fields if parts else ():
            references.visit(annotation)
        return frozenset(references.runs | references.types)

    def nodes(self, definition: Definition) -> list[ast.AST]:
        """The statements of a definition, without all that serves texts for people alone."""
        module, name = definition
        parts = self.module(module).stripped(name)
        return [
            without_silent(part.node, lambda called: self._silent_in(module, called))
            for part in parts
            if part.node
        ]

    def _silent_in(self, module: str, name: str) -> Places:
        """Silent parameters of the function that is called ``name`` in a module."""
        first, *rest = name.split(".")
        places = self.modules_called(module, first) if rest else set()
        found = {each for place in places for each in self.below(place, rest)}
        found |= set() if rest else self.resolve(module, first)
        return self.silent(found.pop()) if len(found) == 1 else frozenset()

    def silent(self, definition: Definition) -> Places:
        """Parameters of a function of the package that serve texts alone; none of anything else."""
        module, name = definition
        statements = self.module(module).statements.get(name, [])
        if len(statements) != 1 or not isinstance(statements[0].node, ast.FunctionDef):
            return frozenset()
        if {called(each) for each in statements[0].node.decorator_list} - _HAND_ON:
            return frozenset()
        (part,) = self.module(module).stripped(name)
        return silent_parameters(part.node) if isinstance(part.node, ast.FunctionDef) else frozenset()

    def meaning(self, definition: Definition) -> Meaning:
        """What one definition says, and what it refers to."""
        module, name = definition
        parts, nodes = self.module(module).stripped(name), self.nodes(definition)
        run, types = _References(self, module), _References(self, module, typing=True)
        for node in nodes:
            run.visit(node)
        for annotation in (each for part in parts for each in part.annotations):
            types.visit(annotation)
        imports = {each for part in parts for each in part.imports}
        return Meaning(
            text="\n".join(map(ast.dump, nodes)),
            runs=frozenset(run.runs),
            types=frozenset(types.runs | types.types | run.types),
            names=frozenset(run.names),
            imports=frozenset(filter(self.has, imports | run.modules)),
        )


class _References(ast.NodeVisitor):
    """Collects what code, or an annotation, of one module refers to."""

    def __init__(self, sources: Sources, module: str, *, typing: bool = False) -> None:
        self._sources, self._module, self._typing = sources, module, typing
        self.runs: set[Definition] = set()
        self.types: set[Definition] = set()
        self.names: set[str] = set()
        self.modules: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Store):
            self._refer(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._refer(name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        found = self._in_a_module(node)
        if found is None:
            self.names.add(node.attr)
            self.generic_visit(node)
        else:
            self.runs |= found

    def visit_Constant(self, node: ast.Constant) -> None:
        """A string may be the name of an attribute, of a table, or of a module that is started by it."""
        if not isinstance(node.value, str):
            return
        self.names |= {node.value, *node.value.split(".")}
        if "." in node.value and self._sources.has(node.value):
            self.modules.add(node.value)
            self.runs |= self._sources.all_of(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """Which class something is of depends on the class, but not on what a record makes of values."""
        asks = isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass")
        if not asks or len(node.args) != 2:
            self.generic_visit(node)
            return
        what, of = node.args
        classes = _References(self._sources, self._module)
        classes.visit(of)
        records = set(filter(self._sources.is_record, classes.runs))
        self.types |= records
        self.runs |= classes.runs - records
        self.visit(what)

    def _refer(self, name: str) -> None:
        self.runs |= self._sources.resolve(self._module, name, typing=self._typing)

    def _in_a_module(self, node: ast.Attribute) -> set[Definition] | None:
        """What ``a.b.c`` means where ``a`` is a module; None where it is none."""
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            return None
        found: set[Definition] | None = None
        for place in self._sources.modules_called(self._module, inner.id):
            found = (found or set()) | self._sources.below(place, parts[::-1])
            self.names |= set(parts)
        return found
