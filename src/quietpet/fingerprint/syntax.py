"""What Python source says that can change a result, definition by definition.

Left out is what cannot: comments, docstrings, annotations, descriptions of settings, the texts of errors
and logs, and variables that serve those texts alone.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

from quietpet.fingerprint.stripping import Strip, called, is_for_checkers, is_string, names_in, words_in

EFFECTS = ""
"""Name of what a module does when it is imported, beside defining names."""

Target = tuple[str, str | None]
"""What an import binds: a module and a name in it, or None for a module as such."""

_PARSERS = frozenset({"field_validator", "model_validator", "field_serializer", "model_serializer"})
"""Decorators of what runs between a record of settings and its JSON."""


@dataclass(frozen=True, eq=False)
class Stripped:
    """A statement without what cannot matter (None: nothing is left), its annotations and imports."""

    node: ast.AST | None
    annotations: tuple[ast.expr, ...]
    imports: frozenset[str]


@dataclass(eq=False)
class Statement:
    """One statement of a module, stripped when it is first asked for: most never are."""

    node: ast.stmt
    package: str

    @functools.cached_property
    def whole(self) -> Stripped:
        """All of it."""
        if not isinstance(self.node, ast.ClassDef):
            return _stripped(self.node, self.package)
        parts = [part for _, part in self._body]
        left = [part.node for part in parts if part.node] or [ast.Pass()]
        self.node.body = left  # type: ignore[assignment]
        return Stripped(
            node=self.node,
            annotations=tuple(each for part in parts for each in part.annotations),
            imports=frozenset(each for part in parts for each in part.imports),
        )

    def member(self, name: str) -> list[Stripped]:
        """Of a class, what defines one member."""
        return [part for names, part in self._body if name in names]

    @functools.cached_property
    def _body(self) -> list[tuple[list[str], Stripped]]:
        parent = self.node
        assert isinstance(parent, ast.ClassDef)
        return [(_members(each), _stripped(each, self.package, parent)) for each in parent.body]


@dataclass(frozen=True, eq=False)
class ClassParts:
    """Of a class: the names of its bases, the annotations of its fields, and its other members."""

    bases: tuple[str, ...]
    fields: tuple[ast.expr, ...]
    members: tuple[str, ...]


@dataclass(eq=False)
class ModuleSource:
    """One module: its statements by the names they define, and what it imports.

    ``bindings`` are the names of what it imports, anywhere in it; ``typing_bindings`` those of type
    checkers alone. ``imports`` run when the module does.
    """

    statements: dict[str, list[Statement]] = field(default_factory=dict)
    classes: dict[str, ClassParts] = field(default_factory=dict)
    bindings: dict[str, set[Target]] = field(default_factory=dict)
    typing_bindings: dict[str, set[Target]] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)

    def stripped(self, name: str) -> list[Stripped]:
        """What defines ``name``, which is Class.member for members of classes."""
        first, _, member = name.partition(".")
        if member:
            return [part for each in self.statements[first] for part in each.member(member)]
        return [each.whole for each in self.statements[first]]


@functools.cache
def read_module(text: str, *, package: str) -> ModuleSource:
    """Take a module apart that lies in ``package``, to which its relative imports refer."""
    module, body = ModuleSource(), ast.parse(text).body
    for node in body:
        _add_imports(module, node, package)
    root = package.split(".", maxsplit=1)[0]
    own = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {name for name, targets in module.bindings.items() if any(_in(root, m) for m, _ in targets)}
    for node in body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = _class_parts(node)
        statement = Statement(node, package)
        for name in _names_of(node, own):
            module.statements.setdefault(name, []).append(statement)
    return module


def _class_parts(node: ast.ClassDef) -> ClassParts:
    members = [name for each in node.body for name in _members(each)]
    return ClassParts(
        bases=tuple(base.id for base in node.bases if isinstance(base, ast.Name)),
        fields=tuple(each.annotation for each in node.body if isinstance(each, ast.AnnAssign)),
        members=tuple(dict.fromkeys(members)),
    )


def _names_of(node: ast.stmt, own: set[str]) -> list[str]:
    """Names under which a statement of a module is found."""
    if isinstance(node, ast.Import | ast.ImportFrom) or _says_nothing(node):
        return []
    if not (names := _defined(node)):  # what a condition or a loop defines is found where it stands
        inner = [each.id for each in names_in(node) if isinstance(each.ctx, ast.Store)]
        return [EFFECTS, *dict.fromkeys(inner)]
    # A decorator of the package's own may note down what it decorates.
    decorators = getattr(node, "decorator_list", [])
    registers = any(name.id in own for each in decorators for name in names_in(each))
    return [*names, EFFECTS] if registers else names


def _says_nothing(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or for type checkers alone."""
    if isinstance(node, ast.If):
        return is_for_checkers(node) and not node.orelse
    return isinstance(node, ast.Expr) and is_string(node.value)


def _add_imports(module: ModuleSource, node: ast.stmt, package: str) -> None:
    for into, imports in ((module.bindings, _imports_in(node)), (module.typing_bindings, _typing(node))):
        for each in imports:
            for name, target in _bound(each, package):
                into.setdefault(name, set()).add(target)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        module.imports |= _imported(node, package)


def _imports_in(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports in any depth that run: they are statements, which are a tenth of the nodes."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Import | ast.ImportFrom):
            yield each
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            if block != "body" or not is_for_checkers(each):
                waiting += getattr(each, block, ())


def _typing(node: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports of a module that type checkers alone see."""
    for each in node.body if isinstance(node, ast.If) and is_for_checkers(node) else ():
        yield from _imports_in(each)


def _bound(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Target]]:
    """The names that an import binds."""
    origin = _origin(node, package) if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        if origin:
            yield alias.asname or alias.name, (origin, alias.name)
        elif alias.asname:
            yield alias.asname, (alias.name, None)
        else:
            first = alias.name.split(".", maxsplit=1)[0]
            yield first, (first, None)


def _imported(node: ast.stmt, package: str) -> set[str]:
    """Full names that the imports in a statement may run; some are no modules but names in one."""
    found = set()
    for each in _imports_in(node):
        origin = _origin(each, package) if isinstance(each, ast.ImportFrom) else ""
        found |= {f"{origin}.{alias.name}" if origin else alias.name for alias in each.names} | {origin}
    return found - {""}


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
    return f"{base}.{node.module}" if node.module else base


def _in(root: str, module: str) -> bool:
    return module == root or module.startswith(f"{root}.")


def _members(node: ast.stmt) -> list[str]:
    """Names that a statement of a class defines, but for fields and what parses them."""
    if isinstance(node, ast.FunctionDef):
        decorators = {called(each) for each in node.decorator_list}
        return [] if decorators & _PARSERS else [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and "ClassVar" in words_in(node.annotation):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    return [node.name] if isinstance(node, ast.ClassDef) else []


def _defined(node: ast.stmt) -> list[str]:
    """Names that a statement defines and does nothing else; none for any other statement."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AnnAssign) and all(map(_is_plain, targets)):
        return [name.id for target in targets for name in names_in(target)]
    return []


def _is_plain(target: ast.expr | None) -> bool:
    if isinstance(target, ast.Tuple):
        return all(map(_is_plain, target.elts))
    return isinstance(target, ast.Name)


def _stripped(node: ast.stmt, package: str, parent: ast.ClassDef | None = None) -> Stripped:
    strip, imports = Strip(parent), frozenset(_imported(node, package))
    left = strip.visit(node)
    if isinstance(left, list):  # what stood behind `if TYPE_CHECKING: ... else:`
        left = ast.Module(body=left, type_ignores=[]) if left else None
    return Stripped(left, tuple(strip.annotations), imports)
