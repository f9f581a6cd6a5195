"""The slice that a figure of images shows, where it looks closer, and what it draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from quietpet.evaluation.gallery import (
    MEDIAN_ERROR,
    MOST_LESION,
    GallerySlice,
    centre_of,
    gallery_section,
    median_error,
    most_lesion,
    nmse,
)
from quietpet.evaluation.gallery_figure import COLUMNS, draw_gallery

PIXELS = 64
Y, X = np.mgrid[:PIXELS, :PIXELS]
HEAD = (np.hypot(Y - 31, X - 33) < 24).astype(np.uint8)


def lesion(y, x, radius):
    return (np.hypot(Y - y, X - x) <= radius).astype(np.uint8)


def shown(*, methods=("unet", "mfdiff"), pet=None, t1_only=None, t1=True):
    """Each method is off by its number, in per cent of the standard dose."""
    standard = 100.0 * HEAD
    none = np.zeros_like(HEAD)
    return GallerySlice(
        dataset="phantom",
        setting="low",
        data_source="brainweb",
        key="45/z077/r0",
        subject="45",
        rule="a rule",
        pixel_mm=2.0,
        unit="kBq/ml",
        low=standard * 1.5,
        standard=standard,
        t1=standard if t1 else None,
        head=HEAD,
        pet_lesions=none if pet is None else pet,
        t1_lesions=none if t1_only is None else t1_only,
        restored={name: standard * (1 + (number + 1) / 100) for number, name in enumerate(methods)},
    )


def panels_of(figure):
    """Axes by their title, of those that have one."""
    return {axis.get_title(): axis for axis in figure.axes if axis.get_title()}


def test_the_slice_with_most_lesion_pixels_is_shown():
    masks = np.stack([lesion(20, 20, 2), lesion(20, 20, 4), lesion(40, 40, 4), lesion(20, 20, 3)])
    assert most_lesion(masks) == 1  # the first of two equal ones
    assert most_lesion(np.zeros_like(masks)) is None


def test_without_lesions_the_slice_of_median_error_is_shown():
    # Medians over methods: 5, 1, 3, 2, 9; their median: 3.
    errors = {"a": [4, 1, 3, 2, 9], "b": [5, 0, 3, 2, 9], "c": [6, 7, 8, 2, 9]}
    assert median_error(errors) == 2
    assert median_error({"a": [4, 1, 3, 2]}) == 3  # of the two in the middle that of less error


def test_the_middle_of_the_largest_lesion_is_looked_at():
    masks = lesion(12, 20, 2) | lesion(40, 45, 5)
    assert centre_of(masks, HEAD) == (40, 45)
    assert centre_of(np.zeros_like(HEAD), HEAD) == (31, 33)


def test_nmse_is_the_square_of_a_common_relative_error():
    assert nmse(np.full((3, 3), 1.1), np.ones((3, 3))) == pytest.approx(0.01)
    assert shown().nmse == pytest.approx({"unet": 1e-4, "mfdiff": 4e-4})


def test_every_image_has_a_panel_and_all_share_one_scale():
    pet, t1_only = lesion(25, 40, 4), lesion(40, 20, 4)
    figure = draw_gallery(shown(pet=pet, t1_only=t1_only))
    figure.canvas.draw()
    panels = panels_of(figure)
    assert [*panels][:5] == ["T1", "LPET", "unet", "NMSE 0.0001", "mfdiff"]
    limits = {panels[name].images[0].get_clim() for name in ("LPET", "unet", "mfdiff", "SPET")}
    assert limits == {(0.0, 100.0)}
    differences = [panels[name].images[0] for name in panels if name.startswith("NMSE")]
    (ends,) = {image.get_clim() for image in differences}
    assert ends == (-50.0, 50.0)  # of the low dose, in which every pixel is 50 above
    assert np.ma.getdata(differences[0].get_array()).max() == pytest.approx(1.0)
    legend = {
        text.get_text() for axis in figure.axes if (found := axis.get_legend()) for text in found.texts
    }
    assert {"lesion in PET", "in T1 alone", "lesion", "LPET", "SPET", "unet", "mfdiff"} == legend


def test_profiles_run_through_the_lesion_in_millimetres():
    figure = draw_gallery(shown(pet=lesion(25, 40, 4)))
    (profile,) = (axis for axis in figure.axes if "mm along x" in axis.get_xlabel())
    lines = {line.get_label(): line for line in profile.lines}
    assert lines["SPET"].get_xdata()[[0, -1]].tolist() == [-40.0, 40.0]  # 20 pixels of 2 mm
    np.testing.assert_allclose(lines["mfdiff"].get_ydata(), 1.02 * lines["SPET"].get_ydata())


@pytest.mark.parametrize("count", [1, COLUMNS, 3 * COLUMNS])
def test_any_number_of_methods_fits(count):
    methods = [f"method{number}" for number in range(count)]
    figure = draw_gallery(shown(methods=methods, t1=False))
    figure.canvas.draw()
    panels = panels_of(figure)
    assert {"LPET", *methods, "SPET"} <= set(panels)
    assert "T1" not in panels
    (profile,) = (axis for axis in figure.axes if "mm along x" in axis.get_xlabel())
    assert len(profile.lines) == 2 + min(count, 4)


def test_the_section_says_which_slice_and_why():
    section = gallery_section(shown(pet=lesion(25, 40, 4)), figure="low.png")
    # 49 pixels lie within 4 of the middle one, of 0.04 cm2 each.
    assert "Slice `45/z077/r0` of test subject 45, a rule, 2.0 cm² of it lesion." in section.summary
    assert "`unet` is nearest" in section.summary
    assert section.figures[0].file == "low.png"
    assert [row["method"] for row in section.tables[0].rows] == ["unet", "mfdiff"]


@pytest.mark.parametrize("t1", [False, True])
@pytest.mark.parametrize("pet", [None, lesion(25, 40, 4)])
@pytest.mark.parametrize("t1_only", [None, lesion(40, 20, 4)])
def test_the_words_below_the_figure_name_what_is_in_it_and_nothing_else(t1, pet, t1_only):
    (figure,) = gallery_section(shown(t1=t1, pet=pet, t1_only=t1_only), figure="low.png").figures
    assert ("T1, low dose" in figure.alt) == t1
    assert ("T1, low dose" in figure.caption) == t1
    assert ("profiles through the middle of a lesion" in figure.alt) == (pet is not None)
    assert ("Lesions in PET are outlined" in figure.caption) == (pet is not None)
    assert ("in T1 alone" in figure.caption) == (t1_only is not None)
    if pet is None and t1_only is None:
        assert "lesion" not in (figure.alt + figure.caption).lower()
    assert "2 restored images" in figure.alt


def test_one_method_is_neither_nearest_nor_farthest():
    section = gallery_section(shown(methods=("unet",)), figure="low.png")
    (figure,) = section.figures
    assert "In it `unet` has an NMSE of 0.0001" in section.summary
    assert "farthest" not in section.summary
    assert "1 restored image and" in figure.alt
    assert "and of the restored image." in figure.caption


def test_every_name_of_a_study_gives_an_anchor_of_its_own():
    names = ("low", "low_", "Low", "a-b", "a__b", "a_b", "a.b", "4min", "b", "_")
    places = list(product(names, names))
    sections = [
        gallery_section(replace(shown(), dataset=dataset, setting=setting), figure="low.png")
        for dataset, setting in places
    ]
    assert len({section.id for section in sections}) == len(places)
    assert sections[0].id == "gallery-low_low"


@pytest.mark.parametrize("broken", [("unet",), ("unet", "mfdiff")])
def test_an_image_that_is_no_number_is_told_and_ranks_last(broken):
    restored = {
        name: image * np.nan if name in broken else image for name, image in shown().restored.items()
    }
    found = replace(shown(), restored=restored)
    assert found.profiled[-1] in broken
    section = gallery_section(found, figure="low.png")
    assert section.tables[0].rows[0] == {"method": "unet", "nmse": "nan"}
    assert "nan" not in section.summary


@pytest.mark.parametrize(("count", "t1"), [(1, False), (3, True), (3 * COLUMNS, True)])
def test_the_title_is_within_the_figure(count, t1):
    methods = [f"method{number}" for number in range(count)]
    for rule in (MEDIAN_ERROR, MOST_LESION):
        figure = draw_gallery(replace(shown(methods=methods, t1=t1), rule=rule))
        figure.canvas.draw()
        box = figure._suptitle.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_colour_bars_point_beyond_the_values_that_they_cut():
    figure = draw_gallery(shown())
    bars = {axis.get_xlabel(): axis._colorbar for axis in figure.axes if hasattr(axis, "_colorbar")}
    assert {label: bar.extend for label, bar in bars.items()} == {
        "activity [kBq/ml]": "max",
        "difference to SPET [kBq/ml]": "both",
    }
