"""What a command has used: time, cores and memory."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LINE = "took {wall_s:.2f} s, {core_s:.2f} core s and at most {mib:.0f} MiB in a process"
_PEAK_KIB = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_TOLD = re.compile(r"took ([\d.]+) s, ([\d.]+) core s and at most (\d+) MiB in a process$")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a job used: wall time, time of all its cores, the largest memory of one of its processes."""

    wall_s: float
    core_s: float
    mib: float


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


def usage_of(log: Iterable[str]) -> Usage | None:
    """What the last such line of ``log`` tells; None without one."""
    told = [found for line in log if (found := _TOLD.search(line.rstrip()))]
    if not told:
        return None
    wall_s, core_s, mib = map(float, told[-1].groups())
    return Usage(wall_s=wall_s, core_s=core_s, mib=mib)


def core_seconds(log: Iterable[str]) -> float | None:
    """The core seconds that the last such line of ``log`` tells; None without one."""
    used = usage_of(log)
    return used.core_s if used else None
