"""Whether a file is there, and why not: asking may fail as opening it may."""

from __future__ import annotations

from pathlib import Path

from quietpet.errors import why


def absence(path: Path) -> str | None:
    """Why there is no file at ``path``, as the end of a sentence on it; None where there is one.

    The operating system refuses to look where a name is too long, or a folder another's.
    """
    try:
        if path.is_file():
            return None
        if path.is_dir():
            return "is a folder"
        return "is a link whose content was not fetched" if path.is_symlink() else "no such file"
    except OSError as error:
        return f"cannot be looked for ({why(error)})"
