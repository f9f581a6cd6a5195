"""What Python source says that can change a result, definition by definition.

Left out is what cannot: comments, docstrings, annotations, descriptions of settings, the texts of errors
and logs, and variables that serve those texts alone.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

EFFECTS = ""
"""Name of what a module does when it is imported, beside defining names."""

Target = tuple[str, str | None]
"""What an import binds: a module and a name in it, or None for a module as such."""

_LOG_METHODS = frozenset({"critical", "debug", "error", "exception", "info", "warning"})

_PURE = frozenset(
    {"abs", "dict", "float", "int", "len", "list", "max", "min", "repr", "round", "set", "sorted"}
    | {"str", "sum", "tuple", "type"}
    | {"format", "get", "items", "join", "keys", "lower", "removeprefix", "removesuffix", "replace"}
    | {"rstrip", "split", "strip", "upper", "values"}
)
"""Built-in functions, and methods of built-in types, that do nothing but return."""

_OF_DATACLASSES = frozenset({"ClassVar", "InitVar", "KW_ONLY"})
"""Annotations that a dataclass reads; it ignores all others."""

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
        return _is_for_checkers(node) and not node.orelse
    return isinstance(node, ast.Expr) and _is_string(node.value)


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
            if block != "body" or not _is_for_checkers(each):
                waiting += getattr(each, block, ())


def _typing(node: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports of a module that type checkers alone see."""
    for each in node.body if isinstance(node, ast.If) and _is_for_checkers(node) else ():
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


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and _called(node.test) == "TYPE_CHECKING"


def _members(node: ast.stmt) -> list[str]:
    """Names that a statement of a class defines, but for fields and what parses them."""
    if isinstance(node, ast.FunctionDef):
        decorators = {_called(each) for each in node.decorator_list}
        return [] if decorators & _PARSERS else [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and "ClassVar" in _words(node.annotation):
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


def names_in(node: ast.AST | None) -> list[ast.Name]:
    """Every name in ``node``."""
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)] if node else []


def _words(node: ast.AST) -> set[str]:
    return {getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(node)}


def _called(node: ast.expr) -> str:
    """Last part of the name of what is called, or of a name."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _stripped(node: ast.stmt, package: str, parent: ast.ClassDef | None = None) -> Stripped:
    strip, imports = _Strip(parent), frozenset(_imported(node, package))
    left = strip.visit(node)
    if isinstance(left, list):  # what stood behind `if TYPE_CHECKING: ... else:`
        left = ast.Module(body=left, type_ignores=[]) if left else None
    return Stripped(left, tuple(strip.annotations), imports)


class _Strip(ast.NodeTransformer):
    """Drop what cannot change a result, and collect the annotations that were dropped."""

    def __init__(self, parent: ast.ClassDef | None) -> None:
        self.annotations: list[ast.expr] = []
        self._classes = [parent] if parent else []
        self._functions = 0
        self._texts = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        return None

    visit_ImportFrom = visit_Import

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if _is_string(node.value):
            return None
        if _only_logs(node.value):
            self._texts += 1
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if _is_for_checkers(node) else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._classes.append(node)
        outside, self._functions = self._functions, 0
        self.generic_visit(node)
        self._classes.pop()
        self._functions = outside
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        arguments = node.args
        rest = [each for each in (arguments.vararg, arguments.kwarg) if each]
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest):
            self._drop_annotation(each, "annotation")
        self._drop_annotation(node, "returns")
        texts = self._texts
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1
        if not self._functions and self._texts > texts:
            while drop_unread(node):
                pass
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if self._classes and not self._functions:
            decorators = {_called(each) for each in self._classes[-1].decorator_list}
            if "dataclass" in decorators and not _OF_DATACLASSES & _words(node.annotation):
                self.annotations.append(node.annotation)
                node.annotation = ast.Constant(None)
            return node
        self.annotations.append(node.annotation)
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            kept = [each for each in node.exc.args if not is_text(each)]
            self._texts += len(node.exc.args) - len(kept)
            node.exc.args = kept
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self._texts += node.msg is not None
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _called(node) == "Field":
            node.keywords = [each for each in node.keywords if each.arg not in ("description", "title")]
        return self.generic_visit(node)

    def _drop_annotation(self, node: ast.AST, name: str) -> None:
        if annotation := getattr(node, name):
            self.annotations.append(annotation)
            setattr(node, name, None)


def is_text(node: ast.expr | None) -> bool:
    """Whether an expression is a text that stands here, in whole or in part."""
    if isinstance(node, ast.BinOp):  # but not folder / "name"
        return isinstance(node.op, ast.Add | ast.Mod) and (is_text(node.left) or is_text(node.right))
    if isinstance(node, ast.IfExp):
        return is_text(node.body) or is_text(node.orelse)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("format", "join") and is_text(node.func.value)
    return _is_string(node) or isinstance(node, ast.JoinedStr)


def _is_string(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _only_logs(node: ast.expr) -> bool:
    """Whether a call tells something and does nothing else: a log, or a warning."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    speaker = getattr(node.func.value, "id", "")
    told = (speaker == "logger" and node.func.attr in _LOG_METHODS) or (
        speaker == "warnings" and node.func.attr == "warn"
    )
    return told and all(map(does_nothing, (*node.args, *(each.value for each in node.keywords))))


def does_nothing(node: ast.expr) -> bool:
    """Whether an expression has a value and no effect, as far as can be seen here."""
    return not any(
        isinstance(each, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)
        or (isinstance(each, ast.Call) and _called(each) not in _PURE)
        for each in ast.walk(node)
    )


def drop_unread(function: ast.AST) -> bool:
    """Drop assignments to local variables that nothing reads; whether there were any."""
    read = {each.id for each in names_in(function) if not isinstance(each.ctx, ast.Store)}
    for each in ast.walk(function):
        if isinstance(each, ast.Global | ast.Nonlocal):
            read |= set(each.names)
    found = False
    for each in ast.walk(function):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(each, block, None)
            if not isinstance(statements, list):
                continue
            kept = [node for node in statements if not _is_unread(node, read)]
            if len(kept) < len(statements):
                found = True
                setattr(each, block, kept or ([ast.Pass()] if block == "body" else []))
    return found


def _is_unread(node: ast.stmt, read: set[str]) -> bool:
    return (
        isinstance(node, ast.Assign)
        and all(isinstance(target, ast.Name) and target.id not in read for target in node.targets)
        and does_nothing(node.value)
    )
