"""How far from the truth does each registration engine end, and how long does it take?

    python benchmarks/registration.py --brainweb FOLDER --output benchmarks/results
    python benchmarks/registration.py --brainweb FOLDER --bias 0.2 --motions 1 3
    python benchmarks/registration.py --pairs standin --standin results --brainweb FOLDER

Simulated PET and T1 of one head (``registration_pairs.py``), with 30-min and 16-s noise and eight
motions of up to 20 degrees and 20 mm, if asked for with a receive field of T1; and stand-in scans as a
study has imported them, their headers as they are or displaced as far. Target registration error (TRE)
over grey and white matter. SPM12 takes part where it is found. A short frame is registered here only to
show why the pipeline never does.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
from problem import conditions
from registration_pairs import (
    STARTS,
    Anatomy,
    Pair,
    brainweb_anatomy,
    displaced,
    pair,
    standin_pair,
    standin_scans,
    template_anatomy,
)

from quietpet.errors import InputError
from quietpet.registration.register import PreparedPair, register_pair, working_spm
from quietpet.registration.spm import Engine

GOALS_MM = {"template": 0.2, "brainweb": 0.2, "standin": 0.6}
"""Mean TRE over the motions at 30 min, with a bias field or not; no voxel above WORST_MM, engines at
most APART_MM apart."""

WORST_MM, APART_MM = 1.5, 0.5
SHIFTS = ("right_mm", "front_mm", "top_mm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", nargs="+", choices=GOALS_MM, help="default: all that can be made")
    parser.add_argument("--brainweb", type=Path, help="folder with subject_XX.bin.gz")
    parser.add_argument("--subject", default="04", help="of BrainWeb")
    parser.add_argument("--standin", type=Path, help="results of a study with stand-in cohorts")
    parser.add_argument(
        "--scans", nargs="+", help="of the stand-in, such as rspetmr_sub-01; default: all"
    )
    parser.add_argument("--starts", type=int, default=4, help="per scan of the stand-in")
    parser.add_argument("--noise", nargs="+", choices=["30min", "16s"], default=["30min", "16s"])
    parser.add_argument(
        "--motions", type=int, nargs="+", choices=range(len(STARTS)), default=list(range(len(STARTS)))
    )
    parser.add_argument("--bias", type=float, default=0.0, help="of T1: its largest deviation from one")
    parser.add_argument("--keep-bias", action="store_true", help="registration.correct_bias: false")
    parser.add_argument("--output", type=Path, help="folder for registration.csv and registration.md")
    options = parser.parse_args()
    for kind in options.pairs or []:
        if kind != "template" and not getattr(options, kind):
            parser.error(f"--pairs {kind} needs --{kind}")
    try:
        engines = [working_spm("spm12"), None]
        print(engines[0].version)
    except InputError as error:
        engines = [None]
        print(error)
    runs = [
        row
        for noise in options.noise
        for row in measured(cases(options, noise), noise, engines, correct_bias=not options.keep_bias)
    ]
    report = [
        conditions("quietpet", "SimpleITK", "nipype", "numpy", "scipy") + ".",
        "",
        *markdown(summary(runs)),
        "",
        *verdicts(runs),
    ]
    print("\n".join(report))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "registration.md").write_text("\n".join(report) + "\n")
        with (options.output / "registration.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(runs[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(runs)


def cases(options: argparse.Namespace, noise: str) -> Iterator[tuple[str, str, int, Pair]]:
    """Kind of pair, head or scan, number of the motion, and the pair itself."""
    kinds = options.pairs or list(GOALS_MM)
    heads: dict[str, tuple[str, Anatomy]] = {}
    if "template" in kinds:
        heads["template"] = ("pair", template_anatomy(bias=options.bias))
    if "brainweb" in kinds and options.brainweb:
        subject = brainweb_anatomy(options.brainweb, options.subject, bias=options.bias)
        heads["brainweb"] = (options.subject, subject)
    for kind, (name, head) in heads.items():
        for number in options.motions:
            euler_deg, translation_mm = STARTS[number]
            case = pair(head, noise=noise, euler_deg=euler_deg, translation_mm=translation_mm)
            yield kind, name, number, case
    if "standin" in kinds and options.standin:
        for scan in options.scans or standin_scans(options.standin):
            case = standin_pair(options.standin, scan, noise=noise, brainweb=options.brainweb)
            yield "standin", scan, 0, case
            for number in range(1, options.starts):
                yield "standin", scan, number, displaced(case, name=scan, number=number)


def measured(
    of: Iterator[tuple[str, str, int, Pair]],
    noise: str,
    engines: list[Engine | None],
    *,
    correct_bias: bool,
) -> Iterator[dict[str, Any]]:
    """A row per case and engine."""
    for kind, name, number, case in of:
        prepared = PreparedPair.of(case.t1, case.pet, correct_bias=correct_bias)
        found = [register_pair(prepared, engine) for engine in engines]
        apart_mm = np.nan
        if len(found) == 2:
            first, second = (each.transform for each in found)
            apart_mm = float(first.distance_mm(second, case.brain_mm).mean())
        for result in found:
            row = {
                "pair": kind,
                "head": name,
                "noise": noise,
                "motion": number,
                "engine": result.engine,
                **errors(case, result.transform),
                "margin": round(result.margin, 3),
                "lead": round(result.lead, 3),
                "seconds": round(result.seconds, 1),
                "between_engines_mm": round(apart_mm, 3),
            }
            print(*row.values(), flush=True)
            yield row


def errors(case: Pair, found: Any) -> dict[str, float]:
    """Mean and largest TRE over the brain, how far it had to come, and the mean shift that is left."""
    begun = case.truth.distance_mm(type(found).identity(), case.brain_mm)
    error_mm = case.error_mm(found)
    return {
        "start_mm": round(float(begun.mean()), 1),
        "mean_mm": round(float(error_mm.mean()), 3),
        "max_mm": round(float(error_mm.max()), 3),
        **dict(zip(SHIFTS, case.shift_mm(found).round(3).tolist(), strict=True)),
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per pair, noise and engine."""
    rows = []
    for key in dict.fromkeys((run["pair"], run["noise"], run["engine"]) for run in runs):
        of_key = [run for run in runs if (run["pair"], run["noise"], run["engine"]) == key]
        means = [run["mean_mm"] for run in of_key]
        rows.append(
            {
                **dict(zip(("pair", "noise", "engine"), key, strict=True)),
                "runs": len(of_key),
                "mean TRE [mm]": f"{np.mean(means):.2f}",
                "worst mean [mm]": f"{max(means):.2f}",
                "worst voxel [mm]": f"{max(run['max_mm'] for run in of_key):.2f}",
                "shift right, front, top [mm]": ", ".join(
                    f"{np.mean([run[name] for run in of_key]):+.2f}" for name in SHIFTS
                ),
                "least margin, lead": f"{min(run['margin'] for run in of_key):.2f}, "
                f"{min(run['lead'] for run in of_key):.2f}",
                "seconds (median)": f"{np.median([run['seconds'] for run in of_key]):.1f}",
            }
        )
    return rows


def verdicts(runs: list[dict[str, Any]]) -> list[str]:
    """Whether the goals are met at 30 min."""
    lines = []
    for row in summary([run for run in runs if run["noise"] == "30min"]):
        goal = GOALS_MM[row["pair"]]
        met = float(row["mean TRE [mm]"]) <= goal and float(row["worst voxel [mm]"]) <= WORST_MM
        lines.append(
            f"- {row['pair']}, {row['engine']}: {'met' if met else 'NOT MET'} "
            f"(mean at most {goal:g} mm, no voxel above {WORST_MM:g} mm)"
        )
    for kind in dict.fromkeys(run["pair"] for run in runs):
        of_kind = [run for run in runs if (run["pair"], run["noise"]) == (kind, "30min")]
        apart = [run["between_engines_mm"] for run in of_kind]
        if apart and np.isfinite(apart).all():
            lines.append(
                f"- {kind}, engines at 30 min: {np.mean(apart):.2f} mm apart on average over the brain, "
                f"{max(apart):.2f} in the worst run (at most {APART_MM:g})"
            )
    return lines


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as a Markdown table."""
    return [
        "| " + " | ".join(rows[0]) + " |",
        "|" + " --- |" * len(rows[0]),
        *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows),
    ]


if __name__ == "__main__":
    main()
