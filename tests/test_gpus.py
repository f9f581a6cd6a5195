"""How many GPUs the jobs of a machine share, with their number faked: nothing is computed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from quietpet import gpus
from quietpet.errors import InputError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this a machine with a driver and a torch that sees so many GPUs."""

    def of(count: object, *, driver: bool = True) -> None:
        (tmp_path / "torch.py").write_text(
            f"class cuda:\n    device_count = is_available = staticmethod(lambda: {count})\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(gpus, "_DRIVERS", (tmp_path if driver else Path("/nowhere"),))

    monkeypatch.delenv("QUIETPET_DEVICE", raising=False)
    return of


def test_all_gpus_that_torch_sees_are_shared(machine):
    machine(3)
    assert gpus.usable_gpus() == 3
    assert "3 GPUs, one job on each" in gpus.networks_run_on(3)


def test_without_a_driver_torch_is_not_asked(machine):
    machine("1 / 0", driver=False)
    assert gpus.usable_gpus() == 0
    assert "on the CPU: no GPU" in gpus.networks_run_on(0)


def test_a_torch_without_cuda_leaves_the_driver_unused(machine):
    machine(0)
    assert gpus.usable_gpus() == 0


def test_a_torch_that_fails_is_one_clear_error(machine):
    machine("1 / 0")
    with pytest.raises(InputError, match=r"torch cannot count the GPUs \(ZeroDivisionError"):
        gpus.usable_gpus()


@pytest.mark.parametrize(
    ("asked", "shared", "sentence"),
    [
        ("cpu", 0, "on the CPU, as QUIETPET_DEVICE=cpu asks"),
        ("cuda", 2, "2 GPUs, one job on each"),
        ("cuda:1", 1, "on cuda:1, one job at a time"),
        ("", 2, "2 GPUs, one job on each"),
    ],
)
def test_the_variable_decides(machine, monkeypatch, asked, shared, sentence):
    machine(2)
    monkeypatch.setenv("QUIETPET_DEVICE", asked)
    assert gpus.usable_gpus() == shared
    assert sentence in gpus.networks_run_on(shared)


@pytest.mark.parametrize(("asked", "seen"), [("cuda:2", 2), ("cuda", 0), ("cuda:0", 0)])
def test_a_gpu_that_is_not_there_is_refused_before_any_job(machine, monkeypatch, asked, seen):
    machine(seen)
    monkeypatch.setenv("QUIETPET_DEVICE", asked)
    with pytest.raises(InputError, match=f"QUIETPET_DEVICE='{asked}', but {seen} CUDA devices"):
        gpus.usable_gpus()


@pytest.mark.parametrize("asked", ["abacus", "gpu", "cuda:", "cuda:one", "mps", "CPU"])
def test_any_other_device_is_refused(machine, monkeypatch, asked):
    machine(1)
    monkeypatch.setenv("QUIETPET_DEVICE", asked)
    with pytest.raises(InputError, match=f"QUIETPET_DEVICE='{asked}'"):
        gpus.usable_gpus()
