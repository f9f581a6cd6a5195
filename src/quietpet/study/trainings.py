"""Learning in stages: which networks a study trains, on what, and from which weights.

A regime is a list of stages. Trainings are named by what they depend on, so that regimes which begin
alike share the network of their common stages, and a stage that does not depend on the data set which
is restored is trained once for all.
"""

from __future__ import annotations

from dataclasses import dataclass

from quietpet.config.learning import OWN, LearningSettings


@dataclass(frozen=True, kw_only=True)
class Training:
    """Names one training of a network.

    ``dataset`` and ``setting`` are those it is validated on. ``stages`` are the stages up to and with
    this one; none for a training on that data set alone, with the settings common to all.
    """

    dataset: str
    setting: str
    stages: tuple[str, ...] = ()

    @classmethod
    def named(cls, *, dataset: str, setting: str, stages: str) -> Training:
        """The training whose stages are called ``stages`` in paths (:attr:`stages_name`)."""
        return cls(dataset=dataset, setting=setting, stages=tuple(stages.split("-")) if stages else ())

    @property
    def stages_name(self) -> str:
        """Its stages in paths, joined by "-", which no stage has in its name; "" for none."""
        return "-".join(self.stages)


def last_training(
    learning: LearningSettings, stages: tuple[str, ...], *, dataset: str, setting: str
) -> Training:
    """The training that ends ``stages``, for restoring ``setting`` of ``dataset``."""
    last = learning.stages[stages[-1]]
    own = _validated_on(learning, stages, (dataset, setting))
    alone = _all_named(last.data, own) == (own,)
    if len(stages) == 1 and alone and not last.changes:
        stages = ()
    return Training(dataset=own[0], setting=own[1], stages=stages)


def training_before(learning: LearningSettings | None, training: Training) -> Training | None:
    """The training whose weights ``training`` starts from, if it does not start afresh."""
    if learning is None or len(training.stages) < 2:
        return None
    return last_training(
        learning, training.stages[:-1], dataset=training.dataset, setting=training.setting
    )


def training_data(learning: LearningSettings | None, training: Training) -> tuple[tuple[str, str], ...]:
    """Data sets and settings that ``training`` learns from, each once."""
    own = (training.dataset, training.setting)
    if learning is None or not training.stages:
        return (own,)
    return _all_named(learning.stages[training.stages[-1]].data, own)


def _validated_on(
    learning: LearningSettings, stages: tuple[str, ...], own: tuple[str, str]
) -> tuple[str, str]:
    """Data set and setting on which the last of ``stages`` is validated, for restoring ``own``.

    Stages that depend on what is restored are not shared by all of it.
    """
    references = [each for stage in reversed(stages) for each in learning.stages[stage].data]
    if OWN in references:
        return own
    return _named(next(filter(of_own_setting, references), references[0]), own)


def of_own_setting(reference: str) -> bool:
    """Whether it is of a named data set, at the setting that is to be restored."""
    return reference.endswith(f"/{OWN}")


def _all_named(data: tuple[str, ...], own: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Each once: x20 and own are the same where x20 is restored."""
    return tuple(dict.fromkeys(_named(reference, own) for reference in data))


def _named(reference: str, own: tuple[str, str]) -> tuple[str, str]:
    if reference == OWN:
        return own
    dataset, _, setting = reference.partition("/")
    return dataset, own[1] if setting == OWN else setting
