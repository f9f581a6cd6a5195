"""The stage ``report``: one page of what it is given, and one clear error of what it cannot use."""

from __future__ import annotations

import json

import pytest
from matplotlib.figure import Figure
from report_pages import SVG, require_accessible, section, table

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.sections import ShownFigure, write_section
from quietpet.files.text import write_json
from quietpet.jobs.evaluation import ReportJob
from quietpet.stages import report

ORIGIN = {
    "stage": "score", "code": "abc", "device": "cpu", "python": "3.11", "made": "2026-01-02",
    "versions": {"numpy": "2.0"}, "inputs": {},
}  # fmt: skip


@pytest.fixture
def inputs(tmp_path):
    figure = ShownFigure(file="bars.svg", alt="Bars.", caption="Bars.")
    write_section(tmp_path / "tables.json", section("tables", tables=(table(),), figures=(figure,)))
    (tmp_path / "bars.svg").write_text(SVG)
    log = tmp_path / "phantom/low/unet/r0/training.csv"
    log.parent.mkdir(parents=True)
    log.write_text("step,loss,validation,iterations_per_s\n10,2.0,1.0,5\n")
    write_json(tmp_path / "scan.json", {"source": "own", "participant": "01"})
    write_json(tmp_path / "registration.json", {"scan": "own_sub-01", "engine": "embedded"})
    Figure(figsize=(1, 1)).savefig(tmp_path / "qc.png")
    write_json(tmp_path / "origin.json", ORIGIN)
    (tmp_path / "CITATION.cff").write_text("title: quietpet\nmessage: Cite it.\n")
    names = {
        "section": "tables.json", "figure": "bars.svg", "training": "phantom/low/unet/r0/training.csv",
        "scan": "scan.json", "registration": "registration.json", "qc": "qc.png",
        "provenance": "origin.json", "citation": "CITATION.cff",
    }  # fmt: skip
    (tmp_path / "logs/fit").mkdir(parents=True)
    (tmp_path / "logs/fit/a.log").write_text(
        "x INFO quietpet fit --settings 1\n"
        "x INFO took 1.00 s, 2.00 core s and at most 3 MiB in a process\n"
    )
    return {name: [tmp_path / file] for name, file in names.items()}


def run(folder, inputs, **job):
    target = folder / "report.html"
    settings = ReportJob(title="A study", methods=("unet",), **job)
    report.run(settings, Files(inputs), Files({"report": [target]}))
    return require_accessible(target.read_text())


def test_everything_that_is_given_is_on_the_page(tmp_path, inputs):
    found = run(tmp_path, inputs, facts={"Seed": "1"}, logs=str(tmp_path / "logs"))
    titles = [title.strip() for level in ("h2", "h3") for title in found.texts[level]]
    assert titles == [
        "Tables", "Scans", "How it was made", "Scans and their audit", "Registration of PET to T1",
        "Training curves", "Provenance", "Times", "Hardware", "How to cite",
    ]  # fmt: skip
    kinds = [each["src"].partition(";")[0] for each in found.all("img")]
    assert kinds == ["data:image/svg+xml", "data:image/jpeg", "data:image/svg+xml"]


def test_a_study_of_phantoms_without_networks_has_a_page(tmp_path, inputs):
    found = run(tmp_path, {name: inputs[name] for name in ("section", "figure")})
    assert [title.strip() for title in found.texts["h2"]] == ["Tables", "How it was made"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("section", "{}", r"tables\.json: not a section of the report"),
        ("figure", "<svg>", r"bars\.svg: not an SVG"),
        ("training", "a\n1\n", r"training\.csv: not a log of a training"),
        ("scan", "[]", r"scan\.json: lacks participant"),
        ("registration", '{"scan": "a"}', r"registration\.json: lacks engine"),
        ("qc", "x", r"qc\.png: not an image"),
        ("provenance", '{"stage": "score"}', r"origin\.json: lacks code, versions"),
        ("citation", "a: [", r"CITATION\.cff: not a CITATION\.cff"),
        ("citation", "- a\n", r"CITATION\.cff: not a CITATION\.cff"),
        ("citation", "message: x\n", r"CITATION\.cff: not a CITATION\.cff"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_written(
    tmp_path, inputs, name, text, message
):
    inputs[name][0].write_text(text)
    with pytest.raises(InputError, match=message):
        run(tmp_path, inputs)
    assert not (tmp_path / "report.html").exists()


def test_as_many_figures_of_registration_as_records(tmp_path, inputs):
    with pytest.raises(InputError, match="1 inputs are called 'registration', but 2 'qc'"):
        run(tmp_path, {**inputs, "qc": inputs["qc"] * 2})


def test_a_figure_that_a_section_names_must_be_given(tmp_path, inputs):
    del inputs["figure"]
    with pytest.raises(InputError, match=r"bars\.svg: a section shows this figure"):
        run(tmp_path, inputs)


def test_numbers_that_are_none_are_refused_in_sections_of_others(tmp_path, inputs):
    value = json.loads(inputs["section"][0].read_text())
    value["tables"][0]["rows"][0]["psnr"] = float("nan")
    inputs["section"][0].write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"tables\.json: not a section of the report \(tables\.0"):
        run(tmp_path, inputs)
