"""What the report says of trainings, scans, provenance, times and citation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from report_pages import SVG
from safetensors.torch import save_file

from quietpet.errors import InputError
from quietpet.files.origins import read_origin
from quietpet.files.text import write_json
from quietpet.files.weights import Weights, write_weights
from quietpet.reporting.citation import citation_section
from quietpet.reporting.embedding import LARGEST_SVG_BYTES, embed_figures, smaller
from quietpet.reporting.origin import hardware_section, provenance_section, steps_of, times_section
from quietpet.reporting.scans import registration_section, scans_section
from quietpet.reporting.training import draw_curves, read_curve, training_section

METHODS = ("unet", "mfdiff")
LOG = "step,loss,validation,nmse,learning_rate,iterations_per_s\n{}"


def write_png(path, *, inches=(1, 0.5)):
    Figure(figsize=inches).savefig(path, dpi=100)
    return path


def write_log(folder, where, *rows):
    path = folder / where / "training.csv"
    path.parent.mkdir(parents=True)
    path.write_text(LOG.format("".join(f"{','.join(map(str, row))}\n" for row in rows)))
    return path


def test_a_small_svg_is_preferred_and_a_large_one_gives_way(tmp_path):
    write_png(tmp_path / "a.png")
    (tmp_path / "a.svg").write_text(SVG)
    figures = embed_figures([tmp_path / "a.png", tmp_path / "a.svg"])
    assert figures["a"].uri.startswith("data:image/svg+xml;base64,")
    assert (figures["a"].width, figures["a"].height) == (96, 48)  # 72 x 36 points
    (tmp_path / "a.svg").write_text(SVG + " " * LARGEST_SVG_BYTES)
    figures = embed_figures([tmp_path / "a.png", tmp_path / "a.svg"])
    assert figures["a"].uri.startswith("data:image/png;base64,")
    assert (figures["a"].width, figures["a"].height) == (74, 37)  # 100 x 50 pixels of 1/130 inch


def test_figures_that_are_none_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"a\.png: not a PNG"):
        embed_figures([tmp_path / "a.png"])
    (tmp_path / "b.svg").write_text("<svg>")
    with pytest.raises(InputError, match=r"b\.svg: not an SVG"):
        embed_figures([tmp_path / "b.svg"])
    (tmp_path / "c.pdf").write_text("x")
    with pytest.raises(InputError, match=r"c\.pdf: is no figure of a page"):
        embed_figures([tmp_path / "c.pdf"])
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        embed_figures([tmp_path / "none.png"])
    (tmp_path / "x").mkdir()
    one, other = write_png(tmp_path / "d.png"), write_png(tmp_path / "x/d.png")
    with pytest.raises(InputError, match="two figures have one name"):
        embed_figures([one, other])


def test_figures_of_which_there_are_many_are_small(tmp_path):
    path = write_png(tmp_path / "qc.png", inches=(20, 10))
    found = smaller(path)
    assert found.uri.startswith("data:image/jpeg;base64,")
    assert (found.width, found.height) == (800, 400)
    (tmp_path / "bad.png").write_text("x")
    with pytest.raises(InputError, match=r"bad\.png: not an image"):
        smaller(tmp_path / "bad.png")


def test_curves_are_named_by_their_folders_and_drawn(tmp_path):
    paths = [
        write_log(tmp_path, "phantom/low/unet/r0", (10, 4.0, 2.0, "", 0.1, 5), (20, 3.0, 2.5, "", 0, 6)),
        write_log(tmp_path, "ood1/16s/mfdiff/external-internal/r1", (5, 1.0, 0.5, 0.2, 0.1, 2)),
        write_log(tmp_path, "phantom/low/mfdiff/r0"),
    ]
    curves = [read_curve(path, methods=METHODS) for path in paths]
    assert curves[2] is None  # nothing was learned by gradient
    curves = curves[:2]
    assert [(each.method, each.data, each.training) for each in curves] == [
        ("unet", "phantom/low", "r0"), ("mfdiff", "ood1/16s", "external-internal/r1"),
    ]  # fmt: skip
    section = training_section(curves)
    assert section.summary.startswith("2 trainings of 2 networks. Of 1 the last validation loss is")
    assert section.tables[0].rows[0] == {
        "method": "unet", "data": "phantom/low", "training": "r0", "iterations": 20, "loss": 3.0,
        "validation": 2.5, "least": 2.0, "speed": 6.0,
    }  # fmt: skip
    figure = draw_curves(curves)
    drawn = {axis.get_title(): axis for axis in figure.axes if axis.lines}
    assert list(drawn) == ["unet", "mfdiff"]
    np.testing.assert_array_equal(drawn["unet"].lines[0].get_xydata(), [(10, 2.0), (20, 2.5)])


def test_logs_that_are_none_are_refused(tmp_path):
    path = write_log(tmp_path, "phantom/low/other/r0", (1, 1, 1, 1, 1, 1))
    with pytest.raises(InputError, match=r"training\.csv: does not lie in a folder"):
        read_curve(path, methods=METHODS)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"training\.csv: not a log of a training"):
        read_curve(path, methods=METHODS)


def log_of(command, *, core_s):
    return [
        f"2026-01-01 00:00:00,000 INFO quietpet {command} --settings '{{}}' --out a=b",
        "2026-01-01 00:00:09,000 INFO something else",
        f"2026-01-01 INFO took 10.00 s, {core_s:.2f} core s and at most 300 MiB in a process",
    ]


def test_times_are_summed_by_the_steps_of_a_job():
    both = "restore --threads 1 --settings '{}' --in a=b then score"
    logs = {
        Path("a.log"): log_of("fit", core_s=30),
        Path("b.log"): log_of("fit", core_s=10),
        Path("c.log"): log_of(both, core_s=10),
        Path("d.log"): ["it was interrupted"],
    }
    section = times_section(logs)
    assert section.summary == "3 jobs took 50 core seconds (0.01 core hours) in all, most of them `fit`."
    rows = {row["steps"]: row for row in section.tables[0].rows}
    assert rows.keys() == {"fit", "restore, score"}
    assert (rows["fit"]["jobs"], rows["fit"]["core_s"], rows["fit"]["share"]) == (2, 40.0, 80.0)
    assert times_section({Path("d.log"): ["it was interrupted"]}) is None
    assert times_section({Path("a.log"): log_of("fit", core_s=1)}).summary.startswith("1 job took")
    assert steps_of(["nothing"]) == "unknown"


def record(**changed):
    return {
        "stage": "score", "code": "abc", "device": "cpu", "python": "3.11", "made": "2026-01-02",
        "versions": {"numpy": "2.0"}, "inputs": {"results/datasets/a/b/test.h5": "00ff"}, **changed,
    }  # fmt: skip


def test_provenance_tells_code_versions_and_data():
    section = provenance_section({Path("a"): record(), Path("b"): record()})
    assert section.summary.endswith("All were made with the same versions.")
    code, versions, data = section.tables
    assert code.rows == ({"step": "score", "code": "abc", "device": "cpu"},)
    assert {"name": "Python", "version": "3.11"} in versions.rows
    assert data.rows == ({"file": "results/datasets/a/b/test.h5", "digest": "00ff"},)
    other = record(versions={"numpy": "2.1"}, made="2026-01-01")
    section = provenance_section({Path("a"): record(), Path("b"): other})
    assert (
        "2 records of `score`, written 2026-01-01 to 2026-01-02. Different versions of numpy"
        in section.summary
    )


def test_devices_are_told_by_the_step_that_ran_on_them():
    records = [record(), record(stage="fit", device="cuda:0"), record(stage="fit", device="cpu")]
    rows = {row["what"]: row["value"] for row in hardware_section(records).tables[0].rows}
    assert rows["Device of `score`"] == "cpu"
    assert rows["Device of `fit`"] == "cpu, cuda:0"
    assert not any(name.startswith("Device of") for name in _names_of(hardware_section([])))


def _names_of(section):
    return [row["what"] for row in section.tables[0].rows]


def test_records_are_read_from_tables_plans_and_weights(tmp_path):
    write_json(tmp_path / "a.json", record())
    write_json(tmp_path / "plan.json", {"steps": 3, "provenance": record(stage="plan")})
    weights = Weights(settings={}, parameters=1, lineage={}, tensors={"a": torch.zeros(1)})
    write_weights(tmp_path / "a.safetensors", weights, provenance=record(stage="fit", device="cuda:0"))
    found = [read_origin(tmp_path / name) for name in ("a.json", "plan.json", "a.safetensors")]
    assert [each["stage"] for each in found] == ["score", "plan", "fit"]
    assert provenance_section(dict(zip("abc", found, strict=True))).tables[0].rows == (
        {"step": "fit", "code": "abc", "device": "cuda:0"},
        {"step": "plan", "code": "abc", "device": "cpu"},
        {"step": "score", "code": "abc", "device": "cpu"},
    )


def test_weights_and_records_that_say_nothing_of_their_origin_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"a\.safetensors: not a file of weights"):
        read_origin(path)
    for metadata in (
        None,
        {"quietpet": "{}"},
        {"quietpet": "[]"},
        {"quietpet": "{"},
        {"a": "1", "b": "2"},
    ):
        save_file({"a": torch.zeros(1)}, path, metadata=metadata)
        with pytest.raises(InputError, match=r"a\.safetensors: "):
            read_origin(path)
    write_json(tmp_path / "a.json", record(versions=1))
    with pytest.raises(InputError, match=r"a\.json: lacks versions"):
        read_origin(tmp_path / "a.json")


def test_scans_and_their_registration_have_a_row_each():
    scan = {
        "source": "own", "participant": "01", "data_source": "standin-brainweb", "tracer": "FDG",
        "header_dose_mbq": 240.0, "corrections": [{"key": "InjectedRadioactivity"}],
        "windows": {"2min": {"asked": "2 min from 44 min on"}},
    }  # fmt: skip
    section = scans_section([scan, {"source": "own", "participant": "02"}])
    assert section.summary.startswith("2 scans, 1 of them simulated. Of 1 the side-cars contradicted")
    first, second = section.tables[0].rows
    assert (first["scan"], first["dose"]) == ("own 01", 240.0)
    assert first["windows"] == "2min: 2 min from 44 min on"
    assert (first["corrections"], second["corrections"]) == ("key InjectedRadioactivity", "none")
    moved = {"scan": "a", "engine": "embedded", "translation_mm": 2.0, "rotation_deg": 1.0}
    section = registration_section([moved, {"scan": "b", "engine": "none"}], {"a": "registration-a.png"})
    assert "engine embedded, none; PET was moved by 2.0 to 2.0 mm" in section.summary
    assert [figure.file for figure in section.figures] == ["registration-a.png"]


def test_the_citation_names_authors_places_and_years(repository):
    cited = yaml.safe_load((repository / "CITATION.cff").read_text())
    section = citation_section(cited)
    assert section.summary.startswith(cited["message"])
    assert f"version {cited['version']}" in section.summary
    assert len(section.notes) == len(cited["references"])
    (mehranian,) = (note for note in section.notes if note.startswith("Mehranian Abolfazl, Reader"))
    assert "IEEE Transactions on Radiation and Plasma Medical Sciences 5(1):54-64. 2021" in mehranian
    assert "doi:10.1109/TRPMS.2020.3004408" in mehranian
