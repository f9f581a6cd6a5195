"""Which GPUs of this machine networks may use, told without importing torch, which takes a second.

The workflow shares them out among its jobs, one job on each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from quietpet.errors import InputError

DEVICE_VARIABLE = "QUIETPET_DEVICE"
PROCESSES_VARIABLE = "QUIETPET_PROCESSES"

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Device files of the drivers of NVIDIA, of AMD, and of either below Windows (WSL)."""

_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"


def asked_device() -> str | None:
    """The device that QUIETPET_DEVICE names: cpu, cuda or cuda:N; None where it is empty or not set.

    Raises:
        InputError: it names anything else.
    """
    name = os.environ.get(DEVICE_VARIABLE) or None
    if name and not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"{DEVICE_VARIABLE}={name!r}: only cpu, cuda and cuda:N are supported.")
    return name


def asked_index(asked: str | None) -> int | None:
    """N of the device cuda:N; None of all others, which leave the choice of the card."""
    return int(asked.removeprefix("cuda:")) if asked and asked.startswith("cuda:") else None


def require_visible(asked: str | None, *, visible: int) -> None:
    """Refuse a GPU that is asked for where there are only ``visible``."""
    if asked not in (None, "cpu") and (asked_index(asked) or 0) >= visible:
        raise InputError(f"{DEVICE_VARIABLE}={asked!r}, but {visible} CUDA devices are visible.")


def usable_gpus() -> int:
    """GPUs that the networks of this machine's jobs share: all that torch can use, or the one asked for.

    Raises:
        InputError: QUIETPET_DEVICE asks for a device that is not there.
    """
    asked = asked_device()
    if asked == "cpu":
        return 0
    visible = _seen_by_torch() if any(path.exists() for path in _DRIVERS) else 0
    require_visible(asked, visible=visible)
    return visible if asked_index(asked) is None else 1


def networks_run_on(gpus: int, *, cluster: bool = False) -> str:
    """Where the networks of jobs run that share so many GPUs, of this machine or of a ``cluster``."""
    asked = asked_device()
    if asked == "cpu":
        return f"Networks are trained on the CPU, as {DEVICE_VARIABLE}=cpu asks."
    if cluster and not gpus:
        return "Networks are trained on CPUs of the cluster; --resources gpu=4 lends them four GPUs."
    if cluster:
        return f"Networks are trained on GPUs of the cluster, at most {gpus} at a time."
    if not gpus:
        return "Networks are trained on the CPU: no GPU is there for them."
    if asked_index(asked) is not None:
        return f"Networks are trained on {asked}, one job at a time, as {DEVICE_VARIABLE} asks."
    cards = "the GPU, one job at a time" if gpus == 1 else f"{gpus} GPUs, one job on each at a time"
    return f"Networks are trained on {cards}; {DEVICE_VARIABLE}=cpu keeps them on the CPU."


def _seen_by_torch() -> int:
    counted = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    if counted.returncode:
        reason = (counted.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"torch cannot count the GPUs ({reason}). Install a torch that can be imported."
        )
    return int(counted.stdout)
