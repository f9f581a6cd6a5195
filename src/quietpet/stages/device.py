"""The processor that a stage computes on."""

from __future__ import annotations

import os

import psutil
import torch

from quietpet.errors import InputError

DEVICE_VARIABLE = "QUIETPET_DEVICE"
PROCESSES_VARIABLE = "QUIETPET_PROCESSES"


def free_bytes(device: torch.device) -> int:
    """Memory on ``device`` that nothing uses at the moment."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def process_count() -> int:
    """Processes that share one training, from the variable QUIETPET_PROCESSES; 1 without."""
    text = os.environ.get(PROCESSES_VARIABLE) or "1"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{PROCESSES_VARIABLE}={text!r}: a number of processes is wanted, 1 or more.")
    return int(text)


def compute_device() -> torch.device:
    """A CUDA device if there is one, else the CPU; the variable QUIETPET_DEVICE overrides it."""
    name = os.environ.get(DEVICE_VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(
            f"{DEVICE_VARIABLE}={name!r} is not a device; use cpu, cuda or cuda:N."
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"{DEVICE_VARIABLE}={name!r}: only cpu, cuda and cuda:N are supported.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"{DEVICE_VARIABLE}={name!r}, but {torch.cuda.device_count()} CUDA devices are visible."
        )
    return device
