"""Scans: what their side-cars were found to say, and where registration put PET."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quietpet.data_source import is_standin
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table, counted


def scans_section(records: Sequence[Mapping[str, Any]]) -> Section:
    """What was imported, of the records of `import_scan` and `import_pair`."""
    corrected = [record for record in records if record.get("corrections")]
    simulated = [record for record in records if is_standin(str(record.get("data_source", "")))]
    return Section(
        id="scans",
        title="Scans and their audit",
        part="Scans",
        summary=f"{counted(len(records), 'scan')}, {len(simulated)} of them simulated. "
        f"Of {len(corrected)} the side-cars contradicted themselves and were corrected as the table "
        "says.",
        notes=(
            "`quietpet audit FOLDER --html FILE` reports all that contradicts itself in a data set, "
            "with the evidence; what would change a number is refused or corrected at the import.",
        ),
        tables=(
            Table(
                caption="Scans",
                columns=(
                    Column(key="scan", label="Scan"),
                    Column(key="origin", label="Origin"),
                    Column(key="tracer", label="Tracer"),
                    Column(key="dose", label="Dose in the header", unit="MBq", digits=1),
                    Column(key="noted", label="Dose noted elsewhere", unit="MBq", digits=1),
                    Column(key="given", label="Given as"),
                    Column(key="windows", label="Images"),
                    Column(key="corrections", label="Corrections"),
                ),
                rows=tuple(map(_scan_row, records)),
            ),
        ),
    )


def _scan_row(record: Mapping[str, Any]) -> dict[str, Cell]:
    windows = record.get("windows") or {}
    return {
        "scan": f"{record.get('source', '')} {record.get('participant', '')}".strip(),
        "origin": record.get("data_source"),
        "tracer": record.get("tracer"),
        "dose": _number(record.get("header_dose_mbq")),
        "noted": _number(record.get("noted_dose_mbq")),
        "given": record.get("administration"),
        "windows": "; ".join(f"{name}: {_window(each)}" for name, each in windows.items()),
        "corrections": "; ".join(map(_words, record.get("corrections") or [])) or "none",
    }


def _window(window: Any) -> str:
    asked = window.get("asked") if isinstance(window, Mapping) else None
    return str(asked) if asked else "as given"


def _words(correction: Any) -> str:
    if isinstance(correction, Mapping):
        return ", ".join(f"{name} {value}" for name, value in correction.items())
    return str(correction)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def registration_section(records: Sequence[Mapping[str, Any]], figures: Mapping[str, str]) -> Section:
    """Transform and checks of every scan, of the records of `register`; ``figures`` are by its name."""
    engines = sorted({str(record["engine"]) for record in records})
    moved = [float(record["translation_mm"]) for record in records if "translation_mm" in record]
    reach = f"; PET was moved by {min(moved):.1f} to {max(moved):.1f} mm" if moved else ""
    return Section(
        id="registration",
        title="Registration of PET to T1",
        part="Scans",
        summary=f"{counted(len(records), 'scan')}, engine {', '.join(engines)}{reach}. Whether each is "
        "right is seen in the figures: edges of T1 over PET.",
        notes=("The planes show the outline of the face: treat this page like an undefaced image.",)
        if figures
        else (),
        tables=(
            Table(
                caption="Transforms and checks",
                columns=(
                    Column(key="scan", label="Scan"),
                    Column(key="engine", label="Engine"),
                    Column(key="rotation", label="Rotation", unit="degrees", digits=2),
                    Column(key="translation", label="Translation", unit="mm", digits=2),
                    Column(key="before", label="NMI as the headers say", digits=3),
                    Column(key="after", label="NMI registered", digits=3),
                    Column(key="rival", label="NMI of the best rival", digits=3),
                ),
                rows=tuple(map(_registration_row, records)),
            ),
        ),
        figures=tuple(_figure_of(record, figures) for record in records if record["scan"] in figures),
    )


def _registration_row(record: Mapping[str, Any]) -> dict[str, Cell]:
    return {
        "scan": record["scan"],
        "engine": record["engine"],
        "rotation": _number(record.get("rotation_deg")),
        "translation": _number(record.get("translation_mm")),
        "before": _number(record.get("nmi_before")),
        "after": _number(record.get("nmi_after")),
        "rival": _number(record.get("nmi_rival")),
    }


def _figure_of(record: Mapping[str, Any], figures: Mapping[str, str]) -> ShownFigure:
    scan = str(record["scan"])
    return ShownFigure(
        file=figures[scan],
        alt=f"PET of {scan} in three planes with edges of T1 over it, before and after registration.",
        caption=f"{scan}: edges of T1 over PET, as the headers say and registered.",
    )
