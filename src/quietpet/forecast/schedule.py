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
    waiting = [len(needed) for needed in before]
    readers = Counter(each for needed in before for each in needed)
    queues: dict[bool, list[int]] = {True: [], False: []}  # what wants a GPU first: it is rarer
    for number, count in enumerate(waiting):
        if not count:
            heapq.heappush(queues[tasks[number].gpus > 0], number)

    now, lying, most, ended = 0.0, 0.0, 0.0, 0
    free = {"cores": cores, "gpus": gpus}
    running: list[tuple[float, int]] = []

    def asked(number: int) -> dict[str, int]:
        task = tasks[number]
        return {"cores": min(task.threads, cores), "gpus": min(task.gpus, gpus)}

    def start_all() -> None:
        for queue in queues.values():
            while queue and all(free[name] >= count for name, count in asked(queue[0]).items()):
                number = heapq.heappop(queue)
                for name, count in asked(number).items():
                    free[name] -= count
                heapq.heappush(running, (now + tasks[number].seconds, number))

    start_all()
    while running:
        now, number = heapq.heappop(running)
        ended += 1
        for name, count in asked(number).items():
            free[name] += count
        lying += tasks[number].kept + (tasks[number].passing if readers[number] else 0.0)
        most = max(most, lying)
        for each in before[number]:
            readers[each] -= 1
            if not readers[each]:
                lying -= tasks[each].passing
        for each in after[number]:
            waiting[each] -= 1
            if not waiting[each]:
                heapq.heappush(queues[tasks[each].gpus > 0], each)
        start_all()
    if ended < len(tasks):
        raise ValueError(f"{len(tasks) - ended} jobs wait for each other")
    return Run(wall_s=now, most_bytes=most)
