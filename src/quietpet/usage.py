"""What a command has used: time, cores and memory."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

_LINE = "took {wall_s:.2f} s, {core_s:.2f} core s and at most {mib:.0f} MiB in a process"
_PEAK_KIB = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_CORE_S = re.compile(r"took [\d.]+ s, ([\d.]+) core s and at most \d+ MiB in a process$")


def peak_resident_mib(who: int = resource.RUSAGE_SELF) -> float:
    """Largest memory that was resident so far in this process, or in one that it waited for [MiB].

    On Linux getrusage tells of a process what its parent had when it was started, if that was more; of
    this process /proc tells its own (proc(5), VmHWM).
    """
    status = Path("/proc/self/status")
    if who == resource.RUSAGE_SELF and status.exists() and (own := _PEAK_KIB.search(status.read_text())):
        return int(own[1]) / 2**10
    return resource.getrusage(who).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def usage(*, wall_s: float) -> str:
    """One line on this process and those that it waited for: the last of a log."""
    everyone = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in everyone]
    return _LINE.format(
        wall_s=wall_s,
        core_s=sum(each.ru_utime + each.ru_stime for each in used),
        mib=max(map(peak_resident_mib, everyone)),
    )


def core_seconds(log: Iterable[str]) -> float | None:
    """The core seconds that the last such line of ``log`` tells; None without one."""
    told = [found for line in log if (found := _CORE_S.search(line.rstrip()))]
    return float(told[-1][1]) if told else None
