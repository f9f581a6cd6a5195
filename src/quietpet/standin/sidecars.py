"""Side-cars of PET and T1: as BIDS wants them, and as the two real data sets have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpet.config.standin import StandinScanSettings
from quietpet.standin.layout import TASKS
from quietpet.units import SECONDS_PER_MINUTE

DAY_S = 86400
BQ_PER_MBQ = 1e6
WRAPPED_EVERY = 3
"""Defects: of every so many participants one has frame times that begin a second before midnight."""

_MODES = {"bolus": "bolus", "infusion": "infusion", "bolus_infusion": "bolus-infusion"}
_ORDINALS = ("1st", "2nd", "3rd", "4th")
_STANDIN = {
    "InstitutionName": "quietpet stand-in (simulated)",
    "Manufacturer": "Siemens (simulated)",
    "ManufacturersModelName": "Biograph_mMR",
    "StationName": "standin",
}


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """What one participant's side-cars tell.

    ``data_source`` is the word of the tables, ``started_s`` the time of day of the injection.
    """

    layout: str
    data_source: str
    administration: str
    infusion_minutes: float
    injected_mbq: float
    started_s: int
    voxel_mm: tuple[float, float, float]

    @property
    def header_dose_bq(self) -> float:
        """The dose typed in at the scanner, to 0.1 MBq."""
        return round(self.injected_mbq, 1) * BQ_PER_MBQ


@dataclass(frozen=True, kw_only=True)
class Run:
    """The frames of one file: number from 0, starts after the injection, lengths, recorded prompts."""

    number: int
    starts_s: Sequence[float]
    durations_s: Sequence[float]
    prompts: Sequence[int]
    shape: tuple[int, int, int]
    affine_ras_mm: np.ndarray


def clock(seconds: float) -> str:
    """hh:mm:ss of a time of day."""
    whole = round(seconds) % DAY_S
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def draw_start_s(rng: np.random.Generator) -> int:
    """A time of day between 09:30 and 15:30 [s]."""
    return int(rng.integers(9 * 3600 + 1800, 15 * 3600 + 1800))


def t1_sidecar(facts: ScanFacts) -> dict[str, Any]:
    """Side-car of the T1 image, acquired during the PET scan."""
    return {
        "Modality": "MR",
        "MagneticFieldStrength": 3,
        **_STANDIN,
        "SimulatedData": facts.data_source,
        "SeriesDescription": "Head_t1_mprage_sag_1_iso",
        "ProtocolName": "Head_t1_mprage_sag_1_iso",
        "AcquisitionTime": f"{clock(facts.started_s + 2)}.210000",
        "MRAcquisitionType": "3D",
        "ScanningSequence": "GR_IR",
        "SequenceVariant": "SP_MP",
        "EchoTime": 0.00234,
        "RepetitionTime": 1.64,
        "InversionTime": 0.9,
        "FlipAngle": 8,
    }


def pet_sidecar(facts: ScanFacts, run: Run, scan: StandinScanSettings) -> dict[str, Any]:
    """A side-car that BIDS accepts (BIDS 1.10, ``rules.sidecars.pet``)."""
    return {
        **_scanner_header(facts, run, scan),
        "TaskName": TASKS[facts.layout],
        "BodyPart": "brain",
        "Units": "Bq/mL",
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "TracerMolecularWeight": 181.26,
        "TracerMolecularWeightUnits": "g/mol",
        "InjectedRadioactivity": round(facts.injected_mbq, 3),
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": "n/a",
        "InjectedMassUnits": "n/a",
        "SpecificRadioactivity": "n/a",
        "SpecificRadioactivityUnits": "n/a",
        "ModeOfAdministration": _MODES[facts.administration],
        **_infusion(facts),
        "TimeZero": clock(facts.started_s),
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": [_plain(start) for start in run.starts_s],
        "FrameDuration": [_plain(seconds) for seconds in run.durations_s],
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "DecayCorrectionFactor": _decay_factors(run, scan),
        "PromptRate": [
            round(counts / seconds, 1)
            for counts, seconds in zip(run.prompts, run.durations_s, strict=True)
        ],
        "ReconMethodName": "OP-OSEM, direct planes",
        "ReconMethodImplementationVersion": "quietpet",
        **_reconstruction(scan),
        "AttenuationCorrection": "true attenuation map of the phantom",
    }


def defective_ds002898(
    facts: ScanFacts, run: Run, scan: StandinScanSettings, *, noted: ScanFacts, ordinal: int, last: bool
) -> dict[str, Any]:
    """A side-car in the old keys of ds002898, with its mistakes.

    The fields that people added are ``noted``, another participant's. ``ordinal`` counts participants:
    some begin a second early, which was taken modulo a day; the ``last`` one writes clock times for
    seconds and single values for lists.
    """
    n_frames = len(run.starts_s)
    early = int(ordinal % WRAPPED_EVERY == 0 and not last)
    starts = [_plain((start - early) % DAY_S) for start in run.starts_s]

    def each(value: float) -> Any:
        return value if last else [value] * n_frames

    def since_zero(seconds: int) -> Any:
        return clock(noted.started_s + seconds) if last else seconds

    infused = noted.administration != "bolus"
    return {
        **_scanner_header(facts, run, scan),
        "BodyPart": "brain",
        "AcquisitionMode": "list mode",
        "AttenuationCorrection": "DIXON Brain HiRes",
        "BloodDiscreteDensity": f"{12 + noted.started_s % 70 / 10:.1f}",
        "DecayCorrectionFactor": each(1.07238),
        "ScatterFraction": each(44.32),
        "FrameDuration": each(_plain(run.durations_s[0])),
        "FrameDurationUnit": "s",
        "FrameTimesStart": starts,
        "FrameTimesStartUnit": "s",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": since_zero(0),
        "InjectedMass": None,
        "InjectedMassUnit": None,
        "InjectedRadioactivity": f"{noted.injected_mbq:.3f}",
        "InjectedRadioactivityUnit": "MBq",
        "InjectedVolumeUnit": "mL",
        "InjectionStart": since_zero(-early),
        "ModeOfAdministration": "infusion",
        "PharmaceuticalDoseRegimen": "IV infusion",
        "PharmaceuticalDoseTime": [0, round(noted.infusion_minutes) if infused else 0],
        "PharmaceuticalDoseTimeUnit": "s",
        "ReconFilterSize": 4 if last else [4],
        "ReconFilterType": "Gaussian" if last else ["Gaussian"],
        "ReconMethodName": "3D Iterative",
        "ReconMethodParameterLabels": ["subsets", "iterations", "zoom"],
        "ReconMethodParameterUnit": ["none", "none", "none"],
        "ReconMethodParameterValues": [scan.subsets, scan.iterations, 1],
        "ScanStart": since_zero(0),
        "SpecificRadioactivity": None,
        "TimeZero": clock(noted.started_s + early),
        "TracerMolecularWeight": 181.26,
        "TracerMolecularWeightUnit": "g/mol",
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "Unit": "Bq/ml",
    }


def defective_ds003397(
    facts: ScanFacts, run: Run, scan: StandinScanSettings, *, summarised: bool
) -> dict[str, Any]:
    """A side-car as ds003397 has it: the scanner's header, and no key that BIDS wants of PET.

    Frame times are in the series description and, where ``summarised``, in what dcmstack kept.
    """
    described = (
        f"_Bol_Inf_Dataset_{_ordinal(run.number)}_16sec_PRR_AC_Images"
        if facts.administration != "bolus"
        else f"Dynamic_16sec_DataSet_{_ordinal(run.number)}_set_PRR_AC_Images"
    ).replace("16sec", f"{_plain(run.durations_s[0])}sec")
    header = {
        **_scanner_header(facts, run, scan),
        "ProtocolName": described,
        "SeriesDescription": described,
        "SeriesNumber": 40001 + run.number,
        "SoftwareVersions": "syngo_MR_E11",
        "TaskName": "checkerboard",
    }
    if not summarised:
        return header
    return header | {
        "dcmmeta_affine": np.asarray(run.affine_ras_mm).tolist(),
        "dcmmeta_shape": [*run.shape, len(run.starts_s)],
        "dcmmeta_slice_dim": 2,
        "dcmmeta_version": 0.6,
        "global": {
            "const": {
                "ActualFrameDuration": round(1000 * run.durations_s[0]),
                "AttenuationCorrectionMethod": "measured",
                "ConvolutionKernel": f"XYZGAUSSIAN{scan.post_fwhm_mm:.2f}",
                "DecayCorrection": "START",
                "Manufacturer": "SIEMENS (simulated)",
                "Modality": "PT",
                "NumberOfSlices": run.shape[2],
                "NumberOfTimeSlices": len(run.starts_s),
                "ReconstructionMethod": f"OP-OSEM{scan.iterations}i{scan.subsets}s",
                "Units": "BQML",
            }
        },
        "time": {
            "samples": {
                "AcquisitionTime": [
                    f"{clock(facts.started_s + start).replace(':', '')}.000000" for start in run.starts_s
                ]
            }
        },
    }


def _scanner_header(facts: ScanFacts, run: Run, scan: StandinScanSettings) -> dict[str, Any]:
    """What a converter writes from the images themselves: this is always the participant's own."""
    return {
        **_STANDIN,
        "SimulatedData": facts.data_source,
        "Modality": "PT",
        "AcquisitionTime": f"{clock(facts.started_s + run.starts_s[0])}.000000",
        "ImageOrientationPatientDICOM": [1, 0, 0, 0, 1, 0],
        "ImageType": ["ORIGINAL", "PRIMARY", "DYNAMIC", "AC"],
        "ImageVoxelSize": [round(size, 5) for size in facts.voxel_mm],
        "PatientPosition": "HFS",
        "RadionuclideHalfLife": round(scan.half_life_minutes * SECONDS_PER_MINUTE, 6),
        "RadionuclidePositronFraction": 0.97,
        "RadionuclideTotalDose": facts.header_dose_bq,
        "SliceThickness": round(facts.voxel_mm[2], 5),
    }


def _infusion(facts: ScanFacts) -> Mapping[str, Any]:
    """Keys that BIDS wants of an infusion; the rate is that of the paper's data sets (36 ml/h)."""
    if facts.administration == "bolus":
        return {}
    part = 0.5 if facts.administration == "bolus_infusion" else 1.0
    return {
        "InfusionRadioactivity": round(part * facts.injected_mbq, 3),
        "InfusionStart": 0,
        "InfusionSpeed": 0.01,
        "InfusionSpeedUnits": "mL/s",
        "InjectedVolume": round(0.01 * SECONDS_PER_MINUTE * facts.infusion_minutes, 3),
        "InjectionEnd": round(facts.infusion_minutes * SECONDS_PER_MINUTE, 3),
    }


def _reconstruction(scan: StandinScanSettings) -> Mapping[str, Any]:
    return {
        "ReconMethodParameterLabels": ["subsets", "iterations"],
        "ReconMethodParameterUnits": ["none", "none"],
        "ReconMethodParameterValues": [scan.subsets, scan.iterations],
        "ReconFilterType": "Gaussian" if scan.post_fwhm_mm else "none",
        **({"ReconFilterSize": scan.post_fwhm_mm} if scan.post_fwhm_mm else {}),
    }


def _decay_factors(run: Run, scan: StandinScanSettings) -> list[float]:
    """Factor of each frame to the time of the injection: decay before it, and within it."""
    rate = np.log(2.0) / (scan.half_life_minutes * SECONDS_PER_MINUTE)
    starts_s, durations_s = np.array(run.starts_s), np.array(run.durations_s)
    within = rate * durations_s / -np.expm1(-rate * durations_s)
    return [round(factor, 6) for factor in (np.exp(rate * starts_s) * within).tolist()]


def _ordinal(run: int) -> str:
    return _ORDINALS[run] if run < len(_ORDINALS) else f"{run + 1}th"


def _plain(number: float) -> float | int:
    """Whole numbers without a decimal point, as side-cars have them."""
    return int(number) if float(number).is_integer() else round(number, 6)
