"""What every restoration method states of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from quietpet.config.section import Section


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
    def learns_from_sinograms(self) -> bool:
        """Whether its training is on measured slices: they are whole heads then, and never mirrored."""
        return self.trained and self.reconstructs

    @property
    def modules(self) -> tuple[str, ...]:
        """Names, below the package, of what the settings choose and code finds by that name alone."""
        return ()

    @property
    def learns_from_whole_heads(self) -> bool:
        """Whether the training's ``whole_share`` applies.

        It should where a restored pixel depends on all others, by a norm or attention, and where batches
        of one slice do no harm, as they do to batch normalisation.
        """
        return False

    @property
    def least_views(self) -> int:
        """Views that the scanner must have, at least; a method's subsets hold one or more each."""
        return 1

    @property
    def least_batch(self) -> int:
        """Slices that a training step must see together, at least."""
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


def require_batch(method: MethodSettings, slices: int, name: str, *, processes: int = 1) -> None:
    """Raise ValueError if ``method`` cannot learn from ``slices`` at a time, shared by ``processes``."""
    if slices // processes < method.least_batch:
        shared = f", shared by {processes} processes," if processes > 1 else ""
        raise ValueError(
            f"{name} normalises by batches, and one slice is none: it would lose its mean activity. "
            f"training.batch_size = {slices}{shared} must be {processes * method.least_batch} or more, "
            "or set normalisation: group"
        )
