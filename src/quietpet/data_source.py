"""Words of the table column ``data_source``: what images were made from.

``brainweb`` and ``template`` are phantoms; ``standin-brainweb`` and ``standin-template`` are simulated
scans of their heads in place of in-vivo ones; anything else names a data set of real scans.
"""

from __future__ import annotations

BRAINWEB = "brainweb"
TEMPLATE = "template"
PHANTOMS = (BRAINWEB, TEMPLATE)
_STANDIN = "standin-"


def standin_of(head: str) -> str:
    """Data source of simulated scans of ``head`` (``brainweb`` or ``template``)."""
    return f"{_STANDIN}{head}"


def is_standin(data_source: str) -> bool:
    """Whether these are simulated scans in place of in-vivo ones."""
    return data_source.startswith(_STANDIN)


def is_simulated(data_source: str) -> bool:
    """Whether no human was scanned: phantoms, and stand-ins for scans."""
    return data_source.removeprefix(_STANDIN) in PHANTOMS


def has_template_heads(data_source: str) -> bool:
    """Whether the heads are warps of the ICBM152 template."""
    return data_source.removeprefix(_STANDIN) == TEMPLATE
