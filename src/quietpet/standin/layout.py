"""Names and top-level files of a stand-in data set, in the manner of one of the two real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quietpet import __version__
from quietpet.config.standin import StandinCohortSettings, StandinScanSettings
from quietpet.standin.schedule import in_words

TASKS = {"ds002898": "rest", "ds003397": "checkerboard"}
MODELLED_ON = {"ds002898": "Monash rsPET-MR", "ds003397": "Monash DaCRA fPET-fMRI"}
GROUPS = {"bolus": "B", "infusion": "I", "bolus_infusion": "BI"}
"""Words of ds003397's column ``group``."""

BIDS_VERSION = "1.10.0"
OLD_BIDS_VERSIONS = {"ds002898": "1.3.0", "ds003397": "1.0.1"}
"""Those of the real data sets, older than PET in BIDS."""


@dataclass(frozen=True, kw_only=True)
class ParticipantFiles:
    """Paths below the root of the data set: the PET runs, the T1 image, and a side-car of each."""

    pet: tuple[str, ...]
    t1: str

    @property
    def pet_sidecars(self) -> tuple[str, ...]:
        return tuple(map(sidecar_of, self.pet))

    @property
    def t1_sidecar(self) -> str:
        return sidecar_of(self.t1)


def sidecar_of(image: str) -> str:
    """Path of an image's JSON."""
    return image.removesuffix(".nii.gz") + ".json"


def runs_of(scan: StandinScanSettings) -> list[range]:
    """The frames of each file."""
    n_frames = scan.n_frames
    length = scan.frames_per_run or n_frames
    return [range(first, min(first + length, n_frames)) for first in range(0, n_frames, length)]


def participant_files(layout: str, participant: str, *, runs: int) -> ParticipantFiles:
    """Where the files of ``sub-<participant>`` lie.

    The runs of ds002898 are numbered only if there are several: the real ones are one each.
    """
    stem, folder = f"sub-{participant}", f"sub-{participant}/pet"
    numbered = runs > 1 or layout == "ds003397"
    entities = [f"_run-{run + 1}" if numbered else "" for run in range(runs)]
    of_t1 = "_run-1" if layout == "ds003397" else ""
    return ParticipantFiles(
        pet=tuple(f"{folder}/{stem}_task-{TASKS[layout]}{run}_pet.nii.gz" for run in entities),
        t1=f"{stem}/anat/{stem}{of_t1}_T1w.nii.gz",
    )


def dataset_description(name: str, cohort: StandinCohortSettings) -> dict[str, Any]:
    """``dataset_description.json``."""
    return {
        "Name": f"quietpet stand-in {name!r}: simulated, in the manner of {MODELLED_ON[cohort.layout]}",
        "BIDSVersion": OLD_BIDS_VERSIONS[cohort.layout] if cohort.defects else BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["quietpet (simulation; no participant exists)"],
        "HowToAcknowledge": "Not a measurement: cite the phantoms that it was simulated from.",
        "Keywords": ["standin", "simulation", "PET", "FDG"],
        "GeneratedBy": [{"Name": "quietpet", "Version": __version__, "Description": "standin"}],
    }


def readme(name: str, cohort: StandinCohortSettings, scan: StandinScanSettings) -> str:
    """``README``."""
    mistakes = (
        "Its side-cars repeat the old keys and the mistakes of the real ones on purpose.\n"
        if cohort.defects
        else ""
    )
    return (
        f"quietpet stand-in {name!r}\n\n"
        "This data set is SIMULATED: nobody was scanned (SimulatedData in side-cars: of which heads).\n"
        f"It stands in for {MODELLED_ON[cohort.layout]} (OpenNeuro {cohort.layout}),\n"
        "whose file names it has, so that programs can be run and tested.\n"
        f"{mistakes}\n"
        "Heads are digital phantoms; FDG follows a two-tissue model from a bolus, an infusion of "
        f"{cohort.infusion_minutes:g} min or half of each; {in_words(scan)} from minute "
        f"{scan.first_frame_minutes:g} on were drawn and reconstructed\nas direct planes, "
        f"{'one for each ring' if scan.axial_step == 2 else 'at half the ring spacing'}.\n"
        "PET and T1 differ by a rigid motion, which is kept outside this tree.\n"
    )


def participants_table(cohort: StandinCohortSettings) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of ``participants.tsv``."""
    columns = ["participant_id", *(["group"] if cohort.layout == "ds003397" else []), "anatomy"]
    rows = [
        {
            "participant_id": f"sub-{name}",
            "group": GROUPS[participant.administration],
            "anatomy": participant.anatomy,
        }
        for name, participant in cohort.participants.items()
    ]
    return columns, [{column: row[column] for column in columns} for row in rows]


def participants_sidecar(columns: Sequence[str]) -> Mapping[str, Any]:
    """``participants.json``."""
    known = {
        "participant_id": {"Description": "Identifier of a simulated participant"},
        "group": {
            "Description": "How the tracer was given",
            "Levels": {"B": "bolus", "I": "constant infusion", "BI": "half bolus, half infusion"},
        },
        "anatomy": {"Description": "Phantom subject whose head it is"},
    }
    return {column: known[column] for column in columns}


def ignored(cohort: StandinCohortSettings) -> str:
    """``.bidsignore``: the real data sets hide their PET from validators."""
    return "/sub-*/pet/*\n" if cohort.defects else "# nothing is hidden from validators\n"
