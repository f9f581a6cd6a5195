"""Jobs that measure slices at each dose and reconstruct them."""

from __future__ import annotations

from typing import Any

from quietpet.config.acquisition import AcquisitionSettings
from quietpet.config.doses import DoseSettings, ReconstructionSettings, ScanSettings, ThinningSettings
from quietpet.config.scanner import ProjectorChoice, ScannerSettings
from quietpet.config.section import Positive, Section
from quietpet.study.root import Study


class EngineJob(Section):
    """Decide which engine computes the projections of a study whose ``scanner.projector`` is auto."""

    projector: ProjectorChoice

    @classmethod
    def of(cls, study: Study) -> EngineJob:
        return cls(projector=study.scanner.projector)


class SimulateJob(Section):
    """Measure one subject's slices at one dose.

    ``standard_scan`` and the activity of ``grey_matter`` define kBq/ml; uncalibrated studies have none.
    """

    study_seed: int
    subject: str
    dose: str
    protocol: DoseSettings
    scanner: ScannerSettings
    acquisition: AcquisitionSettings = AcquisitionSettings()
    standard_scan: ScanSettings | None = None
    grey_matter: Positive | None = None

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> SimulateJob:
        calibrated = study.acquisition.calibration is not None
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            dose=dose,
            protocol=protocol_of(DoseSettings, study.doses.level(dose)),
            scanner=study.scanner,
            acquisition=study.acquisition,
            standard_scan=study.doses.standard.scan,
            grey_matter=study.phantoms.activity.grey_matter if calibrated else None,
        )


class ThinJob(Section):
    """Keep a part of the events of one subject's standard dose."""

    study_seed: int
    subject: str
    dose: str
    thinned: ThinningSettings
    randoms_window: int

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> ThinJob:
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            dose=dose,
            thinned=study.doses.low[dose].thinned,
            randoms_window=study.acquisition.randoms_window,
        )


class CountsJob(Section):
    """List the prompts and noise-equivalent counts of every simulated slice."""

    @classmethod
    def of(cls, study: Study) -> CountsJob:
        return cls()


class ReconstructJob(Section):
    """Reconstruct one subject's sinograms of one dose."""

    subject: str
    dose: str
    protocol: ReconstructionSettings
    scanner: ScannerSettings

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> ReconstructJob:
        protocol = protocol_of(ReconstructionSettings, study.doses.level(dose))
        return cls(subject=subject, dose=dose, protocol=protocol, scanner=study.scanner)


class AcquisitionJob(Section):
    """How the low-dose sinograms of a data set were measured."""

    scanner: ScannerSettings
    protocol: ReconstructionSettings


def protocol_of(kind: type[ReconstructionSettings], level: DoseSettings) -> Any:
    """What ``kind`` holds of a dose level."""
    return kind.model_validate(level.model_dump(include=set(kind.model_fields)))
