from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from quietpet.errors import InputError
from quietpet.files.tensors import read_tensors, write_tensors
from quietpet.methods.munet.settings import Settings as MUNetSettings
from quietpet.methods.registry import build
from quietpet.methods.unet.settings import Settings
from quietpet.training.weights import load_weights, save_weights

UNET = Settings(features=(4, 4, 8, 8, 8, 4))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(
        path, build(UNET), settings=UNET, lineage={"data_source": "template"}, provenance={"a": 1}
    )
    return path


def test_how_weights_were_trained_does_not_keep_them_from_restoring(saved):
    """Nor does it matter that files of before these settings do not have them."""
    trained = UNET.model_copy(
        update={"optimiser": "published", "cost_of": "mfdiff", "pet_only_of": "munet_concat"}
    )
    assert load_weights(saved, trained)[1] == {"data_source": "template"}
    tensors, record = read_tensors(saved)
    for name in ("optimiser", "cost_of", "pet_only_of"):
        del record["settings"][name]
    write_tensors(saved, tensors, record)
    load_weights(saved, UNET)
    with pytest.raises(InputError, match="was trained with residual = True, but False is to be run"):
        load_weights(saved, UNET.model_copy(update={"residual": False}))


def test_a_network_of_before_it_could_do_without_t1_is_one_with_t1(tmp_path):
    munet = MUNetSettings(channels=(4, 8))
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(munet), settings=munet, lineage={}, provenance={})
    tensors, record = read_tensors(path)
    del record["settings"]["inputs"]
    write_tensors(path, tensors, record)
    load_weights(path, munet)
    with pytest.raises(InputError, match=r"trained with inputs = \['low', 't1'\], but \['low'\]"):
        load_weights(path, munet.on_pet_alone())


@pytest.mark.parametrize("kept", [{}, {"inputs": ["low", "t1"]}, {"features": [4, 4, 8, 8, 8, 4]}])
def test_a_file_that_does_not_say_of_which_method_it_is_is_of_none(saved, kept):
    tensors, record = read_tensors(saved)
    write_tensors(saved, tensors, {**record, "settings": kept})
    with pytest.raises(InputError, match=r"weights\.safetensors: its settings do not say of which kind"):
        load_weights(saved, UNET)
    write_tensors(saved, tensors, {name: each for name, each in record.items() if name != "settings"})
    with pytest.raises(InputError, match="do not say of which kind"):
        load_weights(saved, UNET)


def rewrite(path, change):
    tensors, record = read_tensors(path)
    change(tensors)
    write_tensors(path, tensors, record)


def test_the_file_carries_settings_size_lineage_and_provenance(saved):
    _, record = read_tensors(saved)
    assert record["settings"] == UNET.model_dump(mode="json")
    assert record["lineage"] == {"data_source": "template"}
    assert record["provenance"] == {"a": 1}
    assert record["parameters"] == sum(each.numel() for each in build(UNET).parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors: tensors.pop("network.final_conv.bias"),
            "lacks the tensor 'network.final_conv.bias'",
        ),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "holds the tensor 'extra'"),
        (
            lambda tensors: tensors.update({"network.final_conv.bias": torch.zeros(2)}),
            r"'network.final_conv.bias' is \[2\], this network needs \[1\]",
        ),
        (
            lambda tensors: tensors.update({"network.final_conv.bias": torch.tensor([torch.nan])}),
            "'network.final_conv.bias' is not finite",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(InputError, match=message):
        load_weights(saved, UNET)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        load_weights(tmp_path / "none.safetensors", UNET)


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04K\x01."])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a file of weights of this program"):
        load_weights(path, UNET)


def test_a_truncated_file_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a file of weights of this program"):
        load_weights(saved, UNET)


def test_a_single_changed_bit_is_noticed(saved):
    """Of the tensors, which safetensors has no checksum of, and of the record."""
    whole = saved.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    record = whole.index(b"template")
    for place in (record, 8 + size, 8 + size + 1001, len(whole) - 1):
        content = bytearray(whole)
        content[place] ^= 1
        saved.write_bytes(content)
        with pytest.raises(
            InputError, match=r"weights\.safetensors: damaged: its checksum is another\. "
        ):
            load_weights(saved, UNET)
    saved.write_bytes(whole)
    load_weights(saved, UNET)


def test_a_file_of_before_there_were_checksums_is_read(saved):
    with safe_open(saved, framework="pt") as file:
        record = file.metadata()["quietpet"]
    save_file(read_tensors(saved)[0], saved, metadata={"quietpet": record})
    assert load_weights(saved, UNET)[1] == {"data_source": "template"}


def test_tensors_of_all_kinds_have_a_checksum(tmp_path):
    tensors = {
        "none": torch.empty(0, 3),
        "number": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "half": torch.arange(3, dtype=torch.bfloat16),
        "last": torch.arange(12.0).reshape(1, 3, 2, 2).to(memory_format=torch.channels_last),
    }
    write_tensors(tmp_path / "some.safetensors", tensors, {"a": 1})
    found, record = read_tensors(tmp_path / "some.safetensors")
    assert record == {"a": 1}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
