"""The sections of a study's configuration: types, units, limits and defaults.

Unknown keys are refused everywhere, and so are values outside their physical range. The defaults are
those of the published protocol where it states one; ``config.yaml`` shows and explains them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
SubjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")]
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
ProjectorChoice = Literal["embedded", "sirf", "auto"]
RegistrationChoice = Literal["auto", "spm12", "embedded"]
ScannerModel = Literal["siemens_mmr", "siemens_vision_600", "ge_signa_petmr", "small_test"]


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TissueValues(Section):
    """One value per BrainWeb tissue class."""

    air: NonNegative = 0.0
    csf: NonNegative
    grey_matter: NonNegative
    white_matter: NonNegative
    fat: NonNegative
    muscle: NonNegative
    skin: NonNegative
    skull: NonNegative
    vessels: NonNegative
    around_fat: NonNegative
    dura: NonNegative
    marrow: NonNegative


FB_SEM_ACTIVITY = TissueValues(
    csf=8, grey_matter=96, white_matter=32, fat=8, muscle=8, skin=16,
    skull=8, vessels=8, around_fat=8, dura=8, marrow=8,
)  # fmt: skip
FB_SEM_MU_PER_CM = TissueValues(
    csf=0.0975, grey_matter=0.0975, white_matter=0.0975, fat=0.0975, muscle=0.0975, skin=0.0975,
    skull=0.13, vessels=0.0975, around_fat=0.0975, dura=0.13, marrow=0.13,
)  # fmt: skip
FB_SEM_T1 = TissueValues(
    csf=48, grey_matter=106, white_matter=154, fat=0, muscle=0, skin=92,
    skull=48, vessels=0, around_fat=0, dura=48, marrow=48,
)  # fmt: skip


class LesionSettings(Section):
    """Spherical lesions centred on white matter, drawn independently in PET and in T1."""

    count: int = Field(15, ge=0, le=63, description="lesions per phantom and modality")
    hot_fraction: float = Field(0.6, ge=0, le=1, description="fraction of lesions that are hot")
    radius_offset_mm: Positive = Field(2.0, description="radius = offset + scale * 2**U(0,1) [mm]")
    radius_scale_mm: NonNegative = Field(3.0, description="see radius_offset_mm")
    pet_hot: Positive = Field(1.5, description="hot PET lesion / grey-matter activity")
    pet_cold: NonNegative = Field(0.5, description="cold PET lesion / white-matter activity")
    t1_hot: Positive = Field(1.5, description="hot T1 lesion / white-matter T1 signal")
    t1_cold: NonNegative = Field(0.8, description="cold T1 lesion / grey-matter T1 signal")


class TemplateSettings(Section):
    """The offline phantom: anatomical variation and shells around the ICBM152 template."""

    warp_fwhm_mm: float = Field(
        40.0, ge=10, description="smoothness of the random displacement field [mm]"
    )
    warp_rms_mm: NonNegative = Field(3.0, le=6.0, description="root-mean-square displacement [mm]")
    scale_sd: NonNegative = Field(0.04, le=0.1, description="standard deviation of the axis scales")
    csf_mm: Positive = Field(2.0, description="subarachnoid space outside the brain mask [mm]")
    skull_mm: Positive = Field(6.0, description="skull thickness [mm]")
    scalp_mm: Positive = Field(5.0, description="scalp thickness [mm]")


PhantomSource = Literal["auto", "brainweb", "template"]


class PhantomSettings(Section):
    """Digital head phantoms."""

    source: PhantomSource = Field(
        "auto",
        description="auto: BrainWeb if every subject is cached or can be fetched, else the template",
    )
    cache_dir: str | None = Field(
        None,
        description="existing folder with subject_XX.bin.gz, relative to the folder of the command; "
        "the variable QUIETPET_BRAINWEB overrides it",
    )
    activity: TissueValues = Field(FB_SEM_ACTIVITY, description="relative activity per tissue")
    mu_per_cm: TissueValues = Field(FB_SEM_MU_PER_CM, description="511-keV attenuation [1/cm]")
    t1: TissueValues = Field(FB_SEM_T1, description="T1-weighted signal per tissue [arbitrary]")
    lesions: LesionSettings = LesionSettings()
    template: TemplateSettings = TemplateSettings()


class SliceSettings(Section):
    """Which transaxial slices enter the data set, and how they are augmented."""

    indices: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        tuple(range(65, 85, 2)),
        min_length=1,
        description="slice indices on the scanner's image grid (the mMR's has 127 slices)",
    )
    rotations: int = Field(5, ge=1, description="in-plane rotations per slice; the first is 0")
    max_angle_deg: float = Field(15.0, ge=0, le=180, description="rotations are uniform in +-this [deg]")

    @field_validator("indices")
    @classmethod
    def _distinct(cls, indices: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(indices)) != len(indices):
            raise ValueError(f"slice indices must differ from each other, got {indices}")
        return indices


class SplitSettings(Section):
    """Which subject trains, validates and tests; a subject may serve only once."""

    train: tuple[SubjectId, ...] = Field(min_length=1)
    validation: tuple[SubjectId, ...] = Field(min_length=1)
    test: tuple[SubjectId, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _disjoint(self) -> SplitSettings:
        seen: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            for subject in getattr(self, split):
                if subject in seen:
                    raise ValueError(
                        f"subject {subject!r} is in {seen[subject]!r} and again in {split!r}; "
                        "a subject in two places leaks its anatomy: remove it from one"
                    )
                seen[subject] = split
        return self

    @property
    def subjects(self) -> tuple[str, ...]:
        return (*self.train, *self.validation, *self.test)


class ScannerSettings(Section):
    """The simulated scanner and its system model."""

    model: ScannerModel = Field("siemens_mmr", description="geometry, from quietpet/geometry/scanner.py")
    projector: ProjectorChoice = Field(
        "embedded",
        description="engine of the system model; auto: SIRF if it can be imported, decided once for the "
        "study and written down",
    )
    stir_projector: Literal["ray_tracing", "parallelproj"] = Field(
        "ray_tracing",
        description="with SIRF: STIR's ray-tracing matrix with this many rays, or Parallelproj",
    )
    rays: int = Field(
        1, ge=1, le=64, description="parallel rays averaged over the width of a bin; 1: Siddon's matrix"
    )
    image_pixels: int = Field(
        128,
        ge=32,
        multiple_of=2,
        description="side of the reconstructed square, at most one pixel per bin; it must hold the head",
    )
    gaps: bool = Field(True, description="leave the bins of the block gaps empty, in data and model")
    efficiency_spread: NonNegative = Field(
        1.0, description="bin efficiencies exp(-spread * U(0,1)), known to the model; 0: all equal"
    )


class CalibrationSettings(Section):
    """From an injection to activity and counts: gives images in kBq/ml."""

    grey_matter_suv: Positive = Field(
        description="standardised uptake value of grey matter (tissue of 1 g/ml); the other tissues "
        "follow from phantoms.activity"
    )
    weight_kg: Positive = Field(description="body weight of every subject [kg]")
    sensitivity_cps_per_kbq: Positive = Field(
        description="recorded trues per second and kBq of activity within a slice, for a source on the "
        "axis without attenuation [1/s/kBq]; NEMA sensitivity x 700 mm / axial field of view"
    )


class AcquisitionSettings(Section):
    """What else a scan records, and what its counts stand for.

    Fractions count recorded lines of response that see activity (NEMA NU 2 counts near the phantom).
    """

    scatter_fraction: float = Field(
        0.0, ge=0, lt=1, description="scattered / (trues + scattered) prompts, the same at every dose"
    )
    scatter_fwhm_mm: Positive = Field(
        150.0,
        description="scatter is the attenuated projection blurred along the bins by this FWHM [mm]",
    )
    randoms_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="randoms / prompts at the standard dose and at doses given by counts; at others "
        "they follow the square of the activity",
    )
    randoms_window: int = Field(
        31,
        ge=1,
        description="the model's randoms are delayed coincidences averaged over this many views and "
        "bins, at most as many as there are; 1: as counted",
    )
    half_life_minutes: Positive = Field(
        109.77, description="of the radionuclide [min]; F-18 unless said otherwise"
    )
    calibration: CalibrationSettings | None = Field(
        None, description="none: counts are given, images are in units of phantoms.activity"
    )

    def describe(self) -> str:
        """The acquisition in the words of a methods section."""
        scatter = randoms = ""
        if self.scatter_fraction:
            scatter = f"scatter {100 * self.scatter_fraction:g} % of trues and scatter"
        if self.randoms_fraction:
            randoms = (
                f"randoms {100 * self.randoms_fraction:g} % of prompts at the standard dose, estimated "
                f"from delayed coincidences over {self.randoms_window} views and bins"
            )
        return f"{scatter or 'no scatter'}, {randoms or 'no randoms'}"


class ReconstructionSettings(Section):
    """How the sinograms of one dose level become images."""

    psf_fwhm_mm: NonNegative = Field(
        description="image-space resolution of data and model, FWHM [mm]; thinned data keep that of the "
        "standard dose, and this is the model's alone"
    )
    iterations: int = Field(ge=1, description="OSEM iterations (passes over all views)")
    subsets: int = Field(
        ge=1,
        description="OSEM subsets, at most one per view; need not divide the number of views; 1: MLEM",
    )
    post_fwhm_mm: NonNegative = Field(
        0.0, description="Gaussian filter of the reconstructed images, FWHM [mm]; 0: none"
    )


class ScanSettings(Section):
    """An injection and a scan."""

    injected_mbq: Positive = Field(description="activity at the time of injection [MBq]")
    uptake_minutes: NonNegative = Field(description="from the injection to the start of the scan [min]")
    minutes: Positive = Field(description="length of the scan [min]")


class DoseSettings(ReconstructionSettings):
    """One dose level, given by its counts or by its injection and scan time, and its reconstruction."""

    counts: tuple[Positive, Positive] | None = Field(
        None,
        description="expected prompts, those lost in the gaps between blocks included (the FB-SEM "
        "convention): one number, or the range [low, high] of a uniform draw",
    )
    counts_per: Literal["volume", "slice"] = Field(
        "volume", description="volume: per whole axial field of view, shared equally by its slices"
    )
    scan: ScanSettings | None = Field(
        None, description="in place of counts; needs acquisition.calibration"
    )

    @field_validator(
        "counts", mode="before", json_schema_input_type=Positive | tuple[Positive, Positive] | None
    )
    @classmethod
    def _range(cls, counts: object) -> object:
        single = isinstance(counts, int | float) and not isinstance(counts, bool)
        return (counts, counts) if single else counts

    @field_validator("counts")
    @classmethod
    def _ordered(cls, counts: tuple[float, float] | None) -> tuple[float, float] | None:
        if counts is not None and counts[0] > counts[1]:
            raise ValueError(f"a range of counts is [low, high], got {list(counts)}")
        return counts

    @model_validator(mode="after")
    def _given_in_one_way(self) -> Self:
        ways = self._ways()
        if sum(way is not None for way in ways.values()) != 1:
            raise ValueError(f"a dose is given by exactly one of {', '.join(ways)}")
        if self.counts is None and self.counts_per != "volume":
            raise ValueError(f"counts_per: {self.counts_per} says what counts mean, but there are none")
        return self

    def _ways(self) -> dict[str, object]:
        return {"counts": self.counts, "scan": self.scan}

    def describe(self) -> str:
        """The level in the words of a methods section."""
        algorithm = "MLEM" if self.subsets == 1 else "OSEM"
        subsets = f" of {self.subsets} subsets" if self.subsets > 1 else ""
        post_filter = f", {self.post_fwhm_mm:g} mm Gaussian post-filter" if self.post_fwhm_mm else ""
        return (
            f"{self._amount()}, {self.psf_fwhm_mm:g} mm point spread, {algorithm} "
            f"with {self.iterations} iterations{subsets}{post_filter}"
        )

    def _amount(self) -> str:
        if self.scan is not None:
            return (
                f"{self.scan.injected_mbq:g} MBq injected, scanned for {self.scan.minutes:g} min from "
                f"{self.scan.uptake_minutes:g} min after injection"
            )
        low, high = self.counts
        counts = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{counts} counts per {self.counts_per}"


class ThinningSettings(Section):
    """Which events of the standard dose a thinned level keeps."""

    fraction: float = Field(gt=0, lt=1, description="of the standard dose's scan time or activity")
    fraction_of: Literal["time", "activity"] = Field(
        "time",
        description="time: all prompts with the fraction; activity: randoms with its square",
    )
    realisation: int = Field(
        0,
        ge=0,
        description="levels of one realisation are nested: a lower one's events are among a higher "
        "one's; another number keeps other events",
    )

    def describe(self) -> str:
        """The thinning in the words of a methods section."""
        randoms = self.fraction if self.fraction_of == "time" else self.fraction**2
        return (
            f"{self.fraction:g} of the standard dose's {self.fraction_of}, by thinning its prompts: "
            f"{self.fraction:g} of trues and scatter, {randoms:g} of randoms (realisation "
            f"{self.realisation})"
        )


class LowDoseSettings(DoseSettings):
    """A low-dose level; every one of them gives a data set, networks and table rows."""

    thinned: ThinningSettings | None = Field(
        None,
        description="in place of counts: keep a part of the standard dose's events (binomial thinning) "
        "instead of an independent scan",
    )
    published: bool = Field(
        False, description="this is the level of the published Tables 1 and 5: print their values beside"
    )

    def _ways(self) -> dict[str, object]:
        return {**super()._ways(), "thinned": self.thinned}

    def _amount(self) -> str:
        if self.thinned is None:
            return super()._amount()
        return self.thinned.describe()


class KineticsSettings(Section):
    """Irreversible two-tissue model of FDG in one tissue, and the blood in it."""

    k1: NonNegative = Field(description="from plasma to tissue [ml/min/ml]")
    k2: Positive = Field(description="back to plasma [1/min]")
    k3: NonNegative = Field(description="phosphorylation [1/min]")
    blood_fraction: float = Field(0.05, ge=0, le=1, description="volume of blood / volume of tissue")


class TissueKinetics(Section):
    """Kinetics of each class of tissue.

    Grey matter: Reivich et al., J Cereb Blood Flow Metab 5:179 (1985). White matter: the oval centre
    (K1) and the temporal lobe (k2, k3) of Heiss et al., ibid. 4:212 (1984). CSF and the rest of the head
    follow no publication: they reach a tenth of grey matter an hour after a bolus, as in
    phantoms.activity.
    """

    grey_matter: KineticsSettings = KineticsSettings(k1=0.095, k2=0.125, k3=0.069)
    white_matter: KineticsSettings = KineticsSettings(
        k1=0.0485, k2=0.1198, k3=0.0386, blood_fraction=0.03
    )
    csf: KineticsSettings = KineticsSettings(k1=0.006, k2=0.01, k3=0.0, blood_fraction=0.0)
    other: KineticsSettings = KineticsSettings(k1=0.02, k2=0.08, k3=0.002, blood_fraction=0.03)
    blood: KineticsSettings = KineticsSettings(k1=0.0, k2=1.0, k3=0.0, blood_fraction=1.0)


class StandinScanSettings(Section):
    """How every participant of the simulated in-vivo data sets is scanned."""

    frames: int = Field(113, ge=1, description="PET frames; 113 of 16 s hold a window of 30 min")
    frame_seconds: Positive = Field(16.0, description="length of a frame [s]")
    first_frame_minutes: NonNegative = Field(
        30.0, description="from the start of injection and scan to the first frame that is kept [min]"
    )
    frames_per_run: int | None = Field(
        None, ge=1, description="frames of one file, which BIDS calls a run; none: all in one"
    )
    weight_kg: Positive = Field(70.0, description="body weight of every participant [kg]")
    plasma_suv: Positive = Field(
        1.8, description="standardised uptake value of plasma 60 min after a bolus"
    )
    kinetics: TissueKinetics = TissueKinetics()
    kinetics_cv: float = Field(
        0.1, ge=0, le=0.5, description="coefficient of variation of K1, k2 and k3 between participants"
    )
    half_life_minutes: Positive = Field(109.77, description="of F-18 [min]")
    sensitivity_cps_per_kbq: Positive = Field(
        36.1, description="as in acquisition.calibration [1/s/kBq]"
    )
    scatter_fraction: float = Field(0.2, ge=0, lt=1, description="scattered / (trues + scattered)")
    scatter_fwhm_mm: Positive = Field(150.0, description="as in acquisition [mm]")
    randoms_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="randoms / prompts at 100 MBq in the body; per coincidence they follow the activity",
    )
    psf_fwhm_mm: NonNegative = Field(
        4.3, description="resolution of the scanner, FWHM [mm]; unknown to the reconstruction"
    )
    axial_step: Literal[1, 2] = Field(
        2,
        description="half ring spacings in one slice; 2: one slice per ring, in half the time",
    )
    iterations: int = Field(3, ge=1, description="OSEM iterations")
    subsets: int = Field(21, ge=1, description="OSEM subsets")
    post_fwhm_mm: NonNegative = Field(5.0, description="Gaussian filter in three dimensions, FWHM [mm]")
    t1_voxel_mm: Positive = Field(1.0, description="voxels of the T1 image [mm]")
    t1_shape: tuple[int, int, int] = Field(
        (176, 256, 256), description="voxels of the T1 image to the right, front and top"
    )
    t1_noise: NonNegative = Field(
        0.02, description="standard deviation of either channel of the T1 image / white matter"
    )
    max_rotation_deg: float = Field(
        5.0,
        ge=0,
        le=45,
        description="components of the rotation from T1 to PET are uniform in +-this [deg]",
    )
    max_translation_mm: NonNegative = Field(
        8.0, le=50, description="components of the translation are uniform in +-this [mm]"
    )


class StandinParticipant(Section):
    """One participant of a simulated in-vivo data set."""

    anatomy: SubjectId = Field(description="phantom subject whose head it is")
    administration: Literal["bolus", "infusion", "bolus_infusion"] = Field(
        "infusion", description="bolus_infusion: half of the activity each way"
    )
    injected_mbq: Positive = Field(description="total, decay-corrected to the start of injection [MBq]")


class StandinCohortSettings(Section):
    """One simulated BIDS data set in the manner of a real one."""

    layout: Literal["ds002898", "ds003397"] = Field(
        description="whose file names and side-cars: Monash rsPET-MR or Monash DaCRA fPET-fMRI"
    )
    defects: bool = Field(
        False, description="with the old keys and the mistakes of the real side-cars; else valid BIDS"
    )
    infusion_minutes: Positive = Field(95.0, description="length of an infusion [min]")
    participants: dict[SubjectId, StandinParticipant] = Field(min_length=1)

    def roles(self, splits: SplitSettings) -> dict[str, str]:
        """Split of every anatomy, when ``splits`` names participants of this cohort.

        Raises ValueError for a participant that is not in the cohort, and for an anatomy in two splits.
        """
        roles: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            for name in getattr(splits, split):
                if name not in self.participants:
                    raise ValueError(
                        f"participant {name!r} is not in the cohort; there are "
                        f"{', '.join(self.participants)}"
                    )
                anatomy = self.participants[name].anatomy
                if roles.setdefault(anatomy, split) != split:
                    raise ValueError(
                        f"anatomy {anatomy!r} is in {roles[anatomy]!r} and, as participant {name!r}, in "
                        f"{split!r}; an anatomy in two places leaks: remove it from one"
                    )
        return roles


class StandinSettings(Section):
    """Simulated in-vivo data sets, for want of real ones; called ``standin`` wherever they appear."""

    scan: StandinScanSettings = StandinScanSettings()
    cohorts: dict[Label, StandinCohortSettings] = Field(min_length=1)

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Phantom subjects whose heads are scanned, each once."""
        members = (each for cohort in self.cohorts.values() for each in cohort.participants.values())
        return tuple(dict.fromkeys(member.anatomy for member in members))


class DatasetSettings(Section):
    """How slices are packed."""

    pixels: int = Field(
        192,
        ge=64,
        multiple_of=2,
        description="side of the packed square crop, at most the number of the scanner's bins",
    )


class EmaSettings(Section):
    """Running average of the weights over the steps: what is validated and kept, if there is one."""

    profile: Literal["none", "exponential", "power"] = Field(
        "none",
        description="exponential: constant decay after a start-up; power: weight of step t proportional "
        "to t**gamma, a fixed fraction of the training whatever its length (Karras et al. 2024, EDM2)",
    )
    decay: float = Field(
        0.999, gt=0, lt=1, description="exponential: factor on the average at each step"
    )
    relative_width: float = Field(
        0.1,
        gt=0,
        le=0.25,
        description="power: standard deviation of the profile / length of the training (sigma_rel)",
    )


class TrainingSettings(Section):
    """Optimisation shared by all methods, so that they are compared on the same budget."""

    iterations: int = Field(50_000, ge=1, description="optimiser steps")
    batch_size: int = Field(4, ge=1)
    learning_rate: Positive = Field(1e-4, description="peak learning rate of AdamW")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rate over the iterations; cosine falls to zero"
    )
    warmup_iterations: int = Field(
        0, ge=0, description="steps of a linear rise to the peak learning rate, before the schedule"
    )
    patch_pixels: int | None = Field(
        None, ge=16, multiple_of=16, description="side of the random training patches; none: whole crops"
    )
    flip: bool = Field(False, description="mirror half of the training slices left-right")
    gradient_clip: Positive | None = Field(None, description="largest gradient norm")
    validate_every: int = Field(1000, ge=1, description="iterations between validations and checkpoints")
    ema: EmaSettings = EmaSettings()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true",
        description="mixed: 16-bit arithmetic, float32 weights; 16-mixed (float16) scales the loss",
    )
    channels_last: bool = Field(
        False, description="memory order of the weights: channels innermost; faster on tensor cores"
    )
    compile: bool = Field(
        False, description="torch.compile of the networks: a minute of start for faster long trainings"
    )

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.warmup_iterations >= self.iterations:
            raise ValueError(
                f"warmup_iterations = {self.warmup_iterations} must be fewer than "
                f"iterations = {self.iterations}"
            )
        return self


class InferenceSettings(Section):
    """How trained networks are applied."""

    pixels: int = Field(
        192,
        ge=32,
        multiple_of=16,
        description="side of the central square that is restored; outside is 0",
    )
    batch_size: int = Field(8, ge=1, description="slices restored together; never changes a result")


class EvaluationSettings(Section):
    """Metric conventions and statistics."""

    paper_window_pixels: int = Field(
        132,
        ge=16,
        description="side of the central window of the variant 'paper' (fits the published row)",
    )
    bootstrap_resamples: int = Field(2000, ge=100, description="resamples of subjects for the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="level of the confidence intervals")


class RegistrationSettings(Section):
    """How PET is registered to T1, and when a result is not believed."""

    engine: RegistrationChoice = Field(
        "auto", description="auto: SPM12 where a working one is found, else the embedded engine"
    )
    spm_minutes: Positive = Field(30.0, description="SPM12 is stopped after this time per scan [min]")
    most_rotation_deg: float = Field(
        45.0, gt=0, le=180, description="a scan that is turned by more is refused [degrees]"
    )
    most_offset_mm: Positive = Field(
        50.0,
        description="so is one whose head centres end further apart, wherever the headers put them [mm]",
    )
    least_field_of_view: float = Field(
        0.7, ge=0, le=1, description="and one with less than this part of the head of T1 in PET"
    )


class MethodSettings(Section, ABC):
    """Settings of one restoration method.

    Each ``methods/<kind>/settings.py`` defines a subclass called ``Settings`` with a field
    ``kind: Literal["<kind>"] = "<kind>"``.
    """

    kind: str

    @property
    def samples(self) -> int:
        """Samples per slice; of a stochastic method the first sample and the mean are both scored."""
        return 1

    def for_training(self) -> Self:
        """These settings with all that matters only after training put to one fixed choice.

        Training sees this, so that another sampler or number of samples does not train again.
        """
        return self

    @property
    def trained(self) -> bool:
        """Whether a training seed changes the result, so that replicates make sense."""
        return True

    @property
    def reconstructs(self) -> bool:
        """Whether the method works on sinograms: its batches then come with their measurement."""
        return False

    @property
    def least_views(self) -> int:
        """Views that the scanner must have, at least; a method's subsets hold one or more each."""
        return 1

    @property
    def divisor(self) -> int:
        """The sides of the images that the method takes are multiples of this."""
        return 1

    @property
    def learning(self) -> str:
        """Value of the table column 'learning': what the method was trained on ("-": nothing)."""
        return "external"

    @abstractmethod
    def describe(self) -> str:
        """A few words on what was trained, for the ``protocol`` column of the tables."""
