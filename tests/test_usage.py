"""The last line of a log: what the command has used."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest

from quietpet.usage import core_seconds, usage

BUSY = """
import subprocess, sys, time
from quietpet.usage import usage
while time.process_time() < {own}: pass
kept = bytearray({mib} * 2**20)
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < {others}: pass"])
print(usage(wall_s=12.345))
"""


def test_cores_of_a_command_and_of_those_it_waited_for_are_counted():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = BUSY.format(own=0.6, others=0.4, mib=200)
    line = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert core_seconds([line]) == pytest.approx(measured, abs=0.1)
    assert core_seconds([line]) > 1.0
    assert line.startswith("took 12.35 s, ") or line.startswith("took 12.34 s, ")
    assert 200 < float(line.split()[-5]) < 400


def test_memory_of_the_process_that_started_a_command_is_not_its_own():
    code = f"""
import subprocess, sys
large = bytearray({600 * 2**20})
code = "from quietpet.usage import usage; print(usage(wall_s=1.0))"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
"""
    line = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert 0 < float(line.split()[-5]) < 300


def test_the_last_of_several_runs_counts():
    first, time_line = usage(wall_s=1.0), "2026-01-01 00:00:00 INFO "
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    second = usage(wall_s=2.0)
    log = [f"{time_line}{first}\n", "something else\n", f"{time_line}{second}\n"]
    assert core_seconds(log) == core_seconds([second]) > core_seconds([first])
    assert core_seconds(["quietpet: error: took no time"]) is None
