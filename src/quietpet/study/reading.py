"""From a YAML file to a checked study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from quietpet.errors import InputError
from quietpet.study.mistakes import explain
from quietpet.study.root import Study


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Parse a YAML configuration file."""
    try:
        parsed = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: not a readable configuration file ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({error}).") from None
    if not isinstance(parsed, dict):
        raise InputError(f"{path}: holds no configuration (keys with values), but {parsed!r:.60}.")
    return parsed


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
