"""From a YAML file to a checked study."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from quietpet.errors import InputError
from quietpet.files.text import RepeatedKeyError, parse_json
from quietpet.study.mistakes import explain
from quietpet.study.root import Study


class AmbiguousNumberError(ValueError):
    """A number that people and YAML read differently; the message tells both ways to write it."""


class _StrictLoader(yaml.SafeLoader):
    """A loader that refuses what is not what it seems.

    A key that stands twice in one mapping, which YAML 1.1, 3.2.1.1, forbids; and numbers of base 8 and
    60 (04, 1:30), which YAML 1.2 no longer has.
    """

    def construct_number(self, node: yaml.ScalarNode) -> float:
        whole, text = node.tag.endswith(":int"), node.value
        number = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        place = f"line {node.start_mark.line + 1}: YAML reads {text} as {number}"
        if whole and (octal := re.fullmatch(r"([-+]?)0+([0-9_]+)", text)):
            raise AmbiguousNumberError(
                f'{place}, a number of base 8; write "{text}" in quotes for a name, '
                f"or {''.join(octal.groups())}"
            )
        if ":" in text:
            raise AmbiguousNumberError(
                f'{place}, a number of base 60; write "{text}" in quotes for text, or a single number'
            )
        return number

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            # "<<" merges mappings, and may do so more than once.
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name, line = self.construct_object(key), key.start_mark.line + 1
            if name in lines:
                raise RepeatedKeyError(
                    f"the key {key.value!r} stands twice, in lines {lines[name]} and {line}; keep one"
                )
            lines[name] = line
        return node


for kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{kind}", _StrictLoader.construct_number)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Parse a configuration file: YAML, or JSON, which is tried first as Snakemake does.

    Raises:
        InputError: it cannot be read or parsed, holds no mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        parsed = _parsed(text)
    except OSError as error:
        raise InputError(f"{path}: not a readable configuration file ({error.strerror}).") from None
    except (RepeatedKeyError, AmbiguousNumberError) as error:
        raise InputError(f"{path}: {error}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({error}).") from None
    if not isinstance(parsed, dict):
        raise InputError(f"{path}: holds no configuration (keys with values), but {parsed!r:.60}.")
    return parsed


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError:
        # A loader of ours: the safe one, which makes plain values alone.
        return yaml.load(text, Loader=_StrictLoader)


def load_study(raw: Mapping[str, Any], *, origin: str) -> Study:
    """Check a parsed configuration; ``origin`` names the file in the error message."""
    try:
        return Study.model_validate(dict(raw))
    except ValidationError as error:
        raise InputError(f"{origin}: {explain(error)}") from None


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration, for editors; kept in step by a test."""
    schema = Study.model_json_schema()
    # In the file a method's kind defaults to its key, which a schema cannot express: any may match.
    for entry in schema["properties"]["methods"]["patternProperties"].values():
        del entry["discriminator"]
        entry["anyOf"] = entry.pop("oneOf")
    return schema
