"""Files of figures: the same bytes whatever the last digits of the layout are."""

from __future__ import annotations

import io

import numpy as np
import pytest

from quietpet.evaluation.drawing import lay_out, new_figure, save, save_svg


def drawn(*, noise):
    """A figure whose solver adds ``noise`` to the places of the axes."""
    figure = new_figure(3.0, 2.0)
    axis = figure.subplots()
    axis.plot([1.0, 3.0, 2.0])
    solve = figure.draw_without_rendering

    def solve_with_noise():
        solve()
        figure.set_layout_engine("none")
        axis.set_position(np.add(axis.get_position().bounds, noise).tolist())

    figure.draw_without_rendering = solve_with_noise
    return figure


def svg_of(figure):
    text = io.StringIO()
    save_svg(figure, text)
    return text.getvalue()


def test_last_digits_of_the_layout_reach_no_file(tmp_path):
    files = []
    for noise in (0.0, 1e-14):
        paths = {"png": tmp_path / f"{noise}.png", "svg": tmp_path / f"{noise}.svg"}
        save(drawn(noise=noise), **paths)
        files.append([path.read_bytes() for path in paths.values()])
    assert files[0] == files[1]


def test_they_are_in_the_names_of_an_svg_that_is_not_laid_out_by_us():
    figures = [drawn(noise=noise) for noise in (0.0, 1e-14)]
    for figure in figures:
        figure.draw_without_rendering()
    one, other = map(svg_of, figures)
    assert one != other


def test_places_move_by_a_millionth_at_most():
    figure = drawn(noise=0.0)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    before = axis.get_position().bounds
    lay_out(figure)
    assert axis.get_position().bounds == pytest.approx(before, abs=1e-6)
