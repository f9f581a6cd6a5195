"""The head of a subject: its BrainWeb volume, or one made from the template."""

from __future__ import annotations

from quietpet.config.phantoms import TemplateSettings
from quietpet.data_source import BRAINWEB, TEMPLATE
from quietpet.files.named import Files
from quietpet.phantom.brainweb import read_sources, read_volume
from quietpet.phantom.tissues import LabelVolume
from quietpet.seeds import numpy_rng


def label_volume(
    subject: str, inputs: Files, *, template: TemplateSettings, study_seed: int
) -> LabelVolume:
    """From ``labels`` and ``sources`` (a BrainWeb volume and its checksum), or from neither."""
    if path := inputs.get("labels"):
        return read_volume(path, source=read_sources(inputs.one("sources"))[subject])
    from quietpet.phantom.template import load_template, template_volume  # noqa: PLC0415 (slow)

    rng = numpy_rng(study_seed, "template", subject)
    return template_volume(load_template(), settings=template, rng=rng)


def data_source(inputs: Files) -> str:
    """Where :func:`label_volume` takes the head from, as ``data_source`` of a lineage."""
    return BRAINWEB if inputs.get("labels") else TEMPLATE
