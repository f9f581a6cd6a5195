"""Which GPU a job gets; without any, because nothing is computed."""

from __future__ import annotations

import os

import pytest
import torch

from quietpet.errors import InputError
from quietpet.runtime import device


@pytest.fixture(autouse=True)
def _three_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(device.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(device, "_claims", claims := [])
    monkeypatch.delenv("QUIETPET_DEVICE", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    for file in claims:
        file.close()


def claimed(count, monkeypatch, *, visible=""):
    """What one more job sees, while those before it run."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    device.claim_gpus(count)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_jobs_that_run_together_get_gpus_of_their_own(monkeypatch):
    assert [claimed(1, monkeypatch) for _ in range(3)] == ["0", "1", "2"]
    device._claims.pop(1).close()
    assert claimed(1, monkeypatch) == "1"


def test_a_training_on_two_gpus_claims_both(monkeypatch):
    assert claimed(2, monkeypatch) == "0,1"
    assert claimed(1, monkeypatch) == "2"


def test_only_visible_gpus_are_claimed(monkeypatch):
    assert claimed(1, monkeypatch, visible="2,GPU-ab") == "2"
    assert claimed(1, monkeypatch, visible="2,GPU-ab") == "GPU-ab"


def test_what_a_cluster_assigned_stays(monkeypatch):
    """Numbers count from 0 in every job there, whichever card it is."""
    assert [claimed(1, monkeypatch, visible="0") for _ in range(2)] == ["0", "0"]
    assert device._claims == []


def test_more_jobs_than_gpus_share_and_say_so(monkeypatch, caplog):
    claimed(2, monkeypatch)
    assert claimed(2, monkeypatch) == "2,0"
    assert "only 1 of 2 GPUs are free" in caplog.text


@pytest.mark.parametrize("asked", ["cuda:1", "cpu"])
def test_a_device_chosen_by_hand_stays(monkeypatch, asked):
    monkeypatch.setenv("QUIETPET_DEVICE", asked)
    assert claimed(1, monkeypatch) == ""


def test_any_gpu_is_one_that_is_free(monkeypatch):
    monkeypatch.setenv("QUIETPET_DEVICE", "cuda")
    assert [claimed(1, monkeypatch) for _ in range(3)] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("asked", "device_in_words"), [("cpu", "cpu"), ("", "cuda (a card)"), ("cuda:2", "cuda:2 (a card)")]
)
def test_the_log_says_which_device_computes(monkeypatch, caplog, asked, device_in_words):
    monkeypatch.setenv("QUIETPET_DEVICE", asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    caplog.set_level("INFO")
    device.compute_device()
    assert caplog.messages == [f"computing on {device_in_words}"]


def test_a_gpu_that_is_not_visible_is_refused(monkeypatch):
    monkeypatch.setenv("QUIETPET_DEVICE", "cuda:3")
    with pytest.raises(InputError, match="QUIETPET_DEVICE='cuda:3', but 3 CUDA devices are visible"):
        device.compute_device()
