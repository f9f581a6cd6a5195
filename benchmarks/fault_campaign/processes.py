"""Faults of processes: killed, terminated, hung, or two at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import psutil

from fault_campaign.bench import Bench, ended, missing, told_first, waited_for, worse
from fault_campaign.judging import Said
from fault_campaign.plan import ANY, LEARNED, STEPS, Fault


def killed(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """A signal to Snakemake and all its jobs, at a random time of one step or of the whole run."""
    by = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM}[fault.kind]
    running = _running(bench, fault)
    time.sleep(fault.at * (12 if fault.what == ANY else 2.5))
    late = running.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, by)
    first = ended(running)
    if by == signal.SIGKILL:
        bench.unlocked(bench.copy)
    where = f"{fault.what}, after its end" if late else fault.what
    return where, worse(first, bench.run())


def _running(bench: Bench, fault: Fault) -> subprocess.Popen[str]:
    """The study, with a job of the fault's step just begun."""
    bench.renew(bench.finished)
    if fault.what == ANY:
        missing(bench.copy, LEARNED)
        return bench.started(bench.copy)
    log, outputs = STEPS[fault.what]
    missing(bench.copy, outputs)
    path = bench.copy / f"logs/{log}.log"
    path.unlink(missing_ok=True)
    running = bench.started(bench.copy)
    waited_for(path.exists, running)
    return running


def job_killed(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """A job alone, at once or, where it hangs, when its time is over, as batch systems do it."""
    running = _running(bench, fault)
    waited_for(lambda: _job_of(running, fault.what), running)
    time.sleep(fault.at * 1.5)
    job = _job_of(running, fault.what)
    if job is not None:
        if fault.kind == "hung":
            job.suspend()
            time.sleep(2)
            job.terminate()
            job.resume()
            time.sleep(0.3)
        with contextlib.suppress(psutil.NoSuchProcess):
            job.kill()
    first = ended(running)
    return fault.what if job else f"{fault.what}, after its end", worse(first, bench.run())


def _job_of(running: subprocess.Popen[str], step: str) -> psutil.Process | None:
    """The Python process of a step, below Snakemake."""
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(running.pid).children(recursive=True):
            words = each.cmdline()
            if step in words and any(word.endswith("bin/quietpet") for word in words[:2]):
                return each
    return None


def two_runs(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """The same command twice at once."""
    bench.renew(bench.finished)
    missing(bench.copy, LEARNED)
    options = ["--nolock"] if fault.what == "--nolock" else []
    one = bench.started(bench.copy, *options)
    time.sleep(fault.at * 8)
    other = ended(bench.started(bench.copy, *options))
    first = ended(one)
    return f"{fault.at * 8:.1f} s apart", told_first(worse(first, other), bench.run())
