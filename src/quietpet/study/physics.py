"""What the physics of a study makes easier or harder than reality, in sentences for people."""

from __future__ import annotations

from collections.abc import Iterator

from quietpet.study.contents import StudyContents
from quietpet.study.windows import scan_of, span_minutes


def physics_notes(study: StudyContents) -> tuple[str, ...]:
    """One sentence or two for each property that a reader of the tables should know."""
    return (*_inverse_crime(study), *_doses(study), *_windows(study), *_standins(study))


def _inverse_crime(study: StudyContents) -> Iterator[str]:
    scanner = study.scanner
    if scanner.data == "same":
        yield (
            "Inverse crime: simulated data are made with the system matrix, pixels and, in phantoms, "
            "point spread that reconstruct them, so that images are nearer to the truth than a "
            "scanner's can be; `scanner.data: finer` makes data of pixels of half the size with 10 "
            "rays per bin"
        )
    else:
        yield (
            f"Simulated data are made of pixels of half the size with {scanner.data_rays} rays per "
            f"bin, the model has {scanner.rays}: no inverse crime in grid and rays, but the model still "
            "knows attenuation, efficiencies and, in phantoms, the point spread exactly"
        )


def _doses(study: StudyContents) -> Iterator[str]:
    for dataset in study.simulated.values():
        doses = dataset.study.doses
        sharp_mm = doses.standard.psf_fwhm_mm
        for name in doses.simulated:
            level = doses.level(name)
            if level.psf_fwhm_mm > sharp_mm:
                yield (
                    f"Dose {dataset.called(name)} is measured with {level.psf_fwhm_mm:g} mm point "
                    f"spread, the standard dose with {sharp_mm:g} mm: the task is partly deblurring"
                )
        for name in doses.thinned:
            yield (
                f"Dose {dataset.called(name)} is a part of the standard dose's events: they share their "
                "noise"
            )
        if any(level.counts and level.counts_per == "volume" for level in doses.levels.values()):
            yield (
                f"Slices of {dataset.domain or 'phantoms'} share the counts of their volume equally, "
                "whatever their activity: a fit to the published low-dose row, not physics"
            )


def _windows(study: StudyContents) -> Iterator[str]:
    if study.invivo is None or study.invivo.windows is None:
        return
    windows = study.invivo.windows
    long_start, long_end = span_minutes(windows.standard, study)
    spans = {name: span_minutes(low, study) for name, low in windows.low.items()}
    shared = [name for name, (start, end) in spans.items() if start < long_end and long_start < end]
    if shared:
        yield (
            f"Low windows of scans ({', '.join(shared)}) share time with the standard window: the two "
            "images share events and noise, and the low dose scores better than an independent scan "
            "would"
        )


def _standins(study: StudyContents) -> Iterator[str]:
    if study.invivo is None or all(source.kind != "standin" for source in study.invivo.sources.values()):
        return
    yield (
        "Stand-in scans: counts follow from the mMR's published sensitivity, its axial acceptance, "
        "attenuation and FDG kinetics, and are not fitted to published rows. Scaling by the own, noisy "
        "maximum (`paper`), which the published text does not state, costs noisy images PSNR: look at "
        "common units, too. The published 16 s after a bolus have no more PSNR than those of an "
        "infusion, which counts do not explain: a bolus brings more activity into the brain. For 167 "
        "and 225 MBq, Table 3 has the order that counts do not explain, section 4.3.2 that which they do"
    )
    scan = scan_of(study)
    longest_s = max(seconds for _, seconds in scan.frames)
    if longest_s > scan.shortest_frame_s:
        yield (
            f"The long image of stand-ins is a mean of frames of up to {longest_s:g} s, that of real "
            f"scans one of frames of {scan.shortest_frame_s:g} s, in which OSEM of few counts leaves "
            "less contrast: low doses differ from it in that, too, unless `standin.scan.frames` are "
            "equal"
        )
