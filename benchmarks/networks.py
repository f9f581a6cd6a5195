"""How large are the networks of a configuration, and what do training and a restored slice cost?

    python benchmarks/networks.py workflow/configs/paper.yaml --output benchmarks/results
    python benchmarks/networks.py config.yaml --cost --output benchmarks/results

Parameters are counted for each group that has an optimiser of its own, beside those of the published
code. Each part of a network runs once on one slice and is counted by torch (2 FLOP per multiply-add,
convolutions and matrix products of the network only, no projections); how often a restoration calls it
is counted too. With ``--cost`` every method is also trained for some iterations and applied, in a
process of its own (`benchmarks/cost.py`): hours for networks of published sizes on a CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cost
import torch
from problem import conditions

from quietpet.config.methods import MethodSettings
from quietpet.data.pairs import Batch
from quietpet.forecast.networks import NetworkPart
from quietpet.methods.registry import build
from quietpet.study.reading import load_study, read_yaml

COUNTS = "| method | trained together | parameters | of the published code |"
COLUMNS = "| method | part | GFLOP per evaluation | evaluations per slice | GFLOP per slice |"
COSTS = "| method | parameters | GFLOP / slice | core s / 1000 steps | core ms / slice | peak MiB |"


def parts(settings: MethodSettings, *, pixels: int) -> list[NetworkPart]:
    """What restoring one slice of ``pixels`` x ``pixels`` costs, with all its samples."""
    method, found = build(settings), []
    for name, module in method.named_children():
        part = NetworkPart(name=name)
        part.count(module)
        found.append(part)
    image = torch.rand(1, 1, pixels, pixels, generator=torch.Generator().manual_seed(0))
    batch = Batch(
        low=image,
        standard=image,
        t1=image,
        has_t1=torch.ones(1, dtype=torch.bool),
        scale=torch.ones(1),
        keys=("slice",),
        pixel_mm=2.0863,
    )
    if settings.reconstructs:
        batch = cost.sinograms(batch.keys).attach(batch)
    with torch.inference_mode():
        drawn = ([torch.Generator().manual_seed(number)] for number in range(settings.samples))
        for _ in method.eval().samples(batch, drawn):
            pass
    return found


def counted(methods: Mapping[str, MethodSettings]) -> Iterator[str]:
    """The table of parameters, one row per group of each trained network."""
    yield from _head(COUNTS)
    for name, settings in methods.items():
        for group, ours in _parameters(settings).items():
            published = settings.published_parameters.get(group)
            beside = "-" if published is None else f"{published:,}"
            if published not in (None, ours):
                beside += f" (docs/methods/{settings.kind}.md)"
            yield f"| {name} | {group} | {ours:,} | {beside} |"


def evaluated(methods: Mapping[str, list[NetworkPart]]) -> Iterator[str]:
    """The table of evaluations, one row per part of each trained network."""
    yield from _head(COLUMNS)
    for name, found in methods.items():
        for part in found:
            evaluation = f"{part.flop / 1e9:.4g} | {part.evaluations}"
            yield f"| {name} | {part.name} | {evaluation} | {part.gflop:.4g} |"


def measured(methods: Iterable[str], configfile: Path) -> dict[str, cost.Cost]:
    """What each of the ``methods`` costs here, in a process of its own."""
    found = {}
    for name in methods:
        command = [sys.executable, cost.__file__, str(configfile), "--method", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[name] = cost.Cost(**json.loads(done.stdout.splitlines()[-1]))
    return found


def costs(
    methods: Mapping[str, MethodSettings],
    evaluations: Mapping[str, list[NetworkPart]],
    found: Mapping[str, cost.Cost],
) -> Iterator[str]:
    """The table of what each method costs here, one row each, and a section of the configuration."""
    yield from _head(COSTS)
    trained = {}
    for name, each in found.items():
        parameters = sum(_parameters(methods[name]).values())
        gflop = sum(part.gflop for part in evaluations.get(name, []))
        if each.core_s_per_1000_iterations is not None:
            trained[name] = round(each.core_s_per_1000_iterations)
        yield (
            f"| {name} | {parameters:,} | {gflop:.4g} | {trained.get(name, '-')} | "
            f"{each.core_ms_per_slice:.3g} | {each.peak_mib:.0f} |"
        )
    yield ""
    yield f"training_costs: {{{', '.join(f'{name}: {seconds}' for name, seconds in trained.items())}}}"


def _head(columns: str) -> tuple[str, str]:
    return columns, "|" + " --- |" * columns.count(" |")


def _parameters(settings: MethodSettings) -> dict[str, int]:
    """How many numbers each group of the method trains."""
    with torch.device("meta"):
        groups = build(settings).groups()
    return {name: sum(each.numel() for each in group) for name, group in groups.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configfile", type=Path)
    parser.add_argument("--pixels", type=int, help="side of the slice (default: inference.pixels)")
    parser.add_argument("--cost", action="store_true", help="train and apply each method too")
    parser.add_argument("--output", type=Path, help="folder for networks-<protocol>.md")
    options = parser.parse_args()
    study = load_study(read_yaml(options.configfile), origin=str(options.configfile))
    pixels = options.pixels or study.inference.pixels
    torch.manual_seed(0)
    report = [f"{options.configfile}; {conditions('torch')}.", "", *counted(study.methods)]
    print("\n".join(report), flush=True)
    evaluations = {
        name: parts(settings, pixels=pixels)
        for name, settings in study.methods.items()
        if _parameters(settings)
    }
    more = ["", f"Slices of {pixels} x {pixels} pixels:", "", *evaluated(evaluations)]
    if options.cost:
        side = study.inference.pixels
        more += ["", f"Training as configured; restored slices of {side} x {side} pixels:", ""]
        more += costs(study.methods, evaluations, measured(study.methods, options.configfile))
    print("\n".join(more))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        target = options.output / f"networks-{study.protocol}.md"
        target.write_text("\n".join([*report, *more]) + "\n")


if __name__ == "__main__":
    main()
