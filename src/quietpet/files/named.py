"""The named input and output files of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from quietpet.errors import InputError


class Files:
    """Paths by name, as given on the command line with ``--in name=path`` or ``--out name=path``."""

    def __init__(self, paths: Mapping[str, Iterable[Path]]) -> None:
        self._paths = {name: tuple(values) for name, values in paths.items()}

    @classmethod
    def parse(cls, arguments: Iterable[str]) -> Files:
        """From ``name=path`` arguments; a repeated name collects several paths."""
        paths: dict[str, list[Path]] = {}
        for argument in arguments:
            name, separator, path = argument.partition("=")
            if not (name and separator and path):
                raise InputError(f"{argument!r}: files are given as name=path.")
            paths.setdefault(name, []).append(Path(path))
        return cls(paths)

    def __str__(self) -> str:
        return " ".join(f"{name}={path}" for name, paths in self._paths.items() for path in paths)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that was given, in that order."""
        return tuple(self._paths)

    def one(self, name: str) -> Path:
        """The only path called ``name``."""
        paths = self.many(name)
        if len(paths) != 1:
            raise InputError(f"{len(paths)} files are called {name!r}; this step takes exactly one.")
        return paths[0]

    def many(self, name: str) -> tuple[Path, ...]:
        """All paths called ``name``; at least one."""
        if name not in self._paths:
            raise InputError(f"no file called {name!r} was given (given: {sorted(self._paths)}).")
        return self._paths[name]

    def any(self, name: str) -> tuple[Path, ...]:
        """All paths called ``name``, of which there may be none."""
        return self._paths.get(name, ())

    def get(self, name: str) -> Path | None:
        """The path called ``name``, or None when there is none."""
        return self.one(name) if name in self._paths else None

    def all(self) -> tuple[Path, ...]:
        """Every path, in the order given."""
        return tuple(path for paths in self._paths.values() for path in paths)
