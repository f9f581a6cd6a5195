"""How large are the networks of a configuration, and what does a restored slice cost?

    python benchmarks/networks.py config.yaml --output benchmarks/results

Each part of a network runs once on one slice and is counted by torch (2 FLOP per multiply-add,
convolutions and matrix products only); how often a restoration calls it is counted too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from problem import conditions
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from quietpet.config.methods import MethodSettings
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.study.reading import load_study, read_yaml

COLUMNS = (
    "| method | part | parameters | GFLOP per evaluation | evaluations per slice | GFLOP per slice |"
)


@dataclass(kw_only=True)
class Part:
    """A part of a network, whose calls are counted and computed once."""

    name: str
    parameters: int
    flop: int = 0
    evaluations: int = 0

    @property
    def gflop(self) -> float:
        """Of all evaluations."""
        return self.flop * self.evaluations / 1e9

    def count(self, module: nn.Module) -> None:
        """Replace the forward pass of ``module`` by one that is computed at its first call only."""
        forward, output = module.forward, None

        def counted(*arguments: object, **options: object) -> torch.Tensor:
            nonlocal output
            self.evaluations += 1
            if output is None:
                # The counter does not know the fused attention of CPUs.
                with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                    output = forward(*arguments, **options)
                self.flop = counter.get_total_flops()
            return output

        module.forward = counted


def parts(method: Restorer, *, pixels: int, samples: int) -> list[Part]:
    """What restoring one slice of ``pixels`` x ``pixels`` with ``samples`` samples costs."""
    found = []
    for name, module in method.named_children():
        part = Part(name=name, parameters=sum(each.numel() for each in module.parameters()))
        part.count(module)
        found.append(part)
    image = torch.rand(1, 1, pixels, pixels, generator=torch.Generator().manual_seed(0))
    batch = Batch(
        low=image, standard=image, t1=image, scale=torch.ones(1), keys=("slice",), pixel_mm=2.0863
    )
    with torch.inference_mode():
        drawn = ([torch.Generator().manual_seed(number)] for number in range(samples))
        for _ in method.eval().samples(batch, drawn):
            pass
    return found


def rows(methods: Mapping[str, MethodSettings], *, pixels: int) -> Iterator[str]:
    """The table, one row per part of each trained network."""
    yield COLUMNS
    yield "|" + " --- |" * COLUMNS.count(" |")
    for name, settings in methods.items():
        method = build(settings)
        if not method.groups():
            continue
        found = parts(method, pixels=pixels, samples=settings.samples)
        for part in found:
            evaluation = f"{part.flop / 1e9:.4g} | {part.evaluations}"
            yield f"| {name} | {part.name} | {part.parameters:,} | {evaluation} | {part.gflop:.4g} |"
        if len(found) > 1:
            total = sum(part.gflop for part in found)
            yield f"| {name} | all | {method.parameter_count:,} | | | {total:.4g} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configfile", type=Path)
    parser.add_argument("--pixels", type=int, default=192, help="side of the slice (default: 192)")
    parser.add_argument("--output", type=Path, help="folder for networks-<protocol>.md")
    options = parser.parse_args()
    study = load_study(read_yaml(options.configfile), origin=str(options.configfile))
    torch.manual_seed(0)
    report = [
        f"{options.configfile}, {options.pixels} x {options.pixels} pixels; {conditions('torch')}.",
        "",
    ]
    report += rows(study.methods, pixels=options.pixels)
    print("\n".join(report))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / f"networks-{study.protocol}.md").write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
