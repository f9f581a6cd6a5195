"""A Slurm cluster of two nodes on this machine: Debian's `slurm-wlm` and `munge`, files in one folder.

Nothing is installed, and all that is started is stopped. Each node pretends to have two GPUs. Steps
that use more memory than their job asked for are killed within a second; nothing else limits them. The
configuration also lies at the default place while the cluster runs, because Snakemake's plugin starts
steps without the variables of Slurm.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PLACE = Path("/etc/slurm/slurm.conf")
NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,defer_batch
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
    "CPUs=2 RealMemory=100000 Gres=gpu:a100:2 State=UNKNOWN\n"
)
GPUS = "Name=gpu Type=a100 File={folder}/gpu[0-1]\n"


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"not on the PATH: {', '.join(absent)}; install slurm-wlm and munge"
    if os.geteuid():
        return "daemons of Slurm are started by root"
    if DEFAULT_PLACE.exists():
        return f"{DEFAULT_PLACE} is there already: of another cluster?"
    return ""


@dataclass(frozen=True)
class Cluster:
    """One that runs, with its files in ``folder``."""

    folder: Path

    def told(self, *command: str) -> str:
        """What a program of Slurm prints."""
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def jobs(self, *fields: str) -> list[dict[str, str]]:
        """All jobs that are or were, in the order of their numbers; fields of `squeue --Format`."""
        wanted = ("JobID", "Comment", *fields)
        form = ",".join(f"{field}:|" for field in wanted)
        told = self.told("squeue", "--states=all", "--noheader", "--sort=i", f"--Format={form}")
        rows = [line.split("|") for line in told.splitlines()]
        return [dict(zip(wanted, map(str.strip, row), strict=False)) for row in rows]

    def job_of(self, word: str, state: str = "RUNNING") -> str | None:
        """Number of the first job in this state whose comment, or group, has ``word``."""
        found = [
            job["JobID"]
            for job in self.jobs("State")
            if word in job["Comment"] and job["State"] == state
        ]
        return found[0] if found else None


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster while the context lasts."""
    _write(folder)
    with contextlib.ExitStack() as stopped:
        DEFAULT_PLACE.parent.mkdir(parents=True, exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            stopped.callback(DEFAULT_PLACE.with_name(name).unlink, missing_ok=True)
            shutil.copy(folder / name, DEFAULT_PLACE.with_name(name))
        key, munge = folder / "munge.key", folder / "munge.socket"
        munged = ("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}")
        places = (f"--{each}-file={folder}/munged.{each}" for each in ("pid", "log", "seed"))
        stopped.enter_context(_daemon(folder, *munged, *places))
        _wait(munge.exists, "munged does not start", folder)
        stopped.enter_context(_daemon(folder, "slurmctld", "-D"))
        for name in NODES:
            stopped.enter_context(_daemon(folder, "slurmd", "-D", "-N", name))
        _wait(_is_idle, "the nodes do not become idle", folder)
        running = Cluster(folder)
        stopped.callback(_cancel_all, running)
        yield running


def _write(folder: Path) -> None:
    """Configuration and key."""
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().split(".", 1)[0]
    controller_port, *ports = _free_ports(1 + len(NODES))
    text = CONFIGURATION.format(folder=folder, host=host, controller_port=controller_port)
    nodes = [
        NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, ports, strict=True)
    ]
    (folder / "slurm.conf").write_text(text + "".join(nodes))
    (folder / "gres.conf").write_text(GPUS.format(folder=folder))
    for number in range(2):
        (folder / f"gpu{number}").touch()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as closed:
        taken = [closed.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


@contextlib.contextmanager
def _daemon(folder: Path, *command: str) -> Iterator[None]:
    """One that runs while the context lasts."""
    with (folder / f"{command[0]}.said").open("a") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_idle() -> bool:
    told = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
    return told.stdout.split() == ["idle"]


def _cancel_all(running: Cluster) -> None:
    subprocess.run(["scancel", "--user=root", "--signal=KILL", "--full"], check=False)
    subprocess.run(["scancel", "--user=root"], check=False)
    _wait(lambda: not running.told("squeue", "--noheader").strip(), "jobs do not end", running.folder)


def _wait(until: Callable[[], object], otherwise: str, folder: Path, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            said = [f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.log")]
            said += [f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.said")]
            raise RuntimeError(f"{otherwise}\n" + "\n".join(said))
        time.sleep(0.2)
