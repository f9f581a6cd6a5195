"""Steps that print: tables, figures and the report."""

from __future__ import annotations

from quietpet.jobs.evaluation import ExportJob, GalleryJob, ReportJob, TablesJob
from quietpet.steps.shared_files import PROVENANCE, SECTION, SVG
from quietpet.steps.step import NamedFile, Step

_TO_TABULATE = (
    NamedFile("scores", "CSV of `score`", several=True),
    NamedFile(
        "rate", "JSON of `learning_rate` of each method that has one", optional=True, several=True
    ),
)

TABLES = Step(
    name="tables",
    job=TablesJob,
    inputs=_TO_TABULATE,
    outputs=(
        NamedFile("tables", "CSV: every row of every table"),
        NamedFile("readable", "Markdown: the tables in common units, with published values"),
        NamedFile("tables_section", "JSON: all tables, for the report", optional=True),
        NamedFile("claim", "JSON: claim and deviations, for the report", optional=True),
        NamedFile(
            "with_without_t1",
            "CSV: each method that uses T1 beside its variant without",
            optional=True,
        ),
        NamedFile("paired", "CSV: each method minus the chosen one, subject by subject", optional=True),
        NamedFile("paired_section", "JSON: what the report shows of `paired`", optional=True),
        NamedFile("workbook", "Excel: a sheet for each table", optional=True),
        PROVENANCE,
    ),
)

# A further table is further files of this step. They are no outputs of `tables`: Snakemake knows
# nothing of a job of whose files some were never made, and would take the tables for up to date.
EXPORT = Step(
    name="export",
    job=ExportJob,
    inputs=_TO_TABULATE,
    outputs=(
        NamedFile(
            "csv",
            "CSV of one table, a row for each method, called table1.csv for Table 1",
            optional=True,
            several=True,
        ),
        NamedFile("latex", "the same in LaTeX, called table1.tex", optional=True, several=True),
        NamedFile("figure", "PNG of one table, called table1.png", optional=True, several=True),
        NamedFile("svg", "SVG of one table, beside its PNG", optional=True, several=True),
        PROVENANCE,
    ),
)

GALLERY = Step(
    name="gallery",
    job=GalleryJob,
    inputs=(
        NamedFile("restored", "HDF5 of `restore` of each method, in the order shown", several=True),
        NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
    ),
    outputs=(
        NamedFile("png", "PNG: one test slice of every method, with errors and profiles"),
        SVG,
        SECTION,
        PROVENANCE,
    ),
)

REPORT = Step(
    name="report",
    job=ReportJob,
    inputs=(
        NamedFile(
            "section",
            "JSON: what a step shows, in the order of the page",
            optional=True,
            several=True,
        ),
        NamedFile(
            "figure", "PNG or SVG that a section names, or both of them", optional=True, several=True
        ),
        NamedFile("training", "CSV of `fit`: losses", optional=True, several=True),
        NamedFile("scan", "JSON of `import_scan` or `import_pair`", optional=True, several=True),
        NamedFile("registration", "JSON of `register`", optional=True, several=True, beside="qc"),
        NamedFile(
            "qc", "PNG of `register`, in the order of `registration`", optional=True, several=True
        ),
        NamedFile(
            "provenance", "JSON: settings, inputs, code and versions", optional=True, several=True
        ),
        NamedFile("citation", "CITATION.cff: how to cite", optional=True),
    ),
    outputs=(NamedFile("report", "HTML: one page that needs no other file"),),
)
