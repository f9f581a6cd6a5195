"""Settings of the identity method."""

from __future__ import annotations

from typing import Literal

from quietpet.config.methods import MethodSettings, T1Use


class Settings(MethodSettings):
    """The low-dose image itself: the row every other method has to beat."""

    kind: Literal["lpet"] = "lpet"

    @property
    def trained(self) -> bool:
        return False

    @property
    def t1_use(self) -> T1Use:
        return "none"

    @property
    def fitted(self) -> bool:
        return False

    @property
    def learning(self) -> str:
        return "-"

    def describe(self) -> str:
        return "no processing"
