"""Jobs one after the other on so many cores: how long it takes, and how much disk it needs at most."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job as a scheduler sees it: ``passing`` bytes go when nothing waits for them, others stay."""

    seconds: float
    threads: int = 1
    gpus: int = 0
    read: tuple[Path, ...] = ()
    made: tuple[Path, ...] = ()
    kept: float = 0.0
    passing: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long all takes, and the most bytes that lie on the disk if what nothing waits for goes."""

    wall_s: float
    most_bytes: float


def run(tasks: Sequence[Task], *, cores: int, gpus: int = 0) -> Run:
    """Start each of ``tasks`` as soon as its files are there and cores and GPUs are free, in order.

    Those that want a GPU come first. Of what it asks for a task gets at most all that there is.
    """
    if cores < 1:
        raise ValueError(f"{cores} cores run nothing")
    maker = {path: number for number, task in enumerate(tasks) for path in task.made}
    before = [{maker[path] for path in task.read if path in maker} for task in tasks]
    after = defaultdict(list)
    for number, needed in enumerate(before):
        for each in needed:
            after[each].append(number)

    machine, disk = _Machine(cores, gpus), _Disk(tasks, before)
    missing = [len(needed) for needed in before]
    queues: dict[bool, list[int]] = {True: [], False: []}  # what wants a GPU first: it is rarer
    running: list[tuple[float, int]] = []
    now, ended = 0.0, 0
    for number, count in enumerate(missing):
        if not count:
            heapq.heappush(queues[tasks[number].gpus > 0], number)
    while True:
        for queue in queues.values():
            while queue and machine.takes(tasks[queue[0]]):
                number = heapq.heappop(queue)
                heapq.heappush(running, (now + tasks[number].seconds, number))
        if not running:
            break
        now, number = heapq.heappop(running)
        ended += 1
        machine.gets_back(tasks[number])
        disk.holds_what_was_made_by(number)
        for each in after[number]:
            missing[each] -= 1
            if not missing[each]:
                heapq.heappush(queues[tasks[each].gpus > 0], each)
    if ended < len(tasks):
        raise ValueError(f"{len(tasks) - ended} jobs wait for each other")
    return Run(wall_s=now, most_bytes=disk.most_bytes)


class _Machine:
    """Cores and GPUs, of which some are free."""

    def __init__(self, cores: int, gpus: int) -> None:
        self._all = self._free = (cores, gpus)

    def takes(self, task: Task) -> bool:
        """Whether ``task`` starts, as it does if all that it asks for is free."""
        cores, gpus = (free - asked for free, asked in zip(self._free, self._asked(task), strict=True))
        if min(cores, gpus) < 0:
            return False
        self._free = (cores, gpus)
        return True

    def gets_back(self, task: Task) -> None:
        """What ``task``, which ended, had."""
        (cores, gpus), (more, more_gpus) = self._free, self._asked(task)
        self._free = (cores + more, gpus + more_gpus)

    def _asked(self, task: Task) -> tuple[int, int]:
        cores, gpus = self._all
        return min(task.threads, cores), min(task.gpus, gpus)


class _Disk:
    """What lies there: what stays, and what passes as long as a task that reads it has not ended."""

    def __init__(self, tasks: Sequence[Task], before: Sequence[set[int]]) -> None:
        self._tasks, self._before = tasks, before
        self._readers = Counter(each for needed in before for each in needed)
        self._bytes = self.most_bytes = 0.0

    def holds_what_was_made_by(self, number: int) -> None:
        """The files of a task that ended; then what it was the last to read goes."""
        task = self._tasks[number]
        self._bytes += task.kept + (task.passing if self._readers[number] else 0.0)
        self.most_bytes = max(self.most_bytes, self._bytes)
        for each in self._before[number]:
            self._readers[each] -= 1
            if not self._readers[each]:
                self._bytes -= self._tasks[each].passing
