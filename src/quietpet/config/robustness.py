"""What is made wrong with T1, to see how far methods trust it."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from quietpet.config.section import LABEL, SETTING, Section

OWN: Literal["own"] = "own"
"""T1 as acquired, of the slice itself."""

NONE: Literal["none"] = "none"
"""No T1 at all, for methods that can do without."""

WrongT1 = Literal["none", "shift_2mm", "shift_4mm", "rotate_3deg", "other_subject"]
T1Condition = Literal["own", WrongT1]

WRONG_T1: tuple[WrongT1, ...] = get_args(WrongT1)
T1_CONDITIONS: tuple[T1Condition, ...] = (OWN, *WRONG_T1)

TestSet = Annotated[str, Field(pattern=f"^{LABEL}/{SETTING}$")]


class RobustnessSettings(Section):
    """The same test slices restored with a wrong T1: the table `robustness`."""

    data: tuple[TestSet, ...] = Field(
        min_length=1,
        description="dataset/setting whose test slices every method that looks at T1 restores again, "
        "with its first training, once for each condition",
    )
    conditions: tuple[WrongT1, ...] = Field(
        WRONG_T1,
        min_length=1,
        description="what is wrong, each beside the subject's own T1. shift_2mm, shift_4mm: moved in "
        "the plane, in a direction drawn for each slice; rotate_3deg: turned about the centre of the "
        "image, to the side drawn for each slice; other_subject: T1 of the next test subject, same "
        "slice, turned to the angle of this one; none: no T1, for methods that can do without",
    )

    @field_validator("data", "conditions")
    @classmethod
    def _differ(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        if repeated := [name for name in dict.fromkeys(named) if named.count(name) > 1]:
            raise ValueError(f"{repeated[0]!r} stands there twice; keep one")
        return named
