"""A low dose of another head, a mirrored one, or no low dose at all, on heads of closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pair_folder as folder
import pytest

from quietpet.geometry.volume import Volume
from quietpet.invivo.pair_likeness import likeness
from quietpet.invivo.pair_values import image_findings, pair_findings
from quietpet.invivo.pairs import PairImage

ROW = PairImage(participant="01", dose="x20", unit="Bq/ml", pet="ld.nii.gz")
STANDARD = folder.pet(noise=1)


def head(*, seed: int, change: Callable[[np.ndarray], np.ndarray] = np.copy, **moved: float) -> Volume:
    """The head with noise of its own, after ``change``, moved along y by ``y_mm``."""
    image = folder.pet(noise=seed)
    matrix = image.affine_ras_mm.copy()
    matrix[1, 3] += moved.get("y_mm", 0.0)
    return Volume(values=np.ascontiguousarray(change(image.values)), affine_ras_mm=matrix)


def said(low: Volume) -> list[str]:
    return [
        f"{each.severity}: {each.value}; {each.evidence}" for each in pair_findings(ROW, low, STANDARD)
    ]


def test_a_head_of_other_counts_is_like_the_standard_one() -> None:
    low = head(seed=2)
    found = likeness(STANDARD, low)
    # Uniform noise of +-20 % in both: 0.2 / sqrt(3) each, independent of each other.
    assert found.difference == pytest.approx(0.2 * np.sqrt(2 / 3), rel=0.05)
    assert found.correlation > 0.99
    assert said(low) == []


@pytest.mark.parametrize("factor", [1.0 + 1e-6, 0.9, 1.1])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_the_same_image_is_no_low_dose_whatever_its_factor_and_axes(
    factor: float, axes: tuple[int, ...]
) -> None:
    values = (factor * STANDARD.values).transpose(axes)[::-1]
    matrix = STANDARD.affine_ras_mm[:, [*axes, 3]]
    matrix[:, 3] += (values.shape[0] - 1) * matrix[:, 0]
    matrix[:, 0] *= -1
    low = Volume(values=np.ascontiguousarray(values), affine_ras_mm=matrix)
    assert likeness(STANDARD, low).difference < 1e-5
    (error,) = said(low)
    assert error.startswith("error: the values of the standard dose, times ")


def test_the_same_image_in_16_bits_is_no_low_dose() -> None:
    step = STANDARD.values.max() / 32767
    (error,) = said(head(seed=1, change=lambda seen: 0.9 * step * np.round(seen / step)))
    assert error.startswith("error: the values of the standard dose, times 0.9")


WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "mirrored": (lambda seen: seen[::-1], "with left and right exchanged"),
    "even": (lambda seen: 8000.0 * (seen > 0), "it shows another head"),
    "another bright part": (
        lambda seen: np.where(seen > 12000, 8000, seen) + 12000.0 * np.roll(seen > 15000, -7, axis=1),
        "it shows another head",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_the_standard_s_head_is_refused(case: str) -> None:
    change, words = WRONG[case]
    (error,) = said(head(seed=2, change=change))
    assert error.startswith("error: alike the standard dose by ")
    assert words in error


def test_a_mirrored_head_is_told_where_it_does_not_lie_in_the_middle() -> None:
    """An affine of the wrong sign: the head is mirrored about x = 0, and lies elsewhere."""
    matrix = np.diag([-1.0, 1.0, 1.0, 1.0]) @ STANDARD.affine_ras_mm
    found = likeness(STANDARD, Volume(values=folder.pet(noise=2).values, affine_ras_mm=matrix))
    assert found.mirrored > 0.98
    assert found.mirrored > found.centred > found.correlation - 0.05


def test_a_head_that_is_moved_is_doubted_from_three_millimetres_on() -> None:
    assert said(head(seed=2, y_mm=1.5)) == []
    (warning,) = said(head(seed=2, y_mm=6.0))
    assert warning.startswith("warning: 5.9 mm between")
    assert "same_position: no" in warning


@pytest.mark.parametrize(("factor", "doubted"), [(1e-3, True), (0.1, False), (10.0, False), (1e3, True)])
def test_a_head_of_an_activity_that_none_has_is_doubted(factor: float, doubted: bool) -> None:
    """kBq/mL called Bq/mL, and the other way round; the head has 8 kBq/mL."""
    image = head(seed=1, change=lambda seen: factor * seen)
    found = [each.severity for each in image_findings(ROW, image, at_s=None)]
    assert found == ["warning"] * doubted
