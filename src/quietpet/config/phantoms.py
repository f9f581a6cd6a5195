"""Digital head phantoms: their source, tissue values and lesions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quietpet.config.regions import RegionSettings
from quietpet.config.section import NonNegative, Positive, Section

PhantomSource = Literal["auto", "brainweb", "template"]


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


class PhantomSettings(Section):
    """Digital head phantoms."""

    source: PhantomSource = Field(
        "auto",
        description="auto: BrainWeb if every subject is cached or can be fetched, else the template",
    )
    cache_dir: str | None = Field(
        None,
        description="existing folder with subject_XX.bin.gz, relative to this file; "
        "the variable QUIETPET_BRAINWEB overrides it",
    )
    activity: TissueValues = Field(FB_SEM_ACTIVITY, description="relative activity per tissue")
    mu_per_cm: TissueValues = Field(FB_SEM_MU_PER_CM, description="511-keV attenuation [1/cm]")
    t1: TissueValues = Field(FB_SEM_T1, description="T1-weighted signal per tissue [arbitrary]")
    lesions: LesionSettings = LesionSettings()
    regions: RegionSettings | None = Field(
        None, description="brain regions that are numbered in the data; none: no regions"
    )
    template: TemplateSettings = TemplateSettings()
