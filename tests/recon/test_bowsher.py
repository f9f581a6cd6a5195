"""The choice of Bowsher neighbours against a search pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quietpet.recon.bowsher import bowsher_prior, most_similar

ANATOMY = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 9)).astype(np.float32))


def searched(anatomy, *, neighbours, radius_pixels):
    """Neighbours of each pixel (slice, y, x), most similar first; anatomies without equal values."""
    n_slices, rows, columns = anatomy.shape
    found = {}
    for at in np.ndindex(n_slices, rows, columns):
        z, y, x = at
        around = [
            (z, v, u)
            for v in range(max(y - radius_pixels, 0), min(y + radius_pixels + 1, rows))
            for u in range(max(x - radius_pixels, 0), min(x + radius_pixels + 1, columns))
            if (v, u) != (y, x)
        ]
        found[at] = sorted(around, key=lambda other: abs(anatomy[other] - anatomy[at]))[:neighbours]
    return found


def weights_of(anatomy, **changed):
    chosen = {
        "neighbours": 4, "radius_pixels": 2, "tolerance": 1e-7, "symmetric": False, **changed
    }  # fmt: skip
    prior = bowsher_prior(anatomy, **chosen)
    return prior.neighbour_sum.matrix.toarray(), prior.total


@pytest.mark.parametrize(("neighbours", "radius_pixels"), [(1, 1), (4, 1), (8, 1), (4, 2), (24, 2)])
def test_the_most_similar_pixels_around_are_found(neighbours, radius_pixels):
    """Near a corner fewer may exist; none lies outside or in another slice."""
    chosen, inside = most_similar(
        ANATOMY, neighbours=neighbours, radius_pixels=radius_pixels, tolerance=1e-7
    )
    wanted = searched(ANATOMY.numpy(), neighbours=neighbours, radius_pixels=radius_pixels)
    for at, expected in wanted.items():
        found = [np.unravel_index(flat, ANATOMY.shape) for flat in chosen[at][inside[at]]]
        assert [tuple(map(int, pixel)) for pixel in found] == expected


def test_among_equal_signals_the_nearest_are_chosen():
    weights, _ = weights_of(torch.zeros(1, 7, 7))
    middle = weights[24].reshape(7, 7)
    np.testing.assert_array_equal(np.argwhere(middle), [[2, 3], [3, 2], [3, 4], [4, 3]])


def test_noise_below_the_tolerance_changes_no_choice():
    tissue = torch.where(torch.arange(9) < 4, 1.0, 2.0).expand(1, 7, 9).contiguous()
    noisy = tissue + 1e-3 * ANATOMY[:1].clamp(-1, 1)
    clean, _ = weights_of(tissue, tolerance=0.1)
    np.testing.assert_array_equal(weights_of(noisy, tolerance=0.1)[0], clean)
    assert (weights_of(noisy, tolerance=1e-7)[0] != clean).any()


def test_weights_are_choices_or_their_mean():
    one_sided, total = weights_of(ANATOMY)
    assert set(np.unique(one_sided)) == {0.0, 1.0}
    assert (total == 4).all()
    assert (one_sided != one_sided.T).any()
    symmetric, total = weights_of(ANATOMY, symmetric=True)
    np.testing.assert_array_equal(symmetric, (one_sided + one_sided.T) / 2)
    np.testing.assert_array_equal(total.movedim(0, -1).flatten().numpy(), symmetric.sum(axis=1))


def test_the_centre_is_half_way_to_the_mean_of_the_neighbours():
    image = torch.rand(ANATOMY.shape, generator=torch.Generator().manual_seed(0))
    prior = bowsher_prior(ANATOMY, neighbours=4, radius_pixels=2, tolerance=1e-7, symmetric=False)
    found = prior.centre(image).numpy()
    for at, chosen in searched(ANATOMY.numpy(), neighbours=4, radius_pixels=2).items():
        mean = np.mean([image.numpy()[other] for other in chosen])
        assert found[at] == pytest.approx((image.numpy()[at] + mean) / 2, rel=1e-5)


def test_more_neighbours_than_pixels_around_are_refused():
    with pytest.raises(ValueError, match="9 neighbours do not fit in a radius of 1 pixels"):
        most_similar(ANATOMY, neighbours=9, radius_pixels=1, tolerance=0.1)
