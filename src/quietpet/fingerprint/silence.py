"""Parameters that serve the texts of errors and logs alone, and the arguments given for them."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable

from quietpet.fingerprint.stripping import does_nothing, drop_unread, is_text, names_in, names_read

Places = frozenset[str | int]
"""Parameters of a function, by their names and, where they have one, their places."""


def silent_parameters(function: ast.FunctionDef) -> Places:
    """Those that a function, stripped of texts, never reads."""
    read = names_read(function)
    placed = [*function.args.posonlyargs, *function.args.args]
    places = {place for place, each in enumerate(placed) if each.arg not in read}
    names = {each.arg for each in (*placed, *function.args.kwonlyargs)} - read
    return frozenset(places | names)


def without_silent(node: ast.AST, silent_in: Callable[[str], Places]) -> ast.AST:
    """``node`` without silent arguments, their defaults, and variables that are then unread.

    ``silent_in`` tells which they are in calls of a function, by its dotted name here.
    """
    drop = _Drop(silent_in)
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    if any(drop.left_out(call) for call in calls):
        own = {name.id for name in names_in(node) if isinstance(name.ctx, ast.Store)}
        own |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
        drop = _Drop(lambda name: frozenset() if name.split(".")[0] in own else silent_in(name))
        node = drop.visit(copy.deepcopy(node))
    return _without_defaults(node) if isinstance(node, ast.FunctionDef) else node


class _Drop(ast.NodeTransformer):
    def __init__(self, silent_in: Callable[[str], Places]) -> None:
        self._silent_in = silent_in
        self._functions = 0

    def left_out(self, call: ast.Call) -> list[ast.expr | ast.keyword]:
        """The arguments of a call that are silent, and whose evaluation does nothing else."""
        name = _dotted(call.func)
        silent = self._silent_in(name) if name else frozenset()
        if not silent or any(isinstance(each, ast.Starred) for each in call.args):
            return []
        told: list[ast.expr | ast.keyword] = [
            *(each for place, each in enumerate(call.args) if place in silent),
            *(each for each in call.keywords if each.arg in silent),
        ]
        return [each for each in told if _is_idle(each)]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        for each in self.left_out(node):
            if isinstance(each, ast.keyword):
                node.keywords.remove(each)
            else:
                node.args[node.args.index(each)] = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1
        while not self._functions and drop_unread(node):
            pass
        return node


def _is_idle(argument: ast.expr | ast.keyword) -> bool:
    value = argument.value if isinstance(argument, ast.keyword) else argument
    return is_text(value) or does_nothing(value)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _without_defaults(function: ast.FunctionDef) -> ast.FunctionDef:
    given = [*function.args.defaults, *function.args.kw_defaults]
    silent = silent_parameters(function) if any(each and is_text(each) for each in given) else None
    if not silent:
        return function
    function = copy.deepcopy(function)
    arguments, nothing = function.args, ast.Constant(None)
    first = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    arguments.defaults = [
        nothing if place in silent else each for place, each in enumerate(arguments.defaults, first)
    ]
    arguments.kw_defaults = [
        nothing if each.arg in silent else default
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return function
