"""The published values are all there and can be joined."""

from __future__ import annotations

from collections import Counter

import pytest

from quietpet.evaluation.layouts import PUBLISHED_LAYOUTS
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.published import PublishedKey, published_methods, published_values

# methods x settings of Tables 1 to 7, three metrics each
ROWS = {"1": 8, "2": 14, "3": 14, "4": 21, "5": 6, "6": 6, "7": 4}


def test_every_published_row_has_three_well_formed_values() -> None:
    values = published_values()
    assert len(values) == 219
    assert Counter(key.table for key in values) == {table: 3 * n for table, n in ROWS.items()}
    metrics = {metric.name for metric in METRICS}
    for key, value in values.items():
        assert all(key)
        assert key.metric in metrics
        assert value.std >= 0
        assert 0 < value.mean < (60 if key.metric == "psnr_db" else 1)


def test_table_layouts_speak_of_published_data_sets() -> None:
    published = {(key.table, key.dataset, key.setting) for key in published_values()}
    for layout in PUBLISHED_LAYOUTS:
        settings = {
            setting
            for table, dataset, setting in published
            if table == layout.table and layout.dataset in (None, dataset)
        }
        assert settings
        assert layout.published_setting is None or settings == {layout.published_setting}


def test_known_values() -> None:
    # Printed in Tables 1 and 5 of the paper.
    values = published_values()
    assert values[PublishedKey("1", "phantom", "-", "lpet", "psnr_db")] == (21.13, 2.71, "")
    assert values[PublishedKey("5", "phantom", "ablation", "mfdiff", "psnr_db")].mean == pytest.approx(
        37.93
    )


def test_methods_keep_the_published_order() -> None:
    assert published_methods("1")[0] == "lpet"
    assert published_methods("1")[-1] == "mfdiff"
    assert set(published_methods("5")) >= {"unet", "munet_concat", "cmunet", "mfdiff"}


def test_equal_cells_of_different_experiments_are_doubted() -> None:
    """Two experiments with the same SSIM and NMSE to the last digit, spreads included."""
    rows: dict[tuple, dict] = {}
    for key, value in published_values().items():
        rows.setdefault(key[:4], {})[key.metric] = value
    # Rows that the paper prints again where it means the same experiment.
    repeated = {("1", "mfdiff"), ("2", "mfdiff"), ("2", "csrd"), ("5", "mfdiff"), ("6", "mfdiff")}
    repeated |= {("7", "mfdiff"), ("7", "csrd")}
    for place, row in rows.items():
        alike = [
            other
            for other, values in rows.items()
            if other != place and all(values[name][:2] == row[name][:2] for name in ("ssim", "nmse"))
        ]
        external_on_scans = place == ("6", "ood1", "2min/external", "mfdiff")
        if alike and (external_on_scans or (place[0], place[3]) not in repeated):
            assert all(value.doubt for value in row.values()), place


def test_table_3_and_the_text_about_its_inputs_disagree() -> None:
    values = {key: value for key, value in published_values().items() if key.table == "3"}
    ld, uld = (values[PublishedKey("3", "ood2", name, "lpet", "psnr_db")] for name in ("ld", "uld"))
    assert (ld.mean, uld.mean) == (21.35, 23.74)  # section 4.3.2: 23.74 at 225 MBq, 21.35 at 167 MBq
    assert all("4.3.2" in value.doubt for value in values.values())
    doubted = {key.table for key, value in published_values().items() if value.doubt}
    assert doubted == {"1", "3", "5", "6"}
