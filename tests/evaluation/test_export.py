"""Tables as LaTeX, CSV and Excel: structure, escapes, numbers, and what is bold."""

from __future__ import annotations

import csv
import json
import math
import re
import zipfile
from pathlib import Path

import openpyxl
import pytest

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.latex import escaped, latex
from quietpet.evaluation.layouts import file_stem
from quietpet.evaluation.printed import PrintedTable, printed_table, wide_cells, wide_columns
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.workbook import sheets
from quietpet.files.named import Files
from quietpet.files.text import write_csv
from quietpet.files.workbook import Sheet, SheetColumn, write_workbook
from quietpet.jobs.evaluation import ExportJob, TablesJob
from quietpet.stages import export
from quietpet.stages import tables as stage

DOUBT = "identical to A & B_c: 100 % of it"


def row(**changes: object) -> TableRow:
    cells = {
        "table": "1", "dataset": "phantom", "setting": "-", "method": "munet_concat",
        "learning": "external", "iterations": "100", "metric": "psnr_db", "variant": "paper",
        "metric_id": "", "estimate": "single", "mean": 30.125, "std": 1.5, "subject_mean": 30.125,
        "ci_low": 29.5, "ci_high": 30.75, "subject_values": (("04", 30.0), ("05", 30.25), ("06", 30.1)),
        "seed_std": None, "subject_std": None, "training_std": None, "residual_std": None,
        "n_subjects": 3, "n_slices": 30, "n_replicates": 1, "against": "worse than mfdiff", "best": "",
        "spread_to_error": None, "paper_mean": None, "paper_std": None, "paper_difference": None,
        "paper_doubt": "", "protocol": "small", "data_source": "brainweb", "projector": "embedded",
        "registration": "-",
    }  # fmt: skip
    return TableRow(**{**cells, **changes})


PUBLISHED = {"paper_mean": 31.35, "paper_std": 2.59, "paper_difference": -1.225, "paper_doubt": DOUBT}


def table(**changes: object) -> PrintedTable:
    rows = [
        row(method=method, metric=metric, variant=variant, mean=mean, **extra, **changes)
        for method, mean, extra in (
            ("lpet", 21.5, {}),
            ("munet_concat", 30.125, {"best": "best"}),
            ("mfdiff", math.inf, {"std": None, "ci_low": None, "ci_high": None}),
        )
        for variant in ("paper", "quantitative")
        for metric in ("psnr_db", "ssim", "nmse")
    ]
    rows = [
        row(**{**vars(each), **PUBLISHED})
        if (each.method, each.variant, each.metric) == ("munet_concat", "paper", "psnr_db")
        else each
        for each in rows
    ]
    return printed_table("1", "phantoms, all methods", rows)


def floats(text: str) -> list[str]:
    return re.findall(r"\\begin\{table\*\}.*?\\end\{table\*\}", text, flags=re.DOTALL)


def body_lines(block: str) -> list[str]:
    (inside,) = re.findall(r"\\toprule\n(.*)\\bottomrule", block, flags=re.DOTALL)
    return [line for line in inside.splitlines() if line.endswith(r"\\")]


def columns_of(line: str) -> int:
    """Columns of a line of a tabular, spans counted with all of theirs."""
    found = 0
    for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\")):
        span = re.search(r"\\multicolumn\{(\d+)\}", cell)
        found += int(span[1]) if span else 1
    return found


def require_well_formed(text: str) -> None:
    """Braces, environments and dollars are balanced, and every line has as many columns as are named."""
    plain = re.sub(
        r"\\[\\{}$%&#_]", "", "\n".join(line for line in text.splitlines() if line[:1] != "%")
    )
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    assert "#" not in plain
    begun, ended = (re.findall(rf"\\{word}\{{(.*?)\}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    for block in floats(text):
        columns = re.search(r"\\begin\{tabular\}\{([lrc]+)\}", block)[1]
        lines = body_lines(block)
        assert lines
        assert {columns_of(line) for line in lines} == {len(columns)}
        for first, last in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", block):
            assert 1 <= int(first) < int(last) <= len(columns)


def test_latex_is_well_formed_with_and_without_published_values_and_several_estimates() -> None:
    require_well_formed(latex(table(), confidence=0.95))
    several = [
        row(method=method, estimate=estimate, learning=learning, setting=setting)
        for setting in ("low_dose", "16s")
        for method in ("m2diff_nomri", "csrd")
        for learning in ("external", "external_internal")
        for estimate in ("single", "mean_of_2")
    ]
    text = latex(printed_table("6", "learning in stages", several), confidence=0.9)
    require_well_formed(text)
    assert r"Method & Learning & Estimate & PSNR (dB) \\" in text
    assert r"m2diff\_nomri & external\_internal & mean\_of\_2 &" in text
    assert text.count(r"\midrule") == 2
    assert r"low\_dose" in text


def test_cells_are_mean_deviation_interval_and_the_published_value() -> None:
    quantitative, paper = floats(latex(table(), confidence=0.95))
    assert r"lpet & 21.50 $\pm$ 1.50 [29.50, 30.75] &" in quantitative
    assert r"\textbf{30.12} $\pm$ 1.50 [29.50, 30.75] & 31.35 $\pm$ 2.59$^\dagger$" in paper
    assert r"mfdiff & $\infty$ &" in quantitative
    assert r"\multicolumn{2}{c}{PSNR (dB)}" in paper
    assert "published" not in quantitative.replace("published values", "")


def test_only_what_is_shown_to_be_the_best_is_bold_and_the_note_says_which() -> None:
    text = latex(table(), confidence=0.95)
    assert {line.split(" & ")[0] for line in text.splitlines() if r"\textbf" in line} == {
        r"munet\_concat"
    }
    assert "Bold: better than every other row of the setting" in text
    assert "shown over subjects, and over subjects and trainings, each after Holm's correction" in text
    none = printed_table("1", "phantoms", [row(method="lpet"), row()])
    assert r"\textbf" not in latex(none, confidence=0.95)
    assert "Nothing is bold: no row is shown" in latex(none, confidence=0.95)
    few = printed_table("1", "phantoms", [row(n_subjects=2)])
    assert "Nothing is bold: fewer than 3 test subjects" in latex(few, confidence=0.95)


def test_unequal_numbers_of_slices_are_told() -> None:
    even = latex(printed_table("1", "phantoms", [row()]), confidence=0.95)
    uneven = latex(printed_table("1", "phantoms", [row(subject_mean=30.2)]), confidence=0.95)
    note = "Subjects differ in their slices: intervals are about the mean in which each counts once."
    assert (note in even, note in uneven) == (False, True)


def test_doubts_stand_under_the_float_that_prints_the_value() -> None:
    quantitative, paper = floats(latex(table(), confidence=0.95))
    note = r"$\dagger$ Published, munet\_concat: identical to A \& B\_c: 100 \% of it."
    assert note in paper
    assert "dagger" not in quantitative


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("standin-brainweb", "Scans: simulated (stand-ins); nobody was scanned, and no row"),
        ("template", "Phantoms: ICBM152 template, not BrainWeb"),
    ],
)
def test_simulated_scans_and_template_heads_are_told_in_every_export(source: str, words: str) -> None:
    made = printed_table("2", "in vivo, OOD data 1", [row(table="2", data_source=source)])
    assert words in latex(made, confidence=0.95)
    assert any(words in str(value) for sheet in sheets([made], notes=()) for line in sheet.rows
               for value in line)  # fmt: skip
    if source.startswith("standin"):
        assert r"SIMULATED scans, in place of in vivo" in latex(made, confidence=0.95)


def test_every_character_is_printed_as_itself() -> None:
    assert escaped(r"a_b{c}\d 5 % & #1 ~ ^ $x$ <2>") == (
        r"a\_b\{c\}\textbackslash{}d 5 \% \& \#1 \textasciitilde{} \textasciicircum{} \$x\$ "
        r"\textless{}2\textgreater{}"
    )


def test_csv_has_a_row_for_each_method_and_its_numbers(tmp_path: Path) -> None:
    made = table()
    columns = wide_columns(made)
    write_csv(tmp_path / "table1.csv", [each.key for each in columns], wide_cells(made, columns))
    with (tmp_path / "table1.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [each["method"] for each in rows] == ["lpet", "munet_concat", "mfdiff"]
    assert rows[1]["paper_psnr_db_mean"] == "30.125"
    assert rows[1]["paper_psnr_db_paper_mean"] == "31.35"
    assert rows[1]["paper_psnr_db_paper_difference"] == "-1.225"
    assert rows[1]["paper_psnr_db_paper_doubt"] == DOUBT
    assert rows[1]["quantitative_nmse_best"] == "best"
    assert rows[0]["quantitative_nmse_best"] == ""
    assert "quantitative_nmse_paper_mean" not in rows[0], "nothing is published of it"
    assert rows[2]["paper_psnr_db_mean"] == "inf"


def test_sheets_have_numbers_as_numbers_a_frozen_header_and_the_best_in_bold(tmp_path: Path) -> None:
    other = printed_table("alzheimer", "phantoms", [row(table="alzheimer")])
    write_workbook(tmp_path / "t.xlsx", sheets([table(), other], notes=("all of it",)))
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["table1", "table_alzheimer", "notes"]
    page = book["table1"]
    headings = [cell.value for cell in page[1]]
    assert page.freeze_panes == "F2"
    assert headings[:3] == ["dataset", "setting", "method"]
    mean = headings.index("PSNR (dB), paper: mean")
    values = {line[2].value: line[mean] for line in page.iter_rows(min_row=2)}
    assert (values["lpet"].value, values["munet_concat"].value) == (21.5, 30.125)
    assert {values["lpet"].data_type, values["munet_concat"].data_type} == {"n"}
    assert values["lpet"].number_format == "0.00"
    assert (values["lpet"].font.bold, values["munet_concat"].font.bold) == (False, True)
    assert (values["mfdiff"].value, values["mfdiff"].data_type) == ("inf", "s")
    assert page.cell(row=2, column=headings.index("n_subjects") + 1).value == 3
    assert [cell.value for cell in book["notes"][2]] == ["all", "all of it"]


def test_text_is_never_a_formula(tmp_path: Path) -> None:
    sheet = Sheet(name="one", columns=(SheetColumn(heading="=A1"),), rows=(("=1+1",), ("-",), ("07",)))
    write_workbook(tmp_path / "t.xlsx", [sheet])
    page = openpyxl.load_workbook(tmp_path / "t.xlsx")["one"]
    assert [cell.value for (cell,) in page.iter_rows()] == ["=A1", "=1+1", "-", "07"]
    assert {cell.data_type for (cell,) in page.iter_rows()} == {"s"}


def test_a_workbook_holds_no_time_of_day(tmp_path: Path) -> None:
    """The same tables are the same bytes, whenever they are written."""
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(tmp_path / name, sheets([table()], notes=()))
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.xlsx") as packed:
        assert {each.date_time for each in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = packed.read("docProps/core.xml").decode()
    assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z?", core)) == {"1980-01-01T00:00:00Z"}


@pytest.mark.parametrize(("name", "stem"), [("1", "table1"), ("alzheimer", "table_alzheimer")])
def test_files_are_called_after_their_table(name: str, stem: str) -> None:
    assert file_stem(name) == stem


def job() -> TablesJob:
    return TablesJob(
        protocol="tiny", methods={"lpet": "no processing", "unet": "a network"}, trained=("unet",),
        datasets={"phantom": "simulated"}, published_settings=("low",), doses={}, acquisition="none",
        rays=1, reference="unet", evaluation=EvaluationSettings(),
    )  # fmt: skip


def write_scores(path: Path) -> Path:
    lines = []
    for method, gain in (("lpet", 0.0), ("unet", 5.0)):
        for replicate, subject, index in [(r, s, i) for r in "01" for s in "456" for i in "01"]:
            if method == "lpet" and replicate == "1":
                continue
            value = 20 + gain + 0.1 * int(subject) + 0.01 * int(replicate) * gain
            word = "-" if method == "lpet" else "external"
            cells = ["phantom", "low", method, word, replicate, "single", subject, f"{subject}_{index}"]
            for variant in ("paper", "quantitative"):
                for metric in ("psnr_db", "ssim", "nmse"):
                    place = ["0.0", "0.0", "True", metric, variant, str(value), "", "brainweb"]
                    lines.append(
                        dict(zip(SCORE_COLUMNS, [*cells, *place, "embedded", "-"], strict=True))
                    )
    write_csv(path, SCORE_COLUMNS, lines)
    return path


def named(folder: Path, names: dict[str, list[str]]) -> Files:
    return Files({name: [folder / each for each in files] for name, files in names.items()})


def test_each_table_that_is_asked_for_is_printed_and_drawn(tmp_path: Path) -> None:
    scores = Files({"scores": [write_scores(tmp_path / "scores.csv")]})
    names = {
        "csv": ["table1.csv", "table5.csv"], "latex": ["table1.tex"], "figure": ["table1.png"],
        "svg": ["table1.svg"], "provenance": ["export.json"],
    }  # fmt: skip
    export.run(ExportJob(**dict(job())), scores, named(tmp_path, names))
    assert (tmp_path / "table1.png").read_bytes().startswith(b"\x89PNG")
    assert ">unet<" in (tmp_path / "table1.svg").read_text()
    assert json.loads((tmp_path / "export.json").read_text())["stage"] == "export"
    require_well_formed((tmp_path / "table1.tex").read_text())
    assert r"unet & \textbf{" in (tmp_path / "table1.tex").read_text()
    with (tmp_path / "table5.csv").open(newline="") as stream:
        assert [each["method"] for each in csv.DictReader(stream)] == ["unet"]


def test_pairs_and_a_workbook_of_all_tables_are_made_with_them(tmp_path: Path) -> None:
    names = {
        "tables": ["tables.csv"], "readable": ["tables.md"], "paired": ["paired.csv"],
        "paired_section": ["paired.json"], "workbook": ["tables.xlsx"],
    }  # fmt: skip
    scores = Files({"scores": [write_scores(tmp_path / "scores.csv")]})
    stage.run(job(), scores, named(tmp_path, names))
    with (tmp_path / "paired.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(each["method"], each["verdict"]) for each in rows if each["metric"] == "psnr_db"} == {
        ("lpet", "worse")
    }
    assert openpyxl.load_workbook(tmp_path / "tables.xlsx").sheetnames == ["table1", "table5", "notes"]


def test_a_job_that_names_no_reference_compares_with_the_first_network(tmp_path: Path) -> None:
    outputs = {name: [tmp_path / name] for name in ("tables", "readable", "paired")}
    scores = write_scores(tmp_path / "scores.csv")
    unnamed = job().model_copy(update={"reference": ""})
    stage.run(unnamed, Files({"scores": [scores]}), Files(outputs))
    with (tmp_path / "paired").open(newline="") as stream:
        assert {each["compared_with"] for each in csv.DictReader(stream)} == {"unet"}


def test_a_table_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    scores = Files({"scores": [write_scores(tmp_path / "scores.csv")]})
    outputs = named(tmp_path, {"latex": ["table9.tex"]})
    with pytest.raises(InputError, match=r"no table table9; the scores make table1, table5\."):
        export.run(ExportJob(**dict(job())), scores, outputs)
