"""Which engine registers a scan, as the settings or the decision of a study say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from quietpet.config.registration import RegistrationSettings
from quietpet.errors import InputError
from quietpet.files.text import read_json
from quietpet.geometry.volume import Volume
from quietpet.registration.credible import Registration
from quietpet.registration.given import read_transform
from quietpet.registration.register import register_given, register_rigid
from quietpet.registration.spm import find_engine
from quietpet.registration.volume import RigidTransform


def decided(settings: RegistrationSettings, decision: Path | None) -> RegistrationSettings:
    """The settings with ``auto`` replaced by the engine in the file ``decision``, if there is one.

    Raises:
        InputError: the study was decided to use SPM12, and it does not work here, or is another SPM.
    """
    if decision is None or settings.engine != "auto":
        return settings
    chosen = read_json(decision)["engine"]
    if chosen == "embedded":
        return settings.model_copy(update={"engine": chosen})
    spm_of_study = chosen.upper()
    try:
        found = find_engine()
        if found.name != chosen:
            raise InputError(f"{found.version} is here. Name an {spm_of_study} (see envs/spm.md).")
    except InputError as error:
        raise InputError(
            f"{decision}: the scans of this study are registered by {spm_of_study}, but {error} Or "
            "delete this file: an engine that works here is chosen then, and all scans are registered "
            "by it."
        ) from None
    return settings.model_copy(update={"engine": "spm12"})


def registered(
    t1: Volume,
    pet: Volume,
    settings: RegistrationSettings,
    *,
    given: Path | None,
    names: tuple[str, str],
) -> Registration:
    """PET registered to T1 as the settings ask, by the transform in the file ``given`` if that is how.

    Raises:
        InputError: an image cannot be used, the engine failed, or the file holds no rigid transform.
    """
    given_as = partial(register_given, t1, pet, correct_bias=settings.correct_bias, names=names)
    match settings.engine:
        case "identity":
            identity = RigidTransform.identity()
            return given_as(identity, engine="identity", version="as the headers say")
        case "file":
            if given is None:
                raise InputError(
                    "registration.engine is 'file', but no file called 'transform' was given."
                )
            return given_as(read_transform(given), engine="file", version=str(given))
        case engine:
            return register_rigid(
                t1,
                pet,
                engine=engine,
                spm_minutes=settings.spm_minutes,
                correct_bias=settings.correct_bias,
                names=names,
            )
