"""Text, JSON and CSV: what cannot be read or written is said in one sentence."""

from __future__ import annotations

import pytest

from quietpet.errors import InputError
from quietpet.files.text import read_json, write_csv


def test_missing_and_broken_json(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text('{"a":')
    with pytest.raises(InputError, match="not readable as JSON"):
        read_json(tmp_path / "broken.json")


def test_json_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep\.json: not readable as JSON"):
        read_json(tmp_path / "deep.json")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": [{"a": 1, "a": 2}]}'])
def test_a_key_of_json_that_stands_twice(tmp_path, text):
    (tmp_path / "twice.json").write_text(text)
    with pytest.raises(
        InputError, match=r"twice\.json: the key 'a' stands twice, as 1 and as [12]; keep"
    ):
        read_json(tmp_path / "twice.json")


def test_csv_rows_must_have_exactly_the_columns(tmp_path):
    with pytest.raises(KeyError, match="lacks the columns"):
        write_csv(tmp_path / "a.csv", ["x", "y"], [{"x": 1}])
    with pytest.raises(ValueError, match="not in fieldnames"):
        write_csv(tmp_path / "a.csv", ["x"], [{"x": 1, "z": 2}])
    assert list(tmp_path.iterdir()) == []
