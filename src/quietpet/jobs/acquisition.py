"""Jobs that measure slices at each dose and reconstruct them."""

from __future__ import annotations

from quietpet.config.acquisition import AcquisitionSettings, CalibrationSettings
from quietpet.config.doses import DoseSettings, ReconstructionSettings, ScanSettings, ThinningSettings
from quietpet.config.scanner import ProjectorChoice, ScannerSettings
from quietpet.config.section import Positive
from quietpet.jobs.job import Job
from quietpet.projection.engines import code_of, osem_code_of


class EngineJob(Job):
    """Decide which engine computes the projections of a study whose ``scanner.projector`` is auto."""

    projector: ProjectorChoice


class SimulateJob(Job):
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

    @property
    def calibration(self) -> tuple[CalibrationSettings, ScanSettings, float]:
        """Calibration, standard scan and activity of grey matter; ValueError in uncalibrated studies."""
        settings = self.acquisition.calibration
        if settings is None or self.standard_scan is None or self.grey_matter is None:
            raise ValueError("this study is not calibrated")
        return settings, self.standard_scan, self.grey_matter

    @property
    def named_code(self) -> tuple[str, ...]:
        return code_of(self.scanner.projector)


class ThinJob(Job):
    """Keep a part of the events of one subject's standard dose."""

    study_seed: int
    subject: str
    dose: str
    thinned: ThinningSettings
    randoms_window: int


class CountsJob(Job):
    """List the prompts and noise-equivalent counts of every simulated slice."""


class ReconstructJob(Job):
    """Reconstruct one subject's sinograms of one dose."""

    subject: str
    dose: str
    protocol: ReconstructionSettings
    scanner: ScannerSettings

    @property
    def named_code(self) -> tuple[str, ...]:
        engine = self.scanner.projector
        return (*code_of(engine), *osem_code_of(engine))


class AcquisitionJob(Job):
    """How the low-dose sinograms of a data set were measured."""

    scanner: ScannerSettings
    protocol: ReconstructionSettings

    @property
    def named_code(self) -> tuple[str, ...]:
        return code_of(self.scanner.projector)
