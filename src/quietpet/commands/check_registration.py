"""``quietpet check registration``: are results on one scan credible, and do the engines agree on it?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quietpet.config.registration import EngineChoice, RegistrationSettings
from quietpet.errors import InputError
from quietpet.files.volumes import read_volume
from quietpet.geometry.volume import is_missing
from quietpet.registration.credible import Registration, require_credible
from quietpet.registration.figure import write_figure
from quietpet.registration.register import PreparedPair, register_pair, working_spm
from quietpet.registration.spm import Engine, find_engine

AGREEMENT_MM = 0.5
"""Mean distance between the engines over the head that counts as agreement."""


def check_registration(*, pet: Path, t1: Path, engine: EngineChoice | None, figure: Path | None) -> bool:
    """Register with every engine that is here, or with ``engine`` alone, and print what each found.

    Returns whether every result is one that ``register`` would accept, within the default limits, and
    two engines agree over the head of T1. With ``figure`` the picture of each engine is written, its
    name before the suffix where there are two.

    Raises:
        InputError: no engine came to a result; says why the first did not. There is no T1.
    """
    fixed, moving = read_volume(t1), read_volume(pet)
    if is_missing(fixed):
        raise InputError(
            f"{t1}: stands for the T1 of a scan that has none, so that nothing is registered to it. "
            "Name the T1 of another scan."
        )
    engines = [working_spm(engine)] if engine else _engines_here()
    print(f"  {'':<10}{'NMI':>16}{'degrees':>10}{'mm':>8}{'head in PET':>13}{'seconds':>9}")
    found, complaints, names = [], [], (str(t1), str(pet))
    pair = PreparedPair.of(fixed, moving, names=names)
    for working in engines:
        one, complaint = _judged(pair, working, names=names)
        complaints += [complaint] if complaint else []
        if one:
            found.append(one)
            if figure:
                name = f".{one.engine}{figure.suffix}" if len(engines) > 1 else figure.suffix
                write_figure(figure.with_suffix(name), fixed, moving, one, title=pet.name)
    if not found:
        raise complaints[0]
    agree = len(found) == 1 or _agree(found[0], found[1], pair.fixed_head_mm)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    passed = agree and not complaints
    print("passed" if passed else "FAILED: look at the figures (--figure) before you use any result.")
    return passed


def _judged(
    pair: PreparedPair, working: Engine | None, *, names: tuple[str, str]
) -> tuple[Registration | None, InputError | None]:
    """What one engine found, if anything, and why it is not to be used, if so."""
    try:
        found = register_pair(pair, working)
    except InputError as error:
        return None, error
    _print(found)
    try:
        require_credible(found, RegistrationSettings(), names=names)
    except InputError as error:
        return found, error
    return found, None


def _engines_here() -> list[Engine | None]:
    """As :func:`register_pair` takes them."""
    try:
        return [find_engine(), None]
    except InputError as error:
        print(f"Only the embedded engine is here. {error}")
        return [None]


def _agree(first: Registration, second: Registration, head_mm: np.ndarray) -> bool:
    apart_mm = first.transform.distance_mm(second.transform, head_mm)
    print(
        f"{first.engine} and {second.engine} over the head: {apart_mm.mean():.2f} mm apart on average, "
        f"{apart_mm.max():.2f} mm at most (tolerance {AGREEMENT_MM:g} mm on average)"
    )
    return bool(apart_mm.mean() <= AGREEMENT_MM)


def _print(found: Registration) -> None:
    print(
        f"  {found.engine:<10}{f'{found.nmi_before:.4f} ->{found.nmi_after:7.4f}':>16}"
        f"{found.rotation_deg:10.2f}{found.translation_mm:8.2f}{found.field_of_view:13.0%}"
        f"{found.seconds:9.1f}  {found.version}",
        flush=True,
    )
