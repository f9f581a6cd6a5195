"""``quietpet check registration``: do SPM12 and the embedded engine agree on a scan?"""

from __future__ import annotations

from pathlib import Path

from quietpet.config.registration import RegistrationChoice
from quietpet.errors import InputError
from quietpet.registration import spm
from quietpet.registration.head import head_mm
from quietpet.registration.register import Registration, register_rigid
from quietpet.stages.register import write_figure
from quietpet.stages.volumes import read_volume

AGREEMENT_MM = 0.5
"""Mean distance between the engines over the head that counts as agreement."""


def check_registration(
    *, pet: Path, t1: Path, engine: RegistrationChoice | None, figure: Path | None
) -> bool:
    """Register with every engine that is here, or with ``engine`` alone, and print what each found.

    Returns whether the engines agree over the head of T1; one engine alone always does. With ``figure``
    the picture of each engine is written, its name before the suffix where there are two.
    """
    fixed, moving = read_volume(t1), read_volume(pet)
    engines = [engine] if engine else _engines_here()
    print(f"  {'':<10}{'NMI':>16}{'degrees':>10}{'mm':>8}{'head in PET':>13}{'seconds':>9}")
    found = []
    for name in engines:
        one = register_rigid(fixed, moving, engine=name, names=(str(t1), str(pet)))
        found.append(one)
        _print(one)
        if figure:
            target = figure if len(engines) == 1 else figure.with_suffix(f".{name}{figure.suffix}")
            write_figure(target, fixed, moving, one, title=pet.name)
    if len(found) == 1:
        return True
    apart_mm = found[0].transform.distance_mm(found[1].transform, head_mm(fixed))
    agree = bool(apart_mm.mean() <= AGREEMENT_MM)
    print(
        f"{engines[0]} and {engines[1]} over the head: {apart_mm.mean():.2f} mm apart on average, "
        f"{apart_mm.max():.2f} mm at most (tolerance {AGREEMENT_MM:g} mm on average)"
    )
    print("passed" if agree else "FAILED: look at both figures (--figure) before you use either.")
    return agree


def _engines_here() -> list[RegistrationChoice]:
    try:
        spm.find_engine()
    except InputError as error:
        print(f"Only the embedded engine is here. {error}")
        return ["embedded"]
    return ["spm12", "embedded"]


def _print(found: Registration) -> None:
    print(
        f"  {found.engine:<10}{f'{found.nmi_before:.4f} ->{found.nmi_after:7.4f}':>16}"
        f"{found.rotation_deg:10.2f}{found.translation_mm:8.2f}{found.field_of_view:13.0%}"
        f"{found.seconds:9.1f}  {found.version}",
        flush=True,
    )
