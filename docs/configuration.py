"""The page of configuration keys, made from the JSON schema of the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

METHOD = "quietpet__methods__"
LONGEST_DEFAULT = 60
"""Characters; the longer default of a record stands in its own table."""

INTRODUCTION = """\
# Configuration

Made from the JSON schema of the configuration (`quietpet schema`), with which editors complete and check
keys. A configuration is one complete file; unknown keys are refused. `quietpet validate <file>` prints
one with all defaults. NAME stands for a name of your own.
"""

_WORDS = {
    "integer": "whole number",
    "boolean": "`true` or `false`",
    "null": "none",
    "string": "text",
}

Schema = Mapping[str, Any]


def configuration_page(schema: Schema) -> str:
    """Every key of a configuration: one table for the file, and one for each record inside it."""
    text = [INTRODUCTION, "## The file", _table(schema)]
    for name, place in _places(schema).items():
        record = schema["$defs"][name]
        text += [f"({_anchor(name)})=", f"## {_heading(name, place)}"]
        text += [escaped(record.get("description", "")), _table(record)]
    return "\n\n".join(part.strip() for part in text) + "\n"


def escaped(text: str) -> str:
    """Plain text as Markdown in a table; what stands between backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = [part if part.startswith("`") else part.replace("<", "&lt;") for part in parts]
    return "".join(plain).replace("|", "\\|")


def _places(schema: Schema) -> dict[str, str]:
    """Where each record stands first, in the order of the file from top to bottom."""
    places: dict[str, str] = {}

    def walk(record: Schema, above: str) -> None:
        for key, field in record.get("properties", {}).items():
            for name, place in _references(field, f"{above}.{key}".lstrip(".")):
                if name not in places:
                    places[name] = place
                    walk(schema["$defs"][name], place)

    walk(schema, "")
    return places


def _references(field: Schema, place: str) -> Iterator[tuple[str, str]]:
    """Records that may stand at a place, and those of the names below it."""
    if "$ref" in field:
        yield _record_name(field), place
    for part in field.get("anyOf", ()):
        yield from _references(part, place)
    for part in _values_of_names(field):
        yield from _references(part, f"{place}.NAME")
    if "items" in field:
        yield from _references(field["items"], place)


def _values_of_names(field: Schema) -> list[Schema]:
    others = field.get("additionalProperties")
    return [*field.get("patternProperties", {}).values(), *([others] if others else [])]


def _record_name(field: Schema) -> str:
    return field["$ref"].rsplit("/", 1)[-1]


def _kind(name: str) -> str:
    """Kind of a method, from the name of its record."""
    return name.removeprefix(METHOD).split("__")[0]


def _heading(name: str, place: str) -> str:
    return f"`methods`: kind `{_kind(name)}`" if name.startswith(METHOD) else f"`{place}`"


def _anchor(name: str) -> str:
    return f"config-{_kind(name)}".lower()


def _table(record: Schema) -> str:
    required = record.get("required", ())
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in record.get("properties", {}).items():
        default = "must be given" if key in required else _default(field)
        rows.append(f"| `{key}` | {_value(field)} | {default} | {_meaning(field)} |")
    return "\n".join(rows)


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None or value in ({}, []):
        return "none"
    text = json.dumps(value)
    is_record = any(_references(field, ""))
    return "see there" if is_record and len(text) > LONGEST_DEFAULT else f"`{text}`"


def _meaning(field: Schema) -> str:
    return escaped(" ".join(field.get("description", "").split()))


def _value(field: Schema) -> str:
    """What may stand for a key, in words: type, limits, choices, or a link to the record."""
    if "$ref" in field:
        name = _record_name(field)
        text = f"kind `{_kind(name)}`" if name.startswith(METHOD) else "keys"
        return f"[{text}](#{_anchor(name)})"
    if "anyOf" in field:
        return " or ".join(_value(part) for part in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    return ", ".join([_type(field), *_limits(field)])


def _type(field: Schema) -> str:
    kind = field.get("type", "any")
    if kind == "string" and "pattern" in field:
        return f"text `{field['pattern']}`".replace("|", "\\|")
    if kind == "array":
        return _list(field)
    if kind == "object":
        return " or ".join(f"NAME: {_value(part)}" for part in _values_of_names(field))
    return _WORDS.get(kind, kind)


def _list(field: Schema) -> str:
    if parts := [_value(part) for part in field.get("prefixItems", ())]:
        return f"{len(parts)} times ({parts[0]})" if len(set(parts)) == 1 else f"[{'; '.join(parts)}]"
    return f"list of ({_value(field['items'])})"


def _limits(field: Schema) -> Iterator[str]:
    for key, form in (
        ("minimum", "≥ {:g}"),
        ("exclusiveMinimum", "> {:g}"),
        ("maximum", "≤ {:g}"),
        ("exclusiveMaximum", "&lt; {:g}"),
        ("multipleOf", "a multiple of {:g}"),
    ):
        if key in field:
            yield form.format(field[key])
    if "minItems" in field and "prefixItems" not in field:
        yield f"at least {field['minItems']}"
