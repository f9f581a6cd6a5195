"""The processor that a stage computes on."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import psutil
import torch

from quietpet.errors import InputError
from quietpet.gpus import PROCESSES_VARIABLE, asked_device, asked_index, require_visible
from quietpet.methods.base import Restorer
from quietpet.tasks import step_tasks

logger = logging.getLogger(__name__)

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

_X86 = ("x86_64", "AMD64", "i386", "i686")
_SIXTEEN_BIT = {
    "bf16-mixed": ("avx512_bf16", "amx_bf16"),
    "16-mixed": ("avx512_fp16", "amx_fp16"),
}
"""Precision -> instructions, one of which an x86 processor needs for it."""

_claims: list[TextIO] = []
"""Locked files; a lock ends with the process that holds it, however that ends."""


def free_bytes(device: torch.device) -> int:
    """Memory on ``device`` that nothing uses at the moment."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def claim_gpus(count: int) -> None:
    """Hide all GPUs but ``count`` that no other command of this user has claimed.

    Snakemake counts the GPUs of a workstation but tells no job which is its own; without this all jobs
    would share the first. Where no more are visible than wanted, as under SLURM, nothing changes. To
    be called before torch starts CUDA.
    """
    asked = asked_device()
    if asked == "cpu" or asked_index(asked) is not None:
        return
    visible = os.environ.get(VISIBLE_VARIABLE)
    names = visible.split(",") if visible else [str(k) for k in range(torch.cuda.device_count())]
    if len(names) <= count:
        return
    claimed: list[str] = []
    for name in names:
        if len(claimed) < count and _locked(name):
            claimed.append(name)
    if len(claimed) < count:
        logger.warning("only %d of %d GPUs are free; sharing the others", len(claimed), count)
        claimed += [name for name in names if name not in claimed][: count - len(claimed)]
    os.environ[VISIBLE_VARIABLE] = ",".join(claimed)


def _locked(gpu: str) -> bool:
    path = Path(tempfile.gettempdir()) / f"quietpet-{os.getuid()}-gpu-{gpu}.lock"
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _claims.append(file)
    return True


def process_count() -> int:
    """Processes that share one training: the tasks that `srun` started of this command, or as many as
    the variable QUIETPET_PROCESSES says; 1 without either.

    Raises:
        InputError: the variable is no such number, or not that of the tasks.
    """
    tasks = step_tasks()
    text = os.environ.get(PROCESSES_VARIABLE) or str(tasks.count if tasks else 1)
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{PROCESSES_VARIABLE}={text!r}: a number of processes is wanted, 1 or more.")
    if tasks and int(text) != tasks.count:
        raise InputError(
            f"{PROCESSES_VARIABLE}={text} (or --gpus {text}), but srun started {tasks.count} tasks of "
            "this command; make the numbers equal, or start one task."
        )
    return int(text)


def placed(method: Restorer, device: torch.device, *, half: bool) -> Restorer:
    """``method`` on ``device``, ready to restore within :func:`inferring`."""
    if half:
        require_precision("bf16-mixed", device, key="inference.precision")
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub of it
    return method.to(device).eval()


def require_precision(precision: str, device: torch.device, *, key: str) -> None:
    """Refuse 16-bit arithmetic that the processor has no instructions for: it would only be slower.

    On a CPU without them each number is converted for each operation.

    Raises:
        InputError: names ``key``, the setting.
    """
    features = _SIXTEEN_BIT.get(precision)
    if features is None or device.type != "cpu":
        return
    there = torch.cpu.get_capabilities()
    if there.get("architecture") in _X86 and not any(there.get(name) for name in features):
        raise InputError(
            f"{key} = {precision!r}, but this CPU ({there.get('cpu_name', 'unknown')}) has none of "
            f"{', '.join(features)}, without which it is far slower than float32. Set {key}: 32-true, "
            "or give the job a GPU."
        )


@contextmanager
def inferring(device: torch.device, *, half: bool) -> Iterator[None]:
    """Without gradients; matrix products and convolutions in bfloat16 if ``half``."""
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def compute_device() -> torch.device:
    """A CUDA device if there is one, else the CPU; the variable QUIETPET_DEVICE overrides it.

    The log says which.
    """
    asked = asked_device()
    require_visible(asked, visible=torch.cuda.device_count())
    device = torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))
    card = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    logger.info("computing on %s%s", device, card)
    return device
