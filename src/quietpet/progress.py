"""Progress of long work: a bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


def track(
    items: Iterable[Item],
    *,
    label: str,
    total: int,
    unit: str,
    start: int = 0,
    log_every_s: float = 10.0,
) -> Iterator[Item]:
    """Pass ``items`` through, showing steps, rate and remaining time.

    ``start`` counts the steps done before, when work resumes.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, unit=unit, initial=start, dynamic_ncols=True)
        return
    began = reported = time.monotonic()
    for done, item in enumerate(items, start=start + 1):
        yield item
        now = time.monotonic()
        if now - reported >= log_every_s or done == total:
            rate = (done - start) / max(now - began, 1e-9)
            remaining_s = (total - done) / rate
            logger.info(
                "%s: %d/%d %s, %.3g %s/s, %.0f s left", label, done, total, unit, rate, unit, remaining_s
            )
            reported = now
