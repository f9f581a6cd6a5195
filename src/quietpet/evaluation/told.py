"""What readers must be told of the data before the numbers."""

from __future__ import annotations

from collections.abc import Iterable

from quietpet.data_source import has_template_heads, is_standin
from quietpet.evaluation.layouts import IN_VIVO

TEMPLATE_WARNING = (
    "phantoms: ICBM152 template, not BrainWeb; not comparable with the published values. Its subjects "
    "are warps of one brain, which networks can learn by heart."
)

STANDIN_WARNING = "scans: simulated (stand-ins); nobody was scanned, and no row of them is in vivo."


def warnings_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Of the words of the column ``data_source``."""
    found = {*sources}
    return (
        *([TEMPLATE_WARNING] if any(map(has_template_heads, found)) else []),
        *([STANDIN_WARNING] if any(map(is_standin, found)) else []),
    )


def title_of(title: str, sources: Iterable[str]) -> str:
    """The title of a table, which says where scans are simulated."""
    if any(map(is_standin, sources)):
        return title.replace(IN_VIVO, f"SIMULATED scans, in place of {IN_VIVO}")
    return title


def simulated(data_source: str) -> str:
    """Behind the name of a data set: that its scans are simulated, if they are."""
    return " (simulated scans)" if is_standin(data_source) else ""
