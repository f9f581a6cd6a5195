"""What may be concluded from the tables, and what deviates from the published study."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.data_source import is_simulated, is_standin
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated
from quietpet.files.sections import Column, Section, Table

DEVIATIONS = (
    "The published counts fit as totals per 127-slice volume: taken per slice they would put the "
    "low-dose images far above the published ones.",
    "The published text states neither scaling, window nor data range. `paper` is our reading: scaling "
    "and window were chosen, with counts and resolution, to bring the unprocessed low dose to its "
    "published row; agreement of that row is therefore no confirmation.",
    "Published PSNR and NMSE seem not to share one window: 10^(-PSNR/10)/NMSE is 0.044 for lpet and "
    "0.020 for mfdiff in Table 1, where one window would give nearly one number. NMSE does not "
    "depend on an empty margin; but in `paper` dividing by one pixel, the maximum, costs the share "
    "given in the tables. To rank methods, read `quantitative`.",
)


def claims_section(rows: Sequence[TableRow], *, plan: TablePlan) -> Section:
    """The claim and its limits, as RELAINCE asks for them, and below it what deviates."""
    subjects = sorted({row.n_subjects for row in rows})
    settings = sorted({f"{row.dataset}/{row.setting}{simulated(row.data_source)}" for row in rows})
    sources = sorted({row.data_source for row in rows})
    counts = " or ".join(str(count) for count in subjects)
    no_human = all(map(is_simulated, sources))
    return Section(
        id="claim",
        title="Claim, after RELAINCE (J Nucl Med 2022;63:1288)",
        summary="Compared: fidelity of restored transaxial slices to the standard dose, "
        f"{', '.join(settings)}.",
        notes=(
            f"Data: source {', '.join(map(_source, sources))}; {counts} test subject(s), none of whom "
            "trained or validated a network. Slices and rotations of a subject are not independent.",
            *(["All data are simulated: nothing is shown in vivo."] if no_human else []),
            "Technical evaluation only: no reader was asked; a better PSNR, SSIM or NMSE does not show "
            "a better diagnosis.",
            "The reference is itself a noisy reconstruction. Nothing here extends to other scanners, "
            "tracers, doses or patients than those listed.",
        ),
        sections=(_deviations_section(rows, plan),),
    )


def _deviations_section(rows: Sequence[TableRow], plan: TablePlan) -> Section:
    """What differs from the published study, and the protocol of every method."""
    scored = {row.method for row in rows}
    lines = [*DEVIATIONS]
    if any(row.projector == "embedded" for row in rows):
        lines.append(
            f"Embedded projector: two-dimensional, {plan.rays} ray(s) per bin, {plan.acquisition}."
        )
    if any(row.projector == "sirf" for row in rows):
        lines.append(f"Projector of STIR through SIRF: direct planes, {plan.acquisition}.")
    lines += [f"{note}." for note in plan.physics]
    lines += [f"Dose {name}: {text}." for name, text in plan.doses.items()]
    if absent := [name for name in plan.methods if name not in scored]:
        lines.append(f"Configured, but not scored: {', '.join(absent)}.")
    return Section(
        id="deviations",
        title="Known deviations and protocol",
        summary="What differs from the published study, what is simulated, and what each method is.",
        notes=tuple(lines),
        tables=(
            Table(
                caption=f"Methods, protocol {plan.protocol}",
                columns=(Column(key="method", label="Method"), Column(key="protocol", label="Protocol")),
                rows=tuple(
                    {"method": name, "protocol": text}
                    for name, text in plan.methods.items()
                    if name in scored
                ),
            ),
        ),
    )


def _source(data_source: str) -> str:
    if is_standin(data_source):
        return f"{data_source} (simulated scans of digital heads)"
    return f"{data_source} (simulated phantoms)" if is_simulated(data_source) else data_source
