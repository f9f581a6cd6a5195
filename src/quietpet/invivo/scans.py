"""What an audit and an import look at: the side-cars and image headers of a BIDS tree, read already."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from quietpet.errors import InputError
from quietpet.files.foreign import Foreign
from quietpet.files.series import ImageHeader
from quietpet.invivo.clock import clock_seconds, day_number
from quietpet.invivo.findings import Finding, Origin
from quietpet.invivo.names import FileName, parsed
from quietpet.invivo.order import in_run_order
from quietpet.invivo.plausible import is_a_dose
from quietpet.invivo.sidecar import normalised, number, numbers

BQ_PER_MBQ = 1e6
MBQ_PER_UNIT = {"MBq": 1.0, "kBq": 1e-3, "GBq": 1e3, "Bq": 1e-6, "mCi": 37.0}

MISSING = "missing"
"""Fault of a description that is not there."""

_ACQUIRED = ("AcquisitionTime", "AcquisitionDateTime")


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image and its side-car: PET or T1.

    ``stem`` is the path in the tree without its extensions, ``file`` that of the image where one lies.
    ``header`` is None where none does, or none that can be read; ``fault`` then says why it cannot.
    ``sidecar_fault`` does so of the side-car. ``not_fetched`` is true where a link lies, and no image.
    ``sidecar`` is what ``sidecar_files`` say together, from the top of the tree downwards, and
    ``told`` which of them said it; ``contradicted`` has the keys on which two of one folder differ.
    ``foreign`` are files that stand for the image in a format that is not read, ``twin`` is a second one
    in a format that is: a fault. ``acq_time`` is when it was acquired by ``scans_table``, the
    scans.tsv of its session, where there is one; ``scans_fault`` says why that cannot be read.
    """

    participant: str
    stem: str
    sidecar: Mapping[str, Any]
    sidecar_files: Sequence[str] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    contradicted: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    foreign: Sequence[Foreign] = ()
    twin: str | None = None
    acq_time: str | None = None
    scans_table: str | None = None
    scans_fault: str | None = None
    file: str | None = None
    header: ImageHeader | None = None
    fault: str | None = None
    sidecar_fault: str | None = None
    not_fetched: bool = False

    @property
    def has_sidecar(self) -> bool:
        return bool(self.sidecar_files)

    def opened(self) -> ImageHeader:
        """The header, for those who cannot do without; InputError where there is none."""
        if self.header is None:
            raise InputError(self.fault or f"{self.file or self.stem}: no image that was opened.")
        return self.header

    @property
    def metadata_files(self) -> list[str]:
        """The files that were read for what is known of the image, but for the image itself."""
        return [*self.sidecar_files, *([self.scans_table] if self.scans_table else [])]

    @property
    def origin(self) -> Origin:
        """Of values in the side-cars: the file of each, or else the one that is nearest to the image."""
        nearest = self.sidecar_files[-1] if self.sidecar_files else self.image_origin.file
        return Origin(participant=self.participant, file=nearest, image=self.stem, told=self.told)

    @property
    def image_origin(self) -> Origin:
        """Of what the image's header says; its side-car or its stand-in where there is no image."""
        others = (*self.sidecar_files[-1:], *(each.file for each in self.foreign))
        file = self.file or next(iter(others), self.stem)
        return Origin(participant=self.participant, file=file, image=self.stem)

    @cached_property
    def name(self) -> FileName:
        return parsed(self.stem.rpartition("/")[2])

    @property
    def entities(self) -> dict[str, str]:
        return dict(self.name.entities)

    @property
    def run(self) -> int | None:
        """The number of the run in the name."""
        return int(self.entities["run"]) if "run" in self.entities else None

    @property
    def series(self) -> tuple[Any, ...]:
        """What the runs of one scan have in common: all of their names but the number of the run."""
        others = {name: value for name, value in self.entities.items() if name != "run"}
        folder = self.stem.rpartition("/")[0]
        return folder, tuple(sorted(others.items())), "run" in self.entities, self.name.odd

    @property
    def kind(self) -> frozenset[tuple[str, str]]:
        """Session, tracer, reconstruction and so on: what the same scan of others has in its name."""
        others = ((name, value) for name, value in self.entities.items() if name not in ("sub", "run"))
        return frozenset(others)

    @property
    def is_there(self) -> bool:
        """Whether a file lies where the image should, whatever is in it."""
        return self.file is not None and not self.not_fetched

    @cached_property
    def _normalised(self) -> tuple[dict[str, Any], list[Finding]]:
        return normalised(self.sidecar, self.origin)

    @property
    def values(self) -> dict[str, Any]:
        """The side-car under today's names; see :mod:`quietpet.invivo.sidecar`."""
        return self._normalised[0]

    @property
    def repairs(self) -> list[Finding]:
        return self._normalised[1]

    @cached_property
    def dicom(self) -> Mapping[str, Any]:
        """DICOM attributes that are the same in every frame, as dcmstack keeps them beside an image."""
        return _mapping(_mapping(self.sidecar.get("global")).get("const"))

    @cached_property
    def dicom_by_frame(self) -> Mapping[str, Any]:
        """DICOM attributes that differ from frame to frame, a list each."""
        return _mapping(_mapping(self.sidecar.get("time")).get("samples"))

    @property
    def n_frames(self) -> int | None:
        """Frames of the image itself, or of dcmstack's record of it; None where neither is there."""
        if self.header is not None:
            return self.header.n_frames
        shape = numbers(self.sidecar, "dcmmeta_shape")
        return int(shape[3]) if shape and len(shape) == 4 else None

    @property
    def acquired_clock_s(self) -> float | None:
        """When the scanner began, by its own DICOM header [s after midnight]."""
        clocks = (clock_seconds(self.sidecar.get(key)) for key in _ACQUIRED)
        return next((clock for clock in clocks if clock is not None), None)

    @property
    def acquired_day(self) -> int | None:
        """The date of :attr:`acquired_clock_s`, counted in days; None where none is told."""
        days = (day_number(self.sidecar.get(key)) for key in (*_ACQUIRED, "AcquisitionDate"))
        return next((day for day in days if day is not None), None)

    @property
    def listed_clock_s(self) -> float | None:
        """Time of day of ``acq_time`` [s after midnight]: right between runs, if shifted for privacy."""
        return clock_seconds(self.acq_time)

    @property
    def listed_day(self) -> int | None:
        """Date of ``acq_time``, counted in days, which BIDS lets people shift."""
        return day_number(self.acq_time)

    @property
    def scan_day(self) -> int | None:
        """The day on which the scan began, which need not be that of its later runs."""
        days = (day_number(self.sidecar.get(key)) for key in ("ScanDate", "SeriesDate"))
        return next((day for day in days if day is not None), None)

    @property
    def series_clock_s(self) -> float | None:
        """DICOM's SeriesTime, beside the image or in dcmstack's record [s after midnight]."""
        told = self.sidecar.get("SeriesTime")
        return clock_seconds(self.dicom.get("SeriesTime") if told is None else told)

    @property
    def time_zero_clock_s(self) -> float | None:
        return clock_seconds(self.sidecar.get("TimeZero"))

    @property
    def header_dose_mbq(self) -> float | None:
        """Injected activity that was typed in at the scanner [MBq]; None for one that no person gets."""
        return _credible(self.stated_header_dose_mbq)

    @property
    def stated_header_dose_mbq(self) -> float | None:
        """DICOM's RadionuclideTotalDose as it stands [MBq]."""
        dose_bq = number(self.values, "RadionuclideTotalDose")
        return None if dose_bq is None else dose_bq / BQ_PER_MBQ

    @property
    def sidecar_dose_mbq(self) -> float | None:
        """The dose that people noted [MBq]; None for one that no person gets."""
        return _credible(self.stated_sidecar_dose_mbq)

    @property
    def stated_sidecar_dose_mbq(self) -> float | None:
        """``InjectedRadioactivity`` as it stands [MBq], where its unit says how to read it."""
        dose = number(self.values, "InjectedRadioactivity")
        factor = MBQ_PER_UNIT.get(str(self.values.get("InjectedRadioactivityUnits")))
        return None if dose is None or factor is None else dose * factor


def repeated_runs(images: Sequence[Image]) -> Iterator[tuple[Image, Image]]:
    """Images of one number of the run: the first, and each other."""
    first: dict[int, Image] = {}
    for image in images:
        if image.run is not None and first.setdefault(image.run, image) is not image:
            yield first[image.run], image


def t1_candidates(t1: Sequence[Image], pet: Image) -> Sequence[Image]:
    """T1 images for ``pet``: those that are there, of its session; of any where it has none of its own.

    Where none is there, side-cars stand for their images.
    """
    there = [image for image in t1 if image.is_there] or t1
    own = [image for image in there if image.entities.get("ses") == pet.entities.get("ses")]
    return own or there


def _credible(dose_mbq: float | None) -> float | None:
    return dose_mbq if dose_mbq is not None and is_a_dose(dose_mbq) else None


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of BIDS: columns, rows, and in words what is wrong with how it is written."""

    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, str]] = ()
    faults: Sequence[str] = ()

    def of(self, label: str) -> list[Mapping[str, str]]:
        """The rows of one participant, which may have one for each session."""
        return [row for row in self.rows if _with_prefix("sub-", row.get("participant_id")) == label]

    @property
    def listed(self) -> list[str]:
        """Participants, each as its folder is called."""
        names = (_with_prefix("sub-", row.get("participant_id")) for row in self.rows)
        return list(dict.fromkeys(name for name in names if name))


def _with_prefix(prefix: str, label: str | None) -> str:
    return f"{prefix}{label.removeprefix(prefix)}" if label else ""


@dataclass(frozen=True, kw_only=True)
class Participant:
    """One participant's PET images in the order of their runs, T1 images, and rows of the table."""

    label: str
    pet: Sequence[Image]
    t1: Sequence[Image]
    rows: Sequence[Mapping[str, str]] = ()

    def rows_of(self, image: Image) -> list[Mapping[str, str]]:
        """The rows that are about the session of ``image``: those that name it, or no session at all."""
        session = _with_prefix("ses-", image.entities.get("ses"))
        told = [(_with_prefix("ses-", row.get("session_id")), row) for row in self.rows]
        own = [row for named, row in told if named == session]
        return own or [row for named, row in told if not named or not session]

    def row_of(self, image: Image) -> dict[str, str]:
        """What the table says of the session of ``image``, without what two of its rows contradict."""
        rows = self.rows_of(image)
        columns = dict.fromkeys(column for row in rows for column in row)
        values = {column: {row[column] for row in rows if column in row} for column in columns}
        return {column: found.pop() for column, found in values.items() if len(found) == 1}

    @cached_property
    def series(self) -> list[list[Image]]:
        """PET images that differ in their run alone, together, in the order of acquisition."""
        found: dict[tuple[Any, ...], list[Image]] = {}
        for image in self.pet:
            found.setdefault(image.series, []).append(image)
        return [in_run_order(runs) for runs in found.values()]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A BIDS tree, its images represented by their headers.

    ``description`` is that of ``dataset_description.json``, empty where there is none, or where
    ``description_fault`` says why it cannot be read.
    """

    description: Mapping[str, Any]
    participants: Sequence[Participant]
    table: Table = Table()
    ignored: Sequence[str] = ()
    description_fault: str | None = None

    @property
    def pet(self) -> list[Image]:
        return [image for participant in self.participants for image in participant.pet]

    def of(self, label: str) -> Participant:
        return next(each for each in self.participants if each.label == label)

    @cached_property
    def by_scan(self) -> list[Dataset]:
        """The data set taken apart: of every participant the runs of one session, tracer and so on."""
        kinds = dict.fromkeys(image.kind for image in self.pet)
        parts = []
        for kind in kinds:
            of_kind = (
                replace(each, pet=[image for image in each.pet if image.kind == kind])
                for each in self.participants
            )
            parts.append(replace(self, participants=[each for each in of_kind if each.pet]))
        return parts

    @property
    def has_images(self) -> bool:
        """Whether any image lies in the tree, readable or not; metadata alone can be audited too."""
        images = [image for each in self.participants for image in (*each.pet, *each.t1)]
        return any(image.header or image.fault or image.foreign for image in images)


_MODES = {
    "bolus": ("b", "bolus"),
    "infusion": ("i", "infusion", "constant infusion"),
    "bolus_infusion": ("bi", "b/i", "bolus infusion", "bolus+infusion", "hybrid"),
}
_MODE_COLUMNS = ("group", "administration", "mode_of_administration", "protocol")


def administration(text: str | None) -> str | None:
    """``bolus``, ``infusion`` or ``bolus_infusion``, however it is spelled; None for other words."""
    if not isinstance(text, str):
        return None
    word = re.sub(r"[\s_-]+", " ", text.strip().lower())
    return next((mode for mode, words in _MODES.items() if word in words), None)


def group_administration(row: Mapping[str, str]) -> tuple[str, str] | None:
    """Column and mode of administration that a row of participants.tsv states, if one does."""
    for column in _MODE_COLUMNS:
        if mode := administration(row.get(column)):
            return column, mode
    return None
