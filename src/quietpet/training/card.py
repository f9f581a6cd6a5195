"""The model card: what a file of weights is, for whoever finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quietpet.config.methods import MethodSettings
from quietpet.config.networks import TrainingSettings
from quietpet.training.checkpoint import LogRow, kept

LIMITS = (
    "A result of research: no medical device, not for diagnosis or any other decision on a patient.",
    "Made for data like its training data: same scanner, pixel size, tracer, dose, reconstruction and "
    "kind of subject. Elsewhere it may remove lesions or invent them without any sign of it.",
    "Takes images divided by the scale that `quietpet pack` computes from the low dose; "
    "`quietpet restore` does so, and refuses weights of other settings.",
    "The weights are under the licence of the program, Apache-2.0; the terms of the training data stay.",
)


def model_card(
    *,
    title: str,
    model: MethodSettings,
    parameters: int,
    training: TrainingSettings,
    data: Mapping[str, str],
    rows: Sequence[LogRow],
    provenance: Mapping[str, Any],
    rate: str = "",
) -> str:
    """Markdown to lie beside the weights.

    ``parameters`` is how many numbers are trained. ``data`` describes the data sets by their part in
    the training; ``rows`` is the training log, empty for a method that is only tuned; ``provenance`` as
    in :func:`quietpet.provenance.provenance`; ``rate`` says how the learning rate was chosen, if it was.
    """
    sections = {
        "Data": [f"{part}: {description}" for part, description in data.items()],
        "Training": [*_training(rows), *([f"{rate[0].upper()}{rate[1:]}."] if rate else [])],
        "Limits and licence": LIMITS,
        "Model settings": _settings(model.model_dump(mode="json")),
        "Training settings": _settings(training.model_dump(mode="json")) if rows else [],
        "Made with": [
            *(f"{name} {version}" for name, version in provenance["versions"].items()),
            f"Python {provenance['python']}, on {provenance['device']}, code {provenance['code']}",
            f"{provenance['made']}, in {provenance['wall_s']:.0f} s",
        ],
    }
    blocks = [f"# {title}", f"{model.kind}: {model.describe()}; {parameters:,} parameters."]
    for heading, lines in sections.items():
        if lines:
            blocks.append(f"## {heading}\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(blocks) + "\n"


def _training(rows: Sequence[LogRow]) -> list[str]:
    if not rows:
        return ["Nothing is learned by gradient; a free number is chosen on the validation slices."]
    last, best = rows[-1], kept(rows)
    why = (
        "the last one"
        if best.nmse is None or last.nmse is None
        else f"that of the least NMSE of restored validation slices: {best.nmse:.6g} "
        f"(last: {last.nmse:.6g})"
    )
    return [
        f"Weights of step {best.step} of {last.step}, {why}.",
        f"{last.iterations_per_s:.3g} iterations/s, {last.slices_per_s:.3g} slices/s at the end.",
    ]


def _settings(values: Mapping[str, Any]) -> Iterable[str]:
    return [f"`{name}`: {value}" for name, value in values.items()]
