"""Mistakes in a configuration, in words."""

from __future__ import annotations

from pydantic import ValidationError

from quietpet.methods.registry import method_kinds


def explain(error: ValidationError) -> str:
    """One line per mistake: the key, what is wrong, the value found."""
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key; remove it or correct its spelling"
        elif problem["type"] == "union_tag_invalid":
            message = f"unknown method; known kinds are {', '.join(method_kinds())}"
        elif problem["type"] not in ("missing", "value_error"):
            message = f"{message}, got {problem['input']!r}"
        lines.append(f"{key}: {message}")
    return "\n  ".join(lines)
