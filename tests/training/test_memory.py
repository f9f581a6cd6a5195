from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, torch
from torch import nn
from quietpet.training.memory import keep_freed_memory

if {kept}:
    keep_freed_memory()
torch.set_num_threads(1)
layers = [nn.Conv2d(1, 8, 3), *(nn.Sequential(nn.Conv2d(8, 8, 1), nn.GELU()) for _ in range(6))]
network, images = nn.Sequential(*layers), torch.ones(4, 1, 66, 66)
for step in range(10):
    if step == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    network(images).sum().backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, kept):
    """Pages that five training steps of 6 MiB of feature maps get from the kernel, after five others."""
    command = [sys.executable, "-c", STEPS.format(kept=kept)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is what is told")
def test_freed_memory_is_used_again_without_asking_the_kernel():
    assert faults(kept=True) < faults(kept=False) / 4
