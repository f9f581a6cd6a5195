"""``report``: sections of all steps, figures and records of how they were made -> one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from quietpet.errors import InputError, reading, replacing
from quietpet.evaluation.drawing import lay_out, save_svg
from quietpet.files.named import Files
from quietpet.files.origins import read_origin
from quietpet.files.sections import Section, read_section
from quietpet.files.text import read_json, read_text, write_text
from quietpet.jobs.evaluation import ReportJob
from quietpet.reporting.citation import citation_section
from quietpet.reporting.embedding import Embedded, embed_figures, smaller, svg_data
from quietpet.reporting.origin import hardware_section, provenance_section, times_section
from quietpet.reporting.page import Page, render_page
from quietpet.reporting.scans import registration_section, scans_section
from quietpet.reporting.training import FIGURE, draw_curves, read_curve, training_section


def run(job: ReportJob, inputs: Files, outputs: Files) -> None:
    """Read ``section`` and ``figure`` of other steps, and how they were made; write ``report``.

    ``training`` are logs of `fit`, ``scan`` and ``registration`` records of scans, ``qc`` the figures of
    the latter in the same order, ``provenance`` sidecars of tables and weights, ``citation`` a file
    CITATION.cff. Logs of jobs lie in the folder that the job names; those that are there count.
    """
    figures = embed_figures(inputs.any("figure"))
    sections = [
        *map(read_section, inputs.any("section")),
        *_of_scans(inputs, figures),
        *_of_training(job, inputs.any("training"), figures),
        *_of_origin(job, inputs.any("provenance")),
    ]
    if cited := inputs.get("citation"):
        sections.append(_citation(cited))
    page = Page(
        title=job.title,
        facts=job.facts,
        sections=sections,
        figures=figures,
        made=f"Made by quietpet on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Nothing on this page is for "
        "diagnosis.",
    )
    write_text(outputs.one("report"), render_page(page))


def _of_training(
    job: ReportJob, paths: Iterable[Path], figures: dict[str, Embedded]
) -> Iterator[Section]:
    """The training curves, their figure among ``figures``; nothing where nothing learned by gradient."""
    curves = [curve for path in paths if (curve := read_curve(path, methods=job.methods))]
    if not curves:
        return
    drawn = StringIO()
    lay_out(figure := draw_curves(curves))
    save_svg(figure, drawn)
    figures[FIGURE] = svg_data(drawn.getvalue())
    yield training_section(curves)


def _of_scans(inputs: Files, figures: dict[str, Embedded]) -> Iterator[Section]:
    if scans := inputs.any("scan"):
        yield scans_section([_record(path, "participant") for path in scans])
    registrations, drawn = inputs.any("registration"), inputs.any("qc")
    if drawn and len(drawn) != len(registrations):
        raise InputError(
            f"{len(registrations)} inputs are called 'registration', but {len(drawn)} 'qc'; give as "
            "many, in the same order."
        )
    if registrations:
        records = [_record(path, "scan", "engine") for path in registrations]
        names = {str(record["scan"]): f"registration-{record['scan']}.png" for record in records}
        for record, path in zip(records, drawn, strict=False):
            figures[f"registration-{record['scan']}"] = smaller(path)
        yield registration_section(records, names if drawn else {})


def _of_origin(job: ReportJob, paths: Sequence[Path]) -> Iterator[Section]:
    records = {path: read_origin(path) for path in paths}
    if records:
        yield provenance_section(records)
    if times := times_section(_logs(job.logs)):
        yield times
    yield hardware_section(records.values())


def _logs(folder: str) -> dict[Path, list[str]]:
    if not folder:
        return {}
    return {path: read_text(path).splitlines() for path in sorted(Path(folder).rglob("*.log"))}


def _record(path: Path, *names: str) -> Mapping[str, Any]:
    """A JSON object that has these ``names``.

    Raises:
        InputError: it is none, or lacks one.
    """
    value = read_json(path)
    missing = [name for name in names if not isinstance(value, Mapping) or name not in value]
    if missing:
        raise InputError(
            f"{path}: lacks {', '.join(missing)}, which such a record has. {replacing(path)}"
        )
    return dict(value)


def _citation(path: Path) -> Section:
    with reading(path, "not a CITATION.cff", yaml.YAMLError, KeyError, AttributeError, TypeError):
        return citation_section(yaml.safe_load(read_text(path)))
