"""Simulated in-vivo data sets: kinetics, scans and cohorts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from quietpet.config.datasets import SPLITS, SplitSettings
from quietpet.config.section import Label, NonNegative, Positive, Section, SubjectId

FrameBlock = tuple[Annotated[int, Field(ge=1)], Positive]
"""Equal frames in a row: how many, and the seconds of each."""


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
    """How every participant of the simulated in-vivo data sets is scanned.

    Counts follow from published numbers, and are not fitted: 13.3 cps/kBq of the mMR for NEMA's 700-mm
    line source (Karlberg et al., EJNMMI Phys 3:5, 2016) are 36.1 in its field of view of 258 mm on
    average, and 1.8 times as many in its middle (three-dimensional acceptance); the head's own
    attenuation; and the uptake of the kinetics: an hour after a bolus a BrainWeb brain has a mean SUV of
    5, which is 12 % of the injected activity (6.9 % on average in MIRD Dose Estimate Report 19, J Nucl
    Med 43:210, 2002).
    """

    frames: tuple[FrameBlock, ...] = Field(
        ((113, 16.0),),
        min_length=1,
        description="PET frames in the order of time, as blocks of [count, seconds of each]. 113 of "
        "16 s, as at the scanner, hold a window of 30 min and any short one in it. Long frames where "
        "no short window lies save time; every window of the study must begin and end with frames",
    )
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
    scatter_fraction: float = Field(
        0.37,
        ge=0,
        lt=1,
        description="scattered / (trues + scattered); that of the mMR for NEMA's 20-cm cylinder "
        "(Karlberg et al., 2016)",
    )
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
    post_fwhm_mm: NonNegative = Field(
        6.4,
        description="Gaussian filter in three dimensions, FWHM [mm]; 4 mm at the scanner (side-cars of "
        "ds002898) and 5 mm after it (section 4.3.1 of the paper) are together sqrt(16 + 25)",
    )
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

    @field_validator("frames", mode="before")
    @classmethod
    def _blocks(cls, frames: object) -> object:
        blocks = frames if isinstance(frames, list | tuple) else ()
        if not blocks or not all(isinstance(each, list | tuple) and len(each) == 2 for each in blocks):
            raise ValueError(
                "wants blocks of [count, seconds of each], such as [[113, 16]] or [[4, 212], [8, 16]], "
                f"got {frames!r}"
            )
        return frames

    @property
    def n_frames(self) -> int:
        return sum(count for count, _ in self.frames)

    @property
    def shortest_frame_s(self) -> float:
        return min(seconds for _, seconds in self.frames)


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
        for split in SPLITS:
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

    @model_validator(mode="after")
    def _defects_of_equal_frames(self) -> Self:
        lengths = {seconds for _, seconds in self.scan.frames}
        for name, cohort in self.cohorts.items():
            if cohort.defects and len(lengths) > 1:
                raise ValueError(
                    f"cohorts.{name}.defects repeats side-cars that tell one duration for all frames, "
                    f"but scan.frames has {', '.join(f'{each:g}' for each in sorted(lengths))} s; write "
                    "frames of one length, such as [[113, 16]], or defects: false"
                )
        return self

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Phantom subjects whose heads are scanned, each once."""
        members = (each for cohort in self.cohorts.values() for each in cohort.participants.values())
        return tuple(dict.fromkeys(member.anatomy for member in members))
