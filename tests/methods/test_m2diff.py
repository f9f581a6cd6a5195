from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.diffusion.schedule import linear_schedule
from quietpet.methods.m2diff.model import build
from quietpet.methods.m2diff.network import Attention, Block
from quietpet.methods.m2diff.settings import Settings
from quietpet.runtime.device import inferring

SIZES = {
    "channels": 8, "multipliers": (1, 2), "attention": (False, True), "blocks": 1, "heads": 2,
    "norm_groups": 4, "dropout": 0.0,
}  # fmt: skip
SMALL = {**SIZES, "timesteps": 20, "sampling_steps": 3, "sampler": "ddim"}
PUBLISHED_128 = {"multipliers": (1, 1, 2, 3, 4), "attention": (False,) * 3 + (True,) * 2}
PUBLISHED_256 = {"multipliers": (1, 1, 2, 2, 4, 4), "attention": (False,) * 4 + (True,) * 2}
SLICES, PIXELS = 4, 16


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(SLICES, 1, PIXELS, PIXELS, generator=torch.Generator().manual_seed(seed))


def batch(*, t1_seed: int = 2, without: tuple[int, ...] = ()) -> Batch:
    """Four slices; those of the rows ``without`` lack T1."""
    t1, has_t1 = images(t1_seed), torch.ones(SLICES, dtype=torch.bool)
    has_t1[list(without)] = False
    t1[~has_t1] = torch.nan
    return Batch(
        low=images(0), standard=images(1), t1=t1, has_t1=has_t1, scale=torch.ones(SLICES),
        keys=tuple("abcd"), pixel_mm=2.0,
    )  # fmt: skip


def generators(sample: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(10 * sample + row) for row in range(SLICES)]


def awake(method, seed: int = 3):
    """``method`` with random weights everywhere: the layers that begin at zero have no effect yet."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return method


def made(**changes):
    torch.manual_seed(0)
    return awake(build(Settings(**{**SMALL, **changes}))).eval()


def restored(method, data: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return method.restore(data, generators())


# Size


def counted(*, channels: int, multipliers, attention, blocks: int) -> dict[str, tuple[int, ...]]:
    """Parameters of encoder, middle and decoder of each branch, layer by layer, and of the rest."""
    embedded = 4 * channels

    def convolution(before, after, kernel):
        return before * after * kernel**2 + after

    def attended(width):
        return 2 * width + convolution(width, 3 * width, 1) + convolution(width, width, 1)

    def residual(before, after):
        total = 2 * before + convolution(before, after, 3) + (embedded + 1) * 2 * after
        total += 2 * after + convolution(after, after, 3)
        return total + (convolution(before, after, 1) if before != after else 0)

    found = {}
    for branch, attends in {"pet": attention, "mri": [False] * len(multipliers)}.items():
        width, skips, encoder, decoder = channels, [channels], convolution(2, channels, 3), 0
        for level, multiplier in enumerate(multipliers):
            if level:
                encoder += convolution(width, width, 3)
                skips.append(width)
            for _ in range(blocks):
                encoder += residual(width, channels * multiplier)
                width = channels * multiplier
                encoder += attends[level] * attended(width)
                skips.append(width)
        bottom = residual(width, width)
        middle = 2 * bottom + attended(width) if branch == "pet" else bottom
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for number in range(blocks + 1):
                decoder += residual(width + 2 * skips.pop(), channels * multiplier)
                width = channels * multiplier
                decoder += attends[level] * attended(width)
                decoder += (level > 0 and number == blocks) * convolution(width, width, 3)
        found[branch] = (encoder, middle, decoder)
    found["rest"] = (
        channels * embedded + embedded, embedded**2 + embedded, 2 * convolution(channels, 1, 3)
    )  # fmt: skip
    return found


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def parts(branch) -> tuple[int, ...]:
    return parameters(branch.encoder), parameters(branch.middle), parameters(branch.decoder)


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 128, "blocks": 2, **PUBLISHED_128},
        {"channels": 128, "blocks": 2, **PUBLISHED_256},
        {"channels": 8, "blocks": 1, "multipliers": (1, 3), "attention": (True, False)},
    ],
)
def test_every_part_has_the_parameters_of_its_layers(sizes):
    with torch.device("meta"):
        network = build(Settings(**sizes, norm_groups=8)).network
    found = counted(**sizes)
    assert parts(network.pet) == found["pet"]
    assert parts(network.mri) == found["mri"]
    assert parameters(network) == sum(map(sum, found.values()))


def millions(counts) -> list[float]:
    return [round(count / 1e6, 1) for count in counts]


@pytest.mark.parametrize(
    ("sizes", "total"), [(PUBLISHED_128, 202_683_779), (PUBLISHED_256, 268_987_523)]
)
def test_the_published_sizes_are_those_of_the_published_code(sizes, total):
    """Which also builds, and never calls, a group normalisation and a convolution of 128 channels."""
    with torch.device("meta"):
        method = build(Settings(**sizes))
    unused = 2 * 128 + 128 * 9 + 1
    assert method.parameter_count == total - unused
    assert Settings(**sizes).published_parameters == {"network": total}


def test_each_part_of_the_default_has_the_published_size():
    with torch.device("meta"):
        network = build(Settings()).network
    assert millions(parts(network.pet)) == [25.7, 11.5, 71.2]
    assert millions(parts(network.mri)) == [22.4, 5.2, 66.3]


def test_a_size_that_is_not_published_is_compared_with_none():
    assert Settings(**SIZES).published_parameters == {}


# Layers


def test_attention_is_in_the_pet_branch_alone():
    with torch.device("meta"):
        network = build(Settings()).network
    assert not any(isinstance(module, Attention) for module in network.mri.modules())
    # Two on the way down and three on the way up at each of two resolutions, and the middle.
    assert sum(isinstance(module, Attention) for module in network.pet.modules()) == 2 * (2 + 3) + 1
    assert (len(network.pet.middle), len(network.mri.middle)) == (2, 1)


def test_at_192_pixels_attention_is_at_24_and_12():
    """As published at 16 and 8 of 128 pixels."""
    network = build(Settings(channels=4, norm_groups=2, heads=2)).network
    sides = set()
    for module in network.pet.encoder.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(lambda _, inputs, __: sides.add(inputs[0].shape[-1]))
    for side, wanted in [(192, {24, 12}), (128, {16, 8})]:
        sides.clear()
        with torch.inference_mode():
            image = torch.zeros(1, 2, side, side)
            network.pet.encode(image, torch.zeros(1, 16))
        assert sides == wanted


def test_time_scales_and_shifts_the_normalised_features():
    """Scale s and shift b of the linear layer's bias: conv(silu((1 + s) norm + b))."""
    settings = Settings(**SMALL)
    block = Block(settings, 8, 8, attends=False).eval()
    with torch.no_grad():
        block.time[1].weight.zero_()
        block.time[1].bias.copy_(torch.cat([torch.full((8,), 0.5), torch.full((8,), -0.25)]))
        nn.init.dirac_(block.second[2].weight)
    features = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    normed = nn.functional.group_norm(block.first(features), 4)
    expected = features + nn.functional.silu(1.5 * normed - 0.25)
    found = block(features, torch.randn(2, 32, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


# Exchange of skips


def gradients(network, head: int, *, guided: bool) -> tuple[list[float], list[float]]:
    """Largest gradient of one head with respect to each skip of the PET and of the T1 encoder."""
    skips = {}

    def keep(name, encode):
        def kept(*arguments):
            skips[name] = encode(*arguments)
            for skip in skips[name]:
                skip.retain_grad()
            return skips[name]

        return kept

    for name in ("pet", "mri"):
        branch = getattr(network, name)
        branch.encode = keep(name, branch.encode)
    chosen = torch.full((SLICES,), guided)
    heads = network(
        images(5), torch.full((SLICES,), 7), low=images(0), t1=images(2), guided=chosen, both=True
    )
    heads[head].square().sum().backward()
    return tuple([_largest(skip.grad) for skip in skips[name]] for name in ("pet", "mri"))


def _largest(gradient: torch.Tensor | None) -> float:
    return 0.0 if gradient is None else float(gradient.abs().max())


@pytest.mark.parametrize("head", [0, 1])
def test_each_decoder_sees_every_skip_of_both_encoders(head):
    of_pet, of_mri = gradients(made().network, head, guided=True)
    assert len(of_pet) == len(of_mri) == 4
    assert min(of_pet) > 0
    assert min(of_mri) > 0


def test_every_decoder_block_takes_two_skips_of_its_resolution():
    """The first of the default: 512 features, and two skips of 512."""
    with torch.device("meta"):
        network = build(Settings()).network
    for branch in (network.pet, network.mri):
        taken = [block.first[0].num_channels for block in branch.decoder]
        assert taken[:3] == [512 + 2 * 512, 512 + 2 * 512, 512 + 2 * 384]
        assert len(taken) == 3 * 5


def test_without_guidance_the_pet_head_sees_no_skip_of_t1_and_the_t1_head_still_sees_both():
    assert max(gradients(made().network, 0, guided=False)[1]) == 0
    for skips in gradients(made().network, 1, guided=False):
        assert min(skips) > 0


def test_an_unguided_pet_decoder_gets_its_own_skips_twice():
    network, seen = made().network, {}
    for number, block in enumerate(network.pet.decoder):
        block.register_forward_hook(lambda _, inputs, __, key=number: seen.update({key: inputs[0]}))
    with torch.inference_mode():
        skips = network.pet.encode(torch.cat([images(5), images(0)], dim=1), torch.zeros(SLICES, 32))
        network.pet.decode(skips, skips, torch.zeros(SLICES, 32))
    for number, skip in enumerate(reversed(skips)):
        width = skip.shape[1]
        assert torch.equal(seen[number][:, -width:], skip)
        assert torch.equal(seen[number][:, -2 * width : -width], skip)


# Loss


class Constant(nn.Module):
    """Stands for the network: heads that are constant images."""

    def __init__(self, pet: float, mri: float) -> None:
        super().__init__()
        self.heads, self.seen = (pet, mri), []

    def forward(self, noisy, times, *, low, t1, guided, both):
        self.seen.append((t1, guided))
        return tuple(torch.full_like(noisy, head) for head in self.heads)


@pytest.mark.parametrize("weights", [(0.4, 0.4, 0.2), (1.0, 0.0, 0.5)])
def test_the_loss_is_the_weighted_sum_of_three_squared_errors(weights):
    method = made(loss_weights=weights)
    method.network = Constant(0.3, 0.7)
    standard = images(1)
    of_pet, of_mri, of_difference = weights
    expected = (
        of_pet * (standard - 0.3).square().mean()
        + of_mri * (standard - 0.7).square().mean()
        + of_difference * 0.4**2
    )
    found = method.loss(batch(), "network", torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_the_published_weights_are_the_default():
    assert Settings().loss_weights == (0.4, 0.4, 0.2)


def test_of_slices_without_t1_the_pet_head_alone_counts():
    method = made()
    method.network = Constant(0.3, 0.7)
    standard = images(1)
    expected = (
        0.4 * (standard - 0.3).square().mean()
        + 0.5 * (0.4 * (standard[:2] - 0.7).square().mean() + 0.2 * 0.4**2)
    )  # fmt: skip
    found = method.loss(batch(without=(2, 3)), "network", torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def learned(data: Batch):
    """The gradients of one step on ``data``, by the name of the parameter, and the loss."""
    method = made().train()
    loss = method.loss(data, "network", torch.Generator().manual_seed(0))
    loss.backward()
    return {name: each.grad for name, each in method.named_parameters()}, loss.detach()


@pytest.mark.parametrize("without", [(1,), (0, 2), (0, 1, 2, 3)])
def test_a_missing_t1_reaches_neither_loss_nor_gradients(without):
    """Whatever stands in its place, NaN or another image."""
    missing = batch(without=without)
    other = replace(missing, t1=torch.where(missing.t1.isnan(), images(9), missing.t1))
    (found, loss), (expected, expected_loss) = learned(missing), learned(other)
    assert torch.isfinite(loss)
    assert torch.equal(loss, expected_loss)
    for name, gradient in found.items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert torch.equal(gradient, expected[name]), name
        learns = ".mri." not in name or len(without) < SLICES
        assert (_largest(gradient) > 0) == learns, name


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.4, 0.35, 0.45)])
def test_skips_are_replaced_in_the_stated_share_of_the_slices(share, low, high):
    method = made(skip_replacement=share)
    method.network = Constant(0.3, 0.7)
    for step in range(200):
        method.loss(batch(), "network", torch.Generator().manual_seed(step))
    guided = torch.cat([guided for _, guided in method.network.seen]).float()
    assert low <= 1 - float(guided.mean()) <= high
    if share:  # drawn for each slice on its own, by the named generator
        mixed = [0 < float(each.float().mean()) < 1 for _, each in method.network.seen]
        assert sum(mixed) > 100
        again = method.loss(batch(), "network", torch.Generator().manual_seed(0))
        assert torch.equal(method.network.seen[-1][1], method.network.seen[0][1])
        assert torch.isfinite(again)


def test_both_heads_agree_on_a_batch_that_they_have_learned():
    torch.manual_seed(0)
    method = build(Settings(**SMALL, diffused="residual"))
    learned_from = replace(batch(), standard=images(0) + images(1))
    method.tune([learned_from])
    before = disagreement(method, learned_from)
    optimiser = torch.optim.AdamW(method.parameters(), lr=5e-3)
    for step in range(60):
        optimiser.zero_grad()
        method.loss(learned_from, "network", torch.Generator().manual_seed(step % 3)).backward()
        optimiser.step()
    assert disagreement(method, learned_from) < min(0.05, before / 10)


@torch.no_grad()
def disagreement(method, data: Batch) -> float:
    """Mean squared difference of the two heads over the mean square of what they should predict."""
    target = method.target_gain * (data.standard - data.low)
    time = torch.full((SLICES,), 10)
    pet, mri = method.network(
        target + images(7), time, low=data.low, t1=data.t1, guided=data.has_t1, both=True
    )
    return float((pet - mri).square().mean() / target.square().mean())


# Without T1


def test_a_t1_that_is_there_changes_the_restored_image():
    method = made()
    assert not torch.allclose(
        restored(method, batch(t1_seed=2)), restored(method, batch(t1_seed=8)), atol=1e-4
    )


def test_restored_without_t1_two_images_of_it_are_the_same_bit_for_bit():
    method = made(t1="none")
    first = restored(method, batch(t1_seed=2))
    assert torch.equal(first, restored(method, batch(t1_seed=8)))
    assert torch.equal(first, restored(method, batch(without=(0, 1, 2, 3))))
    assert torch.equal(first, restored(method, batch(without=(1,))))


@pytest.mark.parametrize("without", [(0,), (1, 3), (0, 1, 2), (0, 1, 2, 3)])
def test_any_slices_may_lack_t1_and_the_others_stay_bit_for_bit(without):
    method = made()
    found = restored(method, batch(without=without))
    assert torch.isfinite(found).all()
    kept = [row for row in range(SLICES) if row not in without]
    assert torch.equal(found[kept], restored(method, batch())[kept])
    missing = list(without)
    alone = restored(made(t1="none"), batch())
    assert torch.equal(found[missing], alone[missing])
    assert torch.equal(found[missing], restored(method, batch(t1_seed=8, without=without))[missing])
    assert not torch.allclose(found[missing], restored(method, batch())[missing], atol=1e-4)


@pytest.mark.parametrize("without", [(0,), (1, 3), (0, 1, 2, 3)])
def test_channels_last_in_bfloat16_a_missing_t1_is_as_bitwise_without_effect(without):
    """Laid out and rounded as ``inference.precision: bf16-mixed`` has it."""
    guided, alone = (made(**each).to(memory_format=torch.channels_last) for each in ({}, {"t1": "none"}))
    with inferring(torch.device("cpu"), half=True):
        found = restored(guided, batch(without=without))
        again = restored(guided, batch(t1_seed=8, without=without))
        whole, never = restored(guided, batch()), restored(alone, batch())
        other = restored(alone, batch(t1_seed=8))
    missing = list(without)
    kept = [row for row in range(SLICES) if row not in without]
    assert torch.isfinite(found).all()
    assert torch.equal(found[missing], again[missing])
    assert torch.equal(found[missing], never[missing])
    assert torch.equal(found[kept], whole[kept])
    assert torch.equal(never, other)
    assert not torch.allclose(found[missing], whole[missing], atol=1e-3)
    assert not torch.equal(whole, restored(made(), batch())), "bfloat16 rounds"


def test_the_t1_branch_does_not_run_where_no_slice_is_guided():
    method, calls = made(t1="none"), []
    method.network.mri.encoder[0].register_forward_hook(lambda *_: calls.append(1))
    restored(method, batch())
    assert not calls
    assert torch.isfinite(restored(method, batch(without=(0, 1, 2, 3)))).all()


def test_only_the_pet_head_is_sampled():
    method, calls = made(), []
    method.network.mri.head.register_forward_hook(lambda *_: calls.append(1))
    restored(method, batch())
    assert not calls
    with torch.no_grad():
        method.network.pet.head.weight.zero_()
        method.network.pet.head.bias.fill_(0.25)
    torch.testing.assert_close(restored(method, batch()), torch.full_like(images(), 0.25))


def test_with_and_without_t1_are_one_training():
    own = Settings(**SMALL)
    without = Settings(**SMALL | {"sampler": "dpmpp_2m", "sampling_steps": 7}, t1="none")
    assert own.for_training() == without.for_training()
    assert own.for_training() != Settings(**SMALL, skip_replacement=0.1).for_training()


def test_the_variant_on_pet_alone_is_the_same_training_without_t1():
    settings = Settings(**SMALL)
    variant = settings.on_pet_alone()
    assert variant == Settings(**SMALL, t1="none")
    assert variant.t1_use == "none"
    assert Settings(skip_replacement=0.0).on_pet_alone() is None


@pytest.mark.parametrize(
    ("changes", "use", "words"),
    [
        ({}, "optional", "skip connections of the PET branch"),
        ({"t1": "none"}, "none", "skip connections of the PET branch"),
        ({"skip_replacement": 0.0}, "needed", "skip_replacement = 0"),
    ],
)
def test_settings_say_whether_and_how_t1_may_be_missing(changes, use, words):
    settings = Settings(**changes)
    assert settings.t1_use == use
    assert words in settings.without_t1
    assert ("without T1" in settings.describe()) == (use == "none")


# Sampling


@pytest.mark.parametrize(
    ("sampler", "steps"), [("ddpm", 1000), ("dpmpp_2m", 25), ("ddim", 25), ("ddim", 3)]
)
def test_the_exact_denoiser_of_gaussian_images_samples_their_width(sampler, steps):
    """Of N(0, 1) images E[x0 | x_t] = signal x_t, as x_t has variance 1.

    Each stride of DDIM then multiplies by cos(a - b) where the signals are cos a and cos b.
    """
    settings = Settings(**SIZES, sampler=sampler, sampling_steps=steps)
    method = build(settings)
    signal = torch.from_numpy(linear_schedule(1000).alpha_bar).sqrt()

    class Oracle(nn.Module):
        def forward(self, noisy, times, **_):
            return (signal[times].reshape(-1, 1, 1, 1).float() * noisy,)

    method.network = Oracle()
    method.target_gain.fill_(0.1)
    square = torch.zeros(SLICES, 1, 64, 64)
    found = 0.1 * restored(method, replace(batch(), low=square, t1=square))
    width = 1.0
    if sampler == "ddim":
        visited = signal[torch.linspace(1000, 0, steps + 1).round().long()].arccos()
        width = float(visited.diff().cos().prod())
        assert (width < 0.8) == (steps == 3)
    assert float(found.std()) == pytest.approx(width, abs=0.02)
    assert float(found.mean()) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("diffused", ["standard", "residual"])
def test_a_perfect_network_has_no_loss_and_samples_the_standard_dose(diffused):
    method = made(diffused=diffused)
    method.tune([batch()])
    clean = method.target_gain * (images(1) - images(0) if diffused == "residual" else images(1))

    class Perfect(nn.Module):
        def forward(self, noisy, times, *, both, **_):
            return (clean, clean) if both else (clean,)

    method.network = Perfect()
    assert float(method.loss(batch(), "network", torch.Generator().manual_seed(1))) < 1e-10
    torch.testing.assert_close(restored(method, batch()), images(1), atol=1e-5, rtol=0)
    weighted = (images(0) * clean**2).sum() / images(0).sum()
    assert float(weighted.sqrt()) == pytest.approx(1.0, rel=1e-5)


# Settings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"multipliers": (1, 2)}, "attention has 5 entries, multipliers 2"),
        ({"channels": 48}, "norm_groups = 32 must divide channels = 48"),
        ({**SIZES, "heads": 3}, "heads = 3 must divide the attended 16 features"),
        ({"t1": "none", "skip_replacement": 0.0}, "t1 = none needs a network that has learned"),
        ({"prediction": "epsilon"}, "prediction"),
        ({"loss_weights": (0.4, 0.4)}, "loss_weights"),
        ({"skip_replacement": 1.0}, "skip_replacement"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(ValidationError, match=words):
        Settings(**wrong)


def test_the_published_training_is_stated():
    published = Settings().published_training
    assert published.learning_rate == 1e-4
    assert published.optimiser.kind == "adam"
    assert published.schedule == "constant"
    assert published.ema.profile == "none"
