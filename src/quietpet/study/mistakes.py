"""Mistakes in a configuration, in words: the key, what was found there, how to write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from quietpet.config.method_kinds import method_kinds
from quietpet.config.section import LABEL, TRUTH

Problem = Mapping[str, Any]
"""One error of pydantic: its ``type``, ``loc``, ``msg`` and ``input``."""

_NONE_WORDS = {"none", "nil", "null", "nan", "n/a", "~", ""}


def explain(error: ValidationError) -> str:
    """One line per mistake."""
    problems = error.errors(include_url=False)
    lines = []
    for problem in problems:
        if problem["type"] == "too_short" and _has_parts_in(problems, problem["loc"]):
            continue  # pydantic counts the items that are right
        place = (*problem["loc"], *([problem["ctx"]["key"]] if problem["type"] == TRUTH else []))
        key = ".".join(map(str, place)) or "(whole file)"
        lines.append(f"{key}: {_message(problem)}")
    return "\n  ".join(lines)


def _has_parts_in(problems: Sequence[Problem], place: tuple[Any, ...]) -> bool:
    return any(len(each["loc"]) > len(place) and each["loc"][: len(place)] == place for each in problems)


def _message(problem: Problem) -> str:
    kind, found = problem["type"], problem["input"]
    message = _WANTED.get(kind, problem["msg"].removeprefix("Value error, "))
    if kind == "extra_forbidden":
        name = str(problem["loc"][-1])
        if gone := _REMOVED.get(problem["loc"]):
            return f"this key is gone: {gone}"
        return f"unknown key; {_key_with_a_space(name) or 'remove it or correct its spelling'}"
    if kind == "union_tag_invalid":
        return f"unknown method; known kinds are {', '.join(method_kinds())}"
    if kind in ("missing", "value_error", TRUTH):
        return message
    remedy = _REMEDIES.get(kind, lambda _: None)(found)
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] == f"^{LABEL}$":
        remedy = "a name is of small letters, digits and _, and begins with a letter"
    return f"{message}, got {found!r}{f'; {remedy}' if remedy else ''}"


def _as_text(found: object) -> str | None:
    """How to write what YAML did not read as text."""
    if isinstance(found, bool):
        return 'yes, no, on, off, true and false are no text in YAML: write it in quotes ("no")'
    if isinstance(found, int):
        return f'write it in quotes ("{found}", or "0{found}" if it begins with a zero)'
    if found is None:
        return "nothing stands there; write the text, in quotes"
    return None if isinstance(found, dict | list) else f'write it in quotes ("{found}")'


def _as_number(found: object, *, whole: bool = False) -> str | None:
    """How to write the number that is meant."""
    if not isinstance(found, str):
        return "nothing stands there; write a number" if found is None else None
    text, remedy = found.strip(), "write a number"
    if text.lower() in _NONE_WORDS:
        remedy = "for none write null"
    elif (number := _number(text)) is not None:
        remedy = f"write {_yaml_number(number, whole=whole)}"
    elif re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+", text):
        remedy = f"write {text.replace(',', '')}, without commas"
    elif re.fullmatch(r"[-+]?\d+,\d+", text):
        remedy = f"write {text.replace(',', '.')}, with a decimal point"
    elif unit := re.fullmatch(r"([-+]?[\d.]+)\s*[A-Za-z%/]+", text):
        remedy = f"write the number alone, {unit[1]}"
    return remedy


def _as_list(found: object) -> str:
    """How to write a list."""
    if found is None:
        return "nothing stands there; write a list in square brackets, [...]"
    if isinstance(found, dict):
        return "write a list in square brackets, [...]"
    if isinstance(found, str) and (number := _number(found)) is not None and "e" in found.lower():
        return f"YAML reads it as text: write {_yaml_number(number)}"
    if isinstance(found, str):
        names = re.split(r"[,\s]+", found.strip())
        return "write a list, [" + ", ".join(map(_quoted, names)) + "]"
    if isinstance(found, int) and not isinstance(found, bool):
        return f'write a list, [{found}]; names in quotes (["{found}"], or ["0{found}"])'
    return f"write a list, [{found}]"


def _as_mapping(found: object) -> str:
    """How to write keys with values."""
    if found is None:
        return "nothing stands there; write its keys below it, or remove it"
    if isinstance(found, list):
        return "write keys with values (name: value), not a list"
    if isinstance(found, str) and (key := _key_with_a_space(found)):
        return key
    return "write keys with values (name: value) below it"


def _key_with_a_space(text: str) -> str | None:
    key, colon, value = text.partition(":")
    return f"write a space after the colon ({key}: {value.strip()})" if colon and value else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _yaml_number(value: float, *, whole: bool = False) -> str:
    """A number as YAML 1.1 reads it: with a decimal point and a signed exponent, or in full."""
    if whole and value.is_integer():
        return str(int(value))
    short = f"{value:.1e}"
    return short if float(short) == value and not 1e-3 <= abs(value) < 1e5 else repr(value)


def _quoted(name: str) -> str:
    return f'"{name}"' if re.fullmatch(r"[\d.]+", name) else name


_REMOVED = {
    ("evaluation", "bootstrap_resamples"): "intervals over subjects are t intervals, which draw no "
    "resamples; remove the line",
}
"""Keys of earlier versions -> why they are no more, and what to do."""

_WANTED = {
    "string_type": "text is wanted",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number is wanted"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number is wanted"),
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), "a list is wanted"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "keys with values are wanted"),
}
"""Type of pydantic's error -> what it says in the words of YAML."""

_REMEDIES: dict[str, Callable[[object], str | None]] = {
    "string_type": _as_text,
    "int_parsing": lambda found: _as_number(found, whole=True),
    "int_type": lambda found: _as_number(found, whole=True),
    "float_parsing": _as_number,
    "float_type": _as_number,
    "bool_parsing": lambda _: "write true or false",
    "bool_type": lambda _: "write true or false",
    **dict.fromkeys(("tuple_type", "list_type", "set_type"), _as_list),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _as_mapping),
    "invalid_key": lambda _: "write several values in square brackets, [...]",
}
"""Type of pydantic's error -> how to write it, given what was found."""
