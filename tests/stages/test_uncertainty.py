"""The stage ``uncertainty`` on restored slices whose distribution is known."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from packed import LINEAGE, write_packed

from quietpet.config.uncertainty import UncertaintySettings
from quietpet.errors import InputError
from quietpet.evaluation.spread import LITTLE_SPREAD, spread_to_error
from quietpet.evaluation.uncertainty import UNCERTAINTY_COLUMNS, mean_over_subjects
from quietpet.files.named import Files
from quietpet.files.packed import ReferenceSlices
from quietpet.files.records import read_record, write_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.sections import read_section, render_markdown
from quietpet.jobs.uncertainty import UncertaintyJob
from quietpet.stages import uncertainty

LEVELS = (0.5, 0.8, 0.9)
SLICES = 12
METHODS = ("lpet", "sampler", "narrow", "regression")
SHARES = {"sampler": 1.0, "narrow": 0.2, "regression": 0.0}
"""Of the spread of a true sampler of the posterior."""
SIGMA = 5.0


@pytest.fixture(scope="module")
def test_set(tmp_path_factory) -> Path:
    """Slices of two subjects, each position in two rotations; the standard dose is a draw about 100."""
    path = write_packed(tmp_path_factory.mktemp("packed") / "test.h5", split="test", slices=SLICES)
    with h5py.File(path, "r+") as file:
        file["subject"][...] = ["45"] * (SLICES // 2) + ["46"] * (SLICES // 2)
        file["slice_mm"][...] = np.arange(SLICES) // 2
        rng = np.random.default_rng(0)
        file["standard"][...] = 100.0 + SIGMA * rng.standard_normal(file["standard"].shape)
    return path


def write_restored(
    folder: Path, test: Path, method: str, *, replicate: str = "r0", samples: int = 4, **other
) -> Path:
    """Samples about the mean of the posterior, which spread by their share of its width."""
    reference = read_record(test, ReferenceSlices)
    rng = np.random.default_rng([METHODS.index(method), int(replicate[1:])])
    drawn = 100.0 + SHARES[method] * SIGMA * rng.standard_normal((samples, *reference.standard.shape))
    several = {"mean": drawn.mean(axis=0)}
    several |= {"standard_deviation": drawn.std(axis=0, ddof=1)} if samples > 1 else {}
    record = RestoredSlices(
        dataset="phantom",
        setting=other.get("setting", "low"),
        method=method,
        learning="external",
        replicate=replicate,
        samples=samples,
        lineage=LINEAGE,
        key=reference.key,
        single=drawn[0].astype(np.float32),
        **{name: each.astype(np.float32) for name, each in several.items()},
    )
    path = folder / f"{method}-{replicate}.h5"
    write_record(path, record, provenance={})
    return path


def run(folder: Path, restored: list[Path], test: list[Path]) -> dict[str, Path]:
    names = ("table.csv", "section.json", "figure.png", "figure.svg")
    made = {name: folder / name for name in names}
    outputs = {
        "table": [made["table.csv"]],
        "section": [made["section.json"]],
        "png": [made["figure.png"]],
        "svg": [made["figure.svg"]],
    }
    job = UncertaintyJob(
        methods=METHODS, uncertainty=UncertaintySettings(levels=LEVELS), confidence=0.95
    )
    uncertainty.run(job, Files({"restored": restored, "test": test}), Files(outputs))
    return made


@pytest.fixture(scope="module")
def made(test_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    restored = [
        write_restored(folder, test_set, method, replicate=replicate)
        for method in SHARES
        for replicate in ("r0", "r1")
    ]
    return run(folder, restored, [test_set])


@pytest.fixture(scope="module")
def rows(made):
    with made["table.csv"].open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames or ()) == UNCERTAINTY_COLUMNS
        return list(reader)


def one(rows, method, quantity, *, at="", scope="data_set", **names):
    wanted = {"method": method, "quantity": quantity, "at": at, "scope": scope, **names}
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def value(rows, method, quantity, **names):
    return float(one(rows, method, quantity, **names)["value"])


def test_a_true_sampler_has_the_ratio_1_and_holds_what_it_says(rows):
    assert value(rows, "sampler", "spread_to_error") == pytest.approx(1.0, rel=0.02)
    for level in LEVELS:
        assert value(rows, "sampler", "coverage", at=str(level)) == pytest.approx(level, abs=0.01)
        assert value(rows, "sampler", "conformal_scale", at=str(level)) == pytest.approx(1.0, abs=0.03)


def test_a_regression_has_the_ratio_0_and_no_factor(rows):
    assert value(rows, "regression", "spread_to_error") == 0.0
    assert one(rows, "regression", "spread_to_error")["note"] == LITTLE_SPREAD
    assert value(rows, "regression", "coverage", at="0.9") == 0.0
    assert value(rows, "regression", "relative_ause") == pytest.approx(1.0)
    missing = one(rows, "regression", "conformal_scale", at="0.9")
    assert missing["value"] == ""
    assert missing["note"] == "samples do not differ where they err"
    assert one(rows, "regression", "rank_correlation")["note"] == "no spread"


def test_a_narrow_sampler_is_named_and_mended_by_its_factor(rows):
    assert one(rows, "narrow", "spread_to_error")["note"] == LITTLE_SPREAD
    assert one(rows, "sampler", "spread_to_error")["note"] == ""
    for level in LEVELS:
        at = str(level)
        assert value(rows, "narrow", "coverage", at=at) < level - 0.2
        assert value(rows, "narrow", "conformal_coverage", at=at) == pytest.approx(level, abs=0.01)


def test_positions_promise_what_so_few_of_them_can(rows):
    """Three positions of the other subject, in two rotations: 3 / 4 at most."""
    assert value(rows, "sampler", "promised_coverage", at="0.5") >= 0.5
    missing = one(rows, "sampler", "promised_scale", at="0.8")
    assert missing["value"] == ""
    assert missing["note"] == "3 slice positions of other test subjects, 4 are needed"


def test_the_data_set_is_the_mean_over_subjects_with_its_interval(rows):
    whole = one(rows, "sampler", "coverage", at="0.8")
    means = [
        np.mean(
            [
                value(
                    rows, "sampler", "coverage", at="0.8", scope="subject", subject=subject, replicate=r
                )
                for r in ("r0", "r1")
            ]
        )
        for subject in ("45", "46")
    ]
    assert float(whole["value"]) == pytest.approx(np.mean(means), rel=1e-5)
    # Student's t of one degree of freedom, 12.706.
    reach = 12.7062 * np.std(means, ddof=1) / np.sqrt(2)
    assert float(whole["ci_high"]) - float(whole["value"]) == pytest.approx(reach, rel=0.01)
    assert (whole["n_subjects"], whole["n_replicates"], whole["subject"]) == ("2", "2", "-")


def test_the_spread_of_the_data_set_is_that_of_the_tables(rows, test_set, tmp_path):
    reference = read_record(test_set, ReferenceSlices)
    heads = reference.head > 0
    found = []
    for replicate in ("r0", "r1"):
        restored = read_record(
            write_restored(tmp_path, test_set, "narrow", replicate=replicate), RestoredSlices
        )
        found.append(
            spread_to_error(
                restored.mean[heads],
                restored.standard_deviation[heads],
                reference.standard[heads],
                samples=4,
            )
        )
    assert value(rows, "narrow", "spread_to_error") == pytest.approx(np.mean(found), rel=1e-5)


def test_every_slice_and_subject_has_its_rows(rows):
    of_slices = [row for row in rows if row["scope"] == "slice" and row["method"] == "sampler"]
    assert len({row["key"] for row in of_slices}) == SLICES
    assert {row["quantity"] for row in of_slices} == {
        "spread_to_error", "coverage", "rank_correlation", "ause", "relative_ause",
    }  # fmt: skip
    assert {row["subject"] for row in rows if row["scope"] == "subject"} == {"45", "46"}


def test_the_section_says_whose_samples_spread_little(made):
    section = read_section(made["section.json"])
    assert section.summary.startswith(
        "Of 3 restorations by methods that sample, 2 have samples that spread by less than 0.3 of their "
        "error (in effect a regression, or a sampler that is off): narrow (phantom/low); regression "
        "(phantom/low)."
    )
    page = render_markdown(section)
    assert (
        "| narrow | external | phantom/low | 4 | 0.20 in effect a regression, or a sampler that is off |"
        in page
    )
    assert "3 slice positions of other test subjects, 4 are needed" in page
    assert {table.variant for table in section.tables} == {"", "level 50 %", "level 80 %", "level 90 %"}


def test_the_section_promises_no_more_than_conformal_factors_hold(made):
    """Positions of other subjects are not exchangeable with those of the one that is tried."""
    section = read_section(made["section.json"])
    (note,) = [note for note in section.notes if "conformal risk control" in note]
    assert note.startswith("Such factors are usually found on validation data. These deviate:")
    assert "of a new position of the same subjects; of another subject" in note
    assert "it may hold less" in note
    labels = {column.label for table in section.tables for column in table.columns}
    assert "factor by positions" in labels
    assert not any("promise" in label for label in labels)


@pytest.mark.parametrize(
    "quantity", ["coverage", "conformal_coverage", "promised_coverage", "rank_correlation"]
)
def test_intervals_of_shares_and_correlations_end_where_these_do(quantity):
    """0.99 and 0.95: t of one degree of freedom reaches from 0.72 to 1.22."""
    value, (low, high) = mean_over_subjects(quantity, [0.99, 0.95], confidence=0.95)
    assert (value, low, high) == (pytest.approx(0.97), pytest.approx(0.97 - 12.7062 * 0.02, rel=1e-5), 1)
    value, (low, high) = mean_over_subjects(quantity, [0.01, 0.05], confidence=0.95)
    assert (value, high) == (pytest.approx(0.03), pytest.approx(0.03 + 12.7062 * 0.02, rel=1e-5))
    assert low == pytest.approx(0.03 - 12.7062 * 0.02 if quantity == "rank_correlation" else 0.0)


@pytest.mark.parametrize("quantity", ["remaining_error", "oracle_error"])
def test_what_is_left_of_an_error_is_not_less_than_nothing(quantity):
    _, (low, high) = mean_over_subjects(quantity, [0.1, 1.5], confidence=0.95)
    assert (low, high > 1) == (0.0, True)


@pytest.mark.parametrize(
    "quantity", ["half_width_percent", "conformal_scale", "promised_scale", "ause", "relative_ause"]
)
def test_means_of_scales_and_ratios_are_geometric(quantity):
    """0.3, 0.4 and 1.2, whose t interval starts below 0; t of two degrees of freedom is 4.3027."""
    values = [0.3, 0.4, 1.2]
    mean, (low, high) = mean_over_subjects(quantity, values, confidence=0.95)
    reach = np.exp(4.302653 * np.std(np.log(values), ddof=1) / np.sqrt(3))
    assert mean == pytest.approx((0.3 * 0.4 * 1.2) ** (1 / 3))
    assert (low, high) == pytest.approx((mean / reach, mean * reach), rel=1e-5)
    assert mean_over_subjects(quantity, [0.0, 0.4], confidence=0.95) == (0.0, None)
    assert mean_over_subjects(quantity, [0.4], confidence=0.95) == (pytest.approx(0.4), None)


def test_every_quantity_of_the_table_has_an_interval_within_what_it_can_be(rows):
    kinds = {row["quantity"]: row for row in rows if row["scope"] == "data_set" and row["ci_low"]}
    assert {"coverage", "promised_scale", "relative_ause", "oracle_error"} < set(kinds)
    for row in (row for row in rows if row["scope"] == "data_set" and row["ci_low"]):
        low, high = float(row["ci_low"]), float(row["ci_high"])
        assert low <= float(row["value"]) <= high
        assert low >= (-1.0 if row["quantity"] == "rank_correlation" else 0.0)
        if "coverage" in row["quantity"] or "correlation" in row["quantity"]:
            assert high <= 1.0


def test_figures_are_the_same_when_they_are_drawn_again(made, test_set, tmp_path):
    folder = made["table.csv"].parent
    again = run(tmp_path, sorted(folder.glob("*.h5"), key=_as_written), [test_set])
    for name, path in made.items():
        assert again[name].read_bytes() == path.read_bytes(), name


def _as_written(path):
    method, replicate = path.stem.split("-")
    return list(SHARES).index(method), replicate


def test_one_test_subject_has_no_conformal_factor(test_set, tmp_path):
    alone = tmp_path / "alone.h5"
    alone.write_bytes(test_set.read_bytes())
    with h5py.File(alone, "r+") as file:
        file["subject"][...] = ["45"] * SLICES
    made = run(tmp_path, [write_restored(tmp_path, alone, "sampler")], [alone])
    with made["table.csv"].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = one(rows, "sampler", "conformal_scale", at="0.5")
    assert (missing["value"], missing["note"]) == ("", "no other test subject to find it on")
    assert one(rows, "sampler", "coverage", at="0.5")["ci_low"] == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "holds one sample of each slice, of which no spread is known"),
        ({"setting": "other"}, "is of phantom/other, whose test set is not among the inputs"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(test_set, tmp_path, options, message):
    restored = write_restored(tmp_path, test_set, "sampler", **options)
    with pytest.raises(InputError, match=message):
        run(tmp_path, [restored], [test_set])
    assert not (tmp_path / "table.csv").exists()


def test_an_unknown_method_is_refused(test_set, tmp_path):
    restored = write_restored(tmp_path, test_set, "sampler")
    with h5py.File(restored, "r+") as file:
        file.attrs["method"] = '"other"'
    with pytest.raises(InputError, match="unknown method 'other'"):
        run(tmp_path, [restored], [test_set])


def test_levels_rise():
    with pytest.raises(ValueError, match="levels must rise"):
        UncertaintySettings(levels=(0.9, 0.5))
