"""Taking from syntax trees what cannot change a result: annotations, docstrings, texts that are told."""

from __future__ import annotations

import ast

_LOG_METHODS = frozenset({"critical", "debug", "error", "exception", "info", "warning"})

_PURE = frozenset(
    {"abs", "dict", "float", "int", "len", "list", "max", "min", "repr", "round", "set", "sorted"}
    | {"str", "sum", "tuple", "type"}
    | {"format", "get", "items", "join", "keys", "lower", "removeprefix", "removesuffix", "replace"}
    | {"rstrip", "split", "strip", "upper", "values"}
)
"""Built-in functions, and methods of built-in types, that do nothing but return."""

_MAY_ACT = frozenset({"float", "get", "int", "replace"})
"""Of these names, those that also fail (ValueError) or belong to methods that act (Path.replace)."""

_OF_DATACLASSES = frozenset({"ClassVar", "InitVar", "KW_ONLY"})
"""Annotations that a dataclass reads; it ignores all others."""


class Strip(ast.NodeTransformer):
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
        if is_string(node.value):
            return None
        if _only_logs(node.value):
            self._texts += 1
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if is_for_checkers(node) else node

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
            decorators = {called(each) for each in self._classes[-1].decorator_list}
            if "dataclass" in decorators and not _OF_DATACLASSES & words_in(node.annotation):
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
        if called(node) == "Field":
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
    return is_string(node) or isinstance(node, ast.JoinedStr)


def is_string(node: ast.expr | None) -> bool:
    """Whether an expression is a constant text."""
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
        or (isinstance(each, ast.Call) and called(each) not in _PURE)
        for each in ast.walk(node)
    )


def drop_unread(function: ast.AST) -> bool:
    """Drop assignments to local variables that nothing reads; whether there were any."""
    read, found = names_read(function), False
    for each in ast.walk(function):
        if isinstance(each, ast.ClassDef):  # what its body assigns are attributes
            continue
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
        and not any(
            isinstance(each, ast.Call) and called(each) in _MAY_ACT for each in ast.walk(node.value)
        )
    )


def is_for_checkers(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING``, which never runs."""
    return isinstance(node, ast.If) and called(node.test) == "TYPE_CHECKING"


def names_in(node: ast.AST | None) -> list[ast.Name]:
    """Every name in ``node``."""
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)] if node else []


def names_read(node: ast.AST) -> set[str]:
    """Names whose values are used, those that are changed in place among them."""
    read = {each.id for each in names_in(node) if not isinstance(each.ctx, ast.Store)}
    for each in ast.walk(node):
        if isinstance(each, ast.AugAssign):
            read |= {name.id for name in names_in(each.target)}
        elif isinstance(each, ast.Global | ast.Nonlocal):
            read |= set(each.names)
    return read


def words_in(node: ast.AST) -> set[str]:
    """Every name and attribute in ``node``."""
    return {getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(node)}


def called(node: ast.expr) -> str:
    """Last part of the name of what is called, or of a name."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
