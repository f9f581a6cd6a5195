"""What every restoration method states of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field

from quietpet.config.published import PublishedTraining
from quietpet.config.section import Label, Section

T1Use = Literal["none", "optional", "needed"]
"""What a method does with T1: it never looks at it, slices may lack it, or every slice must have it."""

NOT_OF_WEIGHTS = {"optimiser", "cost_of", "pet_only_of"}
"""Settings that say how a method is trained or compared; whatever they are, weights restore alike."""


class MethodSettings(Section, ABC):
    """Settings of one restoration method.

    Each ``methods/<kind>/settings.py`` defines a subclass called ``Settings`` with a field
    ``kind: Literal["<kind>"] = "<kind>"``.
    """

    kind: str
    optimiser: Literal["common", "published"] = Field(
        "common",
        description="common: trained with the section training, as all methods are; published: with the "
        "optimiser settings of the method's own publication in their place",
    )

    cost_of: Label | None = Field(
        None,
        description="name of another method: trained for as many iterations as take the time of that "
        "one's, by the section training_costs; none: for the common number of iterations",
    )

    pet_only_of: Label | None = Field(
        None,
        description="name of the method of which this is the variant without T1, equal in all but the "
        "inputs: the table with and without T1 sets both beside each other",
    )

    @property
    def published_training(self) -> PublishedTraining | None:
        """Optimiser settings of the method's own publication or code; None: it states none.

        Used where ``optimiser`` is ``published``, and stated nowhere else.
        """
        return None

    @property
    def own_training(self) -> PublishedTraining | None:
        """What replaces the common settings of the optimiser; None: nothing.

        Raises:
            ValueError: it is asked for, but the method states none.
        """
        if self.optimiser == "common":
            return None
        if self.published_training is None:
            raise ValueError(
                f"optimiser = published, but the method {self.kind!r} states no optimiser settings of "
                "its own publication; leave it out, or set common"
            )
        return self.published_training

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
    def fitted(self) -> bool:
        """Whether anything is learned or chosen from data; otherwise it restores without weights."""
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
    def t1_use(self) -> T1Use:
        """Whether slices without T1 are restored: none, whatever T1 shows; optional; needed, refused."""
        return "needed"

    @property
    def without_t1(self) -> str:
        """How the method does without T1, or why it cannot, in a few words for tables and errors."""
        if self.t1_use == "none":
            return "T1 is never looked at"
        return "trained on PET alone" if self.on_pet_alone() else "refused: it is made for two images"

    def on_pet_alone(self) -> Self | None:
        """The variant that never looks at T1, equal in all else; None where there is none."""
        return self if self.t1_use == "none" else None

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
    def published_parameters(self) -> Mapping[str, int]:
        """How many numbers the published code trains, by group of the method; empty: no code is public.

        They are of the default settings. ``benchmarks/networks.py`` prints them beside this code's, and
        the method's card explains each difference.
        """
        return {}

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
        own = method.own_training
        key = "its published batch_size" if own and own.batch_size else "training.batch_size"
        shared = f", shared by {processes} processes," if processes > 1 else ""
        chooses = "normalisation" in type(method).model_fields
        otherwise = ", or set normalisation: group" if chooses else ""
        raise ValueError(
            f"{name} normalises by batches, and one slice is none: it would lose its mean activity. "
            f"{key} = {slices}{shared} must be {processes * method.least_batch} or more{otherwise}"
        )
