"""The table of a folder of pairs: who, which dose, in which unit, in which files.

``docs/pairs.md`` tells the layout. Rows are read here, their cells by
:mod:`quietpet.invivo.pair_columns`; :mod:`quietpet.invivo.pair_units` tells what values mean,
:mod:`quietpet.invivo.audit_pairs` what in them contradicts itself.
"""

from __future__ import annotations

import difflib
import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from quietpet.config.invivo import STANDARD
from quietpet.errors import InputError
from quietpet.invivo.findings import DATA_SET, Finding, Origin
from quietpet.invivo.frame_times import GAP_S, FrameTiming
from quietpet.invivo.pair_columns import COLUMNS, DELAYS_MINUTES, NEEDED, NOT_KNOWN
from quietpet.invivo.pairs_table import TABLE
from quietpet.invivo.scans import Table
from quietpet.units import SECONDS_PER_MINUTE

_NEAR_NAME = 0.6

Reference = Literal["start", "injection"]


@dataclass(frozen=True, kw_only=True)
class PairImage:
    """One row: one PET image of a participant, and what is noted of it; None where nothing is.

    Paths are as in the table: relative to its folder, or absolute. ``timing`` is that of the image's
    frames after the injection. ``same_position``: it lies where the standard image lies, in the world of
    their headers.
    """

    participant: str
    dose: str
    unit: str
    pet: str
    t1: str | None = None
    weight_kg: float | None = None
    injected_mbq: float | None = None
    delay_minutes: float | None = None
    radionuclide: str | None = None
    decay_corrected_to: Reference = "start"
    timing: FrameTiming | None = None
    same_position: bool = True
    administration: str | None = None
    simulated_data: str | None = None

    @property
    def origin(self) -> Origin:
        """Of what its row says."""
        return Origin(participant=self.participant, file=TABLE, image=self.dose)

    @property
    def pet_origin(self) -> Origin:
        """Of what its image says."""
        return Origin(participant=self.participant, file=self.pet, image=self.dose)

    @property
    def start_s(self) -> float | None:
        """When the scan began after the injection [s]: delay_minutes, else the first frame."""
        if self.delay_minutes is not None:
            return self.delay_minutes * SECONDS_PER_MINUTE
        return None if self.timing is None else float(self.timing.starts_s[0])

    @property
    def reference_s(self) -> float | None:
        """The time to which it is corrected for decay, after the injection [s]; None where unknown."""
        return 0.0 if self.decay_corrected_to == "injection" else self.start_s


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Rows of a table, and what cannot be read in it."""

    images: Sequence[PairImage]
    findings: Sequence[Finding]

    @property
    def participants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(image.participant for image in self.images))

    def of(self, participant: str) -> list[PairImage]:
        """Its rows, the standard dose first."""
        rows = [image for image in self.images if image.participant == participant]
        return sorted(rows, key=lambda image: image.dose != STANDARD)

    def only(self, participant: str, doses: Collection[str]) -> Pairs:
        """Its rows of these doses, what was found in them, and what concerns more than a row."""
        return Pairs(
            images=[image for image in self.of(participant) if image.dose in doses],
            findings=[
                each
                for each in self.findings
                if each.participant in (participant, DATA_SET) and each.image in ("", *doses)
            ],
        )


def pairs_of(table: Table, *, place: Callable[[str], str] = posixpath.normpath) -> Pairs:
    """The rows of a table. What is wrong with a cell is found, and the cell is then not known.

    T1, which one row of a participant may name for all, stands in each of them. ``place`` takes a path
    of the table to the one place of that file, however it is written.
    """
    findings = [*_table_findings(table)]
    images = []
    if not any(finding.severity == "error" for finding in findings):
        for number, row in enumerate(table.rows, start=1):
            image, found = _row(row, number)
            findings += found
            images += [image] if image else []
        findings += [*_repeated(images, place), *_several_t1(images, place), *_half_simulated(images)]
    t1 = {image.participant: image.t1 for image in reversed(images) if image.t1}
    with_t1 = [replace(image, t1=t1.get(image.participant)) for image in images]
    return Pairs(images=with_t1, findings=findings)


def _table_findings(table: Table) -> Iterator[Finding]:
    origin = Origin(participant=DATA_SET, file=TABLE)
    for fault in table.faults:
        yield origin.finding(
            "pairs-table",
            "error",
            "table",
            value=fault,
            expected="UTF-8 text, tabs between as many cells as there are columns, no quotes",
            evidence="a cell in the wrong column would be read as another value",
        )
    if lacking := [column for column in NEEDED if column not in table.columns]:
        yield origin.finding(
            "pairs-columns",
            "error",
            "columns",
            value=f"without {', '.join(lacking)}",
            expected=", ".join(NEEDED),
            evidence=f"there are {', '.join(map(repr, table.columns)) or 'none'}; cells are separated "
            "by tabs",
        )
    elif not table.rows:
        yield origin.finding(
            "pairs-table",
            "error",
            "rows",
            value="none",
            expected="a row for each image",
            evidence="there is a line of columns alone",
        )
    for column, count in Counter(table.columns).items():
        if column in COLUMNS and count > 1:
            yield origin.finding(
                "pairs-columns",
                "error",
                column,
                value=f"{count} columns of this name",
                expected="one",
                evidence="nothing says which of them is meant",
            )
        elif column not in COLUMNS:
            near = difflib.get_close_matches(column.lower(), COLUMNS, n=1, cutoff=_NEAR_NAME)
            yield origin.finding(
                "pairs-columns",
                "warning" if near else "note",
                column,
                value="no column that is known",
                expected=near[0] if near else "one of those of docs/pairs.md",
                evidence="its cells are not read",
            )


def _row(row: Mapping[str, str], number: int) -> tuple[PairImage | None, list[Finding]]:
    cells = {
        column: "" if cell.lower() in ("", NOT_KNOWN) else cell
        for column, cell in ((column, row.get(column, "").strip()) for column in COLUMNS)
    }
    cells["participant"] = cells["participant"].removeprefix("sub-")
    for column in NEEDED:
        if not cells[column]:
            return None, [_empty(column, cells, number)]
    origin = Origin(participant=cells["participant"], file=TABLE, image=cells["dose"])
    values: dict[str, Any] = {}
    findings = []
    for column, read in COLUMNS.items():
        if not cells[column]:
            continue
        try:
            values[column] = read(cells[column])
        except InputError as error:
            findings.append(
                origin.finding(
                    "pairs-cell",
                    "error",
                    f"{column} ({cells['dose']})",
                    value=repr(cells[column]),
                    expected=str(error),
                    evidence=f"row {number} of the table",
                )
            )
    starts, durations = (values.pop(name, None) for name in ("frame_starts_s", "frame_durations_s"))
    times = cells["frame_starts_s"], cells["frame_durations_s"]
    if any(times) and not findings:
        values["timing"], found = _timing(starts, durations, origin, dose=cells["dose"])
        findings += found
    named = {column: cells[column] for column in NEEDED}
    return PairImage(**{**named, **values}), findings


def _empty(column: str, cells: Mapping[str, str], number: int) -> Finding:
    origin = Origin(participant=cells["participant"] or DATA_SET, file=TABLE)
    return origin.finding(
        "pairs-cell",
        "error",
        f"{column} (row {number})",
        value="empty",
        expected="filled in",
        evidence=f"a row is {', '.join(NEEDED)}, and what else is known",
    )


def _timing(
    starts: list[float] | None, durations: list[float] | None, origin: Origin, *, dose: str
) -> tuple[FrameTiming | None, list[Finding]]:
    """Frame times, or what is wrong with them."""

    def wrong(value: str, expected: str) -> tuple[None, list[Finding]]:
        finding = origin.finding(
            "pairs-frames",
            "error",
            f"frame_starts_s, frame_durations_s ({dose})",
            value=value,
            expected=expected,
            evidence="a window is the mean of its frames, weighted by what decayed in them",
        )
        return None, [finding]

    if starts is None or durations is None:
        return wrong("one of the two alone", "both, a number for each frame")
    if len(starts) != len(durations):
        return wrong(f"{len(starts)} and {len(durations)} numbers", "as many in both")
    timing = FrameTiming(
        starts_s=np.array(starts),
        durations_s=np.array(durations),
        source="frame_starts_s, frame_durations_s",
    )
    low_s, high_s = (SECONDS_PER_MINUTE * minutes for minutes in DELAYS_MINUTES)
    if outside := [start for start in starts if not low_s <= start <= high_s]:
        return wrong(f"a start at {outside[0]:g} s", f"{low_s:g} to {high_s:g} s after the injection")
    if not (timing.durations_s > 0).all():
        return wrong(f"durations from {timing.durations_s.min():g} s on", "durations above 0 s")
    if timing.n_frames > 1 and np.abs(timing.gaps_s).max() > GAP_S:
        frame = int(np.abs(timing.gaps_s).argmax())
        gap = f"{timing.gaps_s[frame]:g} s between frames {frame} and {frame + 1}"
        return wrong(gap, "frames one after the other, without a gap")
    return timing, []


def _repeated(images: Sequence[PairImage], place: Callable[[str], str]) -> Iterator[Finding]:
    """Two rows of one image, and one file as two images."""
    counts = Counter((image.participant, image.dose) for image in images)
    for (participant, dose), count in counts.items():
        if count > 1:
            yield Origin(participant=participant, file=TABLE, image=dose).finding(
                "pairs-rows",
                "error",
                "participant, dose",
                value=f"{participant}, {dose} in {count} rows",
                expected="one row",
                evidence="nothing says which of them is meant; several frames of one image are one file",
            )
    uses: dict[str, dict[tuple[str, str], str]] = {}
    for image in images:
        uses.setdefault(place(image.pet), {})[(image.participant, image.dose)] = image.pet
        if image.t1:
            uses.setdefault(place(image.t1), {})[(image.participant, "t1")] = image.t1
    for of_one in uses.values():
        file = " or ".join(dict.fromkeys(of_one.values()))
        for participant in dict.fromkeys(who for who, _ in of_one) if len(of_one) > 1 else ():
            yield Origin(participant=participant, file=TABLE).finding(
                "pairs-rows",
                "error",
                "files",
                value=f"{file} is {' and '.join(f'{what} of {who}' for who, what in of_one)}",
                expected="a file of its own for each image",
                evidence="a network would learn that they are equal, or be tested on what it learned",
            )


def _several_t1(images: Sequence[PairImage], place: Callable[[str], str]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for image in images:
        if image.t1 and place(first.setdefault(image.participant, image.t1)) != place(image.t1):
            yield image.origin.finding(
                "pairs-rows",
                "error",
                f"t1 ({image.dose})",
                value=image.t1,
                expected=f"{first[image.participant]}, as in another row of {image.participant}",
                evidence="PET images of a participant are registered to one T1",
            )


def _half_simulated(images: Sequence[PairImage]) -> Iterator[Finding]:
    """A participant some of whose rows are said to be simulated, and others not, or otherwise."""
    told: dict[str, dict[str, None]] = {}
    for image in images:
        told.setdefault(image.participant, {})[image.simulated_data or NOT_KNOWN] = None
    for participant, words in told.items():
        if len(words) > 1:
            yield Origin(participant=participant, file=TABLE).finding(
                "pairs-rows",
                "error",
                "simulated_data",
                value=" and ".join(words),
                expected="the same in all rows of a participant",
                evidence="tables say of each participant whether its scans are simulated",
            )
