"""Fingerprints of programs made at random change with what a step reaches, and with nothing else.

Each definition of a program adds a number of its own to those of the definitions that it refers to, in
one of the ways in which Python code refers to another. So what a step reaches, and what it computes, is
known without reading the program.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from quietpet.fingerprint.sources import Sources
from quietpet.fingerprint.walk import fingerprint_of

MODULES = ("a", "b", "room.c")

# How definition {name} in module {module} is imported at the top of another, and how it is then called.
WAYS = (
    ("from quietpet.{module} import {name}", "{name}()"),
    ("from quietpet.{module} import {name} as {name}_too", "{name}_too()"),
    ("import quietpet.{module}", "quietpet.{module}.{name}()"),
    ("import quietpet.{module} as {last}_module", "{last}_module.{name}()"),
    ("from {package} import {last}", "{last}.{name}()"),
)
KINDS = (
    "def {name}():\n    return {body}\n",
    "def {name}(more=lambda: {body}):\n    return more()\n",
    "class {name}:\n    def __new__(cls):\n        return {body}\n",
    "HOW_{name} = (lambda: {body},)\n\n\ndef {name}():\n    return HOW_{name}[0]()\n",
)


@dataclass(frozen=True)
class Definition:
    """Its module and kind, and to which earlier ones it refers, how, and whether within a function."""

    module: str
    kind: str
    number: int
    references: tuple[tuple[int, tuple[str, str], bool], ...]


@st.composite
def programs(draw) -> tuple[Definition, ...]:
    """Definitions that refer to earlier ones, at the top of a module or within a function."""
    found: list[Definition] = []
    for index in range(draw(st.integers(2, 7))):
        targets = draw(st.lists(st.integers(0, index - 1), unique=True, max_size=3)) if index else []
        references = tuple(
            (target, draw(st.sampled_from(WAYS)), draw(st.booleans())) for target in targets
        )
        found.append(
            Definition(
                module=draw(st.sampled_from(MODULES)),
                kind=draw(st.sampled_from(KINDS)),
                number=10**index,
                references=references,
            )
        )
    return tuple(found)


def sources_of(program: tuple[Definition, ...]) -> dict[str, str]:
    """Texts of the modules; module ``step`` calls the last definition."""
    heads: dict[str, set[str]] = {module: set() for module in MODULES}
    bodies: dict[str, list[str]] = {module: [] for module in MODULES}
    for index, each in enumerate(program):
        terms = [str(each.number)]
        for target, way, within in each.references:
            statement, call = spelled(way, program[target].module, f"d{target}")
            if program[target].module == each.module:
                terms.append(f"d{target}()")
            elif within:
                helper = f"d{target}_for_d{index}"
                terms.append(f"{helper}()")
                body = f"def {helper}():\n    {statement}\n    return {call}\n"
                bodies[each.module].append(body)
            else:
                heads[each.module].add(statement)
                terms.append(call)
        bodies[each.module].append(each.kind.format(name=f"d{index}", body=" + ".join(terms)))
    texts = {module: "\n".join([*sorted(heads[module]), "\n", *bodies[module]]) for module in MODULES}
    statement, call = spelled(WAYS[0], program[-1].module, f"d{len(program) - 1}")
    return {**texts, "step": f"{statement}\n\n\ndef run():\n    return {call}\n"}


def spelled(way: tuple[str, str], module: str, name: str) -> tuple[str, str]:
    """The import of a definition, and its call."""
    package, _, last = f"quietpet.{module}".rpartition(".")
    statement, call = (each.format(module=module, package=package, last=last, name=name) for each in way)
    return statement, call


def reached(program: tuple[Definition, ...]) -> set[int]:
    """Numbers of the definitions that the last one needs, itself included."""
    found, waiting = set(), [len(program) - 1]
    while waiting:
        index = waiting.pop()
        found.add(index)
        waiting += [target for target, _, _ in program[index].references if target not in found]
    return found


def fingerprint(texts: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "quietpet"
        (folder / "room").mkdir(parents=True)
        for package in (folder, folder / "room"):
            (package / "__init__.py").touch()
        for module, text in texts.items():
            folder.joinpath(*module.split(".")).with_suffix(".py").write_text(text)
        return fingerprint_of(Sources(folder), "step")


@settings(max_examples=60)
@given(programs())
def test_it_changes_with_what_a_step_reaches_and_with_nothing_else(program):
    before = fingerprint(sources_of(program))
    needed = reached(program)
    for index, each in enumerate(program):
        edited = (*program[:index], replace(each, number=2 * each.number), *program[index + 1 :])
        assert (fingerprint(sources_of(edited)) != before) == (index in needed), index


@settings(max_examples=30)
@given(programs(), st.sampled_from(MODULES))
def test_words_and_what_nobody_calls_change_nothing(program, module):
    texts = sources_of(program)
    more = f'"""Of {module}."""\n\n# A remark.\n{texts[module]}\n\ndef unused():\n    return 1\n'
    assert fingerprint({**texts, module: more}) == fingerprint(texts)
