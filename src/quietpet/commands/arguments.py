"""What several verbs of the command line share: kinds of numbers, and threads."""

from __future__ import annotations

import argparse
import os


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _at_least(1, text)


def count(text: str) -> int:
    """A whole number from 0 on."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        whole = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if whole < least:
        raise argparse.ArgumentTypeError(f"{whole} is less than {least}")
    return whole


def number(text: str) -> float:
    """Any number, for kinds that have limits of their own."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def limit_threads(threads: int) -> None:
    """Let no library take more CPU threads than these."""
    # Read by OpenMP and MKL when torch is first imported, which the stage modules do.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
