"""Where results came from: code, versions, data by checksum, machine, and the time of each step."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from quietpet.files.sections import Cell, Column, Section, Table, counted
from quietpet.provenance import processor
from quietpet.usage import Usage, usage_of

PART = "How it was made"
_COMMAND = re.compile(r" INFO quietpet (\S+) ")
_NEXT_STEP = re.compile(r" then (\w+) ")


def provenance_section(records: Mapping[Path, Mapping[str, Any]]) -> Section:
    """Code, versions and devices of steps, of the ``records`` of their files; data by checksum."""
    codes = sorted(
        {(str(each["stage"]), str(each["code"]), str(each["device"])) for each in records.values()}
    )
    versions: dict[str, set[str]] = defaultdict(set)
    for each in records.values():
        for name, version in {**each["versions"], "Python": each["python"]}.items():
            versions[name].add(str(version))
    mixed = sorted(name for name, found in versions.items() if len(found) > 1)
    data = {
        name: digest
        for each in records.values()
        for name, digest in each["inputs"].items()
        if "/datasets/" in f"/{name}"
    }
    steps = sorted({f"`{step}`" for step, _, _ in codes})
    made = sorted(str(each["made"]) for each in records.values())
    return Section(
        id="provenance",
        title="Provenance",
        part=PART,
        summary=f"{counted(len(records), 'record')} of {', '.join(steps)}, written {made[0]} "
        f"to {made[-1]}. "
        + (
            f"Different versions of {', '.join(mixed)} made them."
            if mixed
            else "All were made with the same versions."
        ),
        notes=(
            "Every file of the study has such a record: settings in full, checksums of its inputs, "
            "code, versions. The settings of the whole study are its configuration file.",
        ),
        tables=(
            Table(
                caption="Code of the steps that these records are of, and where they ran",
                columns=(
                    Column(key="step", label="Step"),
                    Column(key="code", label="Fingerprint of the code"),
                    Column(key="device", label="Device"),
                ),
                rows=tuple(dict(zip(("step", "code", "device"), each, strict=True)) for each in codes),
            ),
            Table(
                caption="Versions",
                columns=(Column(key="name", label="Package"), Column(key="version", label="Version")),
                rows=tuple(
                    {"name": name, "version": ", ".join(sorted(versions[name]))}
                    for name in sorted(versions)
                ),
            ),
            *(
                [
                    Table(
                        caption="Test data, by checksum",
                        columns=(
                            Column(key="file", label="File"),
                            Column(key="digest", label="SHA-256"),
                        ),
                        rows=tuple({"file": name, "digest": data[name]} for name in sorted(data)),
                    )
                ]
                if data
                else []
            ),
        ),
    )


def times_section(logs: Mapping[Path, Sequence[str]]) -> Section | None:
    """Time, core seconds and memory by kind of job, as their ``logs`` end; None where none says so."""
    jobs: dict[str, list[Usage]] = defaultdict(list)
    for lines in logs.values():
        if used := usage_of(lines):
            jobs[steps_of(lines)].append(used)
    if not jobs:
        return None
    total = sum(each.core_s for used in jobs.values() for each in used)
    (most, _) = max(jobs.items(), key=lambda item: sum(each.core_s for each in item[1]))
    return Section(
        id="times",
        title="Times",
        part=PART,
        summary=f"{counted(sum(map(len, jobs.values())), 'job')} took {total:,.0f} core seconds "
        f"({total / 3600:.2f} core hours) in all, most of them `{most}`.",
        notes=(
            "Of the last run of each job, as its log ends; a job that found files as it would make them "
            "did less.",
        ),
        tables=(
            Table(
                caption="Time by kind of job",
                columns=(
                    Column(key="steps", label="Steps of the job"),
                    Column(key="jobs", label="Jobs"),
                    Column(key="core_s", label="Core seconds", digits=1),
                    Column(key="share", label="Share", unit="%", digits=1),
                    Column(key="longest_s", label="Longest job", unit="s", digits=1),
                    Column(key="mib", label="Largest process", unit="MiB", digits=0),
                ),
                rows=tuple(_times_row(steps, used, total) for steps, used in jobs.items()),
            ),
        ),
    )


def _times_row(steps: str, used: Sequence[Usage], total: float) -> dict[str, Cell]:
    core_s = sum(each.core_s for each in used)
    return {
        "steps": steps,
        "jobs": len(used),
        "core_s": core_s,
        "share": 100 * core_s / total if total else None,
        "longest_s": max(each.wall_s for each in used),
        "mib": max(each.mib for each in used),
    }


def steps_of(log: Iterable[str]) -> str:
    """The steps of the job that wrote a log, from the command that it begins with."""
    for line in log:
        if found := _COMMAND.search(line):
            counts = Counter([found[1], *_NEXT_STEP.findall(line)])
            return ", ".join(counts)
    return "unknown"


def hardware_section(records: Iterable[Mapping[str, Any]]) -> Section:
    """The machine that made this page, and the devices of the steps that ``records`` are of."""
    devices: dict[str, set[str]] = defaultdict(set)
    for each in records:
        devices[str(each["stage"])].add(str(each["device"]))
    found = {
        "Processor": processor(),
        "Cores": str(os.cpu_count()),
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.machine()}",
        **{f"Device of `{step}`": ", ".join(sorted(devices[step])) for step in sorted(devices)},
    }
    return Section(
        id="hardware",
        title="Hardware",
        part=PART,
        summary="The machine that made this page; jobs of a cluster may have run on others.",
        tables=(
            Table(
                caption="Machine",
                columns=(Column(key="what", label="What"), Column(key="value", label="Value")),
                rows=tuple({"what": what, "value": value} for what, value in found.items()),
            ),
        ),
    )
