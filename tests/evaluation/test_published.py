"""The published values are all there and can be joined."""

from __future__ import annotations

from collections import Counter

import pytest

from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.published import PublishedKey, published_methods, published_values
from quietpet.evaluation.tables import LAYOUTS

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
    for layout in LAYOUTS:
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
    assert values[PublishedKey("1", "phantom", "-", "lpet", "psnr_db")] == (21.13, 2.71)
    assert values[PublishedKey("5", "phantom", "ablation", "mfdiff", "psnr_db")].mean == pytest.approx(
        37.93
    )


def test_methods_keep_the_published_order() -> None:
    assert published_methods("1")[0] == "lpet"
    assert published_methods("1")[-1] == "mfdiff"
    assert set(published_methods("5")) >= {"unet", "munet_concat", "cmunet", "mfdiff"}
