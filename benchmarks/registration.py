"""How far from the truth does each registration engine end, and how long does it take?

    python benchmarks/registration.py --brainweb ../shared/brainweb --output benchmarks/results

Simulated PET and T1 of one head (``registration_pairs.py``), with 30-min and 16-s noise and eight
motions of up to 20 degrees and 20 mm. Target registration error (TRE) over grey and white matter. SPM12
takes part where it is found. A short frame is registered here only to show why the pipeline never does.
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
from registration_pairs import STARTS, Anatomy, Pair, brainweb_anatomy, pair, template_anatomy

from quietpet.errors import InputError
from quietpet.registration.register import register_rigid, working_spm

GOALS_MM = {"template": 0.3, "brainweb": 0.6}
"""Mean TRE over the motions at 30 min; no voxel above WORST_MM, engines at most APART_MM apart."""

WORST_MM, APART_MM = 1.5, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brainweb", type=Path, help="folder with subject_XX.bin.gz")
    parser.add_argument("--subject", default="04", help="of BrainWeb")
    parser.add_argument("--noise", nargs="+", choices=["30min", "16s"], default=["30min", "16s"])
    parser.add_argument("--output", type=Path, help="folder for registration.csv and registration.md")
    options = parser.parse_args()
    try:
        engines = ["spm12", "embedded"]
        print(working_spm("spm12").version)
    except InputError as error:
        engines = ["embedded"]
        print(error)
    heads = {"template": template_anatomy()}
    if options.brainweb:
        heads["brainweb"] = brainweb_anatomy(options.brainweb, options.subject)
    runs = [row for noise in options.noise for row in measured(heads, noise, engines)]
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


def measured(heads: dict[str, Anatomy], noise: str, engines: list[str]) -> Iterator[dict[str, Any]]:
    """A row per head, motion and engine."""
    for name, head in heads.items():
        for number, (euler_deg, translation_mm) in enumerate(STARTS):
            case = pair(head, noise=noise, euler_deg=euler_deg, translation_mm=translation_mm)
            found = {
                engine: register_rigid(case.t1, case.pet, engine=engine)  # type: ignore[arg-type]
                for engine in engines
            }
            apart_mm = np.nan
            if len(found) == 2:
                first, second = (each.transform for each in found.values())
                apart_mm = float(first.distance_mm(second, case.brain_mm).mean())
            for engine, result in found.items():
                row = {
                    "pair": name,
                    "noise": noise,
                    "motion": number,
                    "engine": engine,
                    **errors(case, result.transform),
                    "seconds": round(result.seconds, 1),
                    "between_engines_mm": round(apart_mm, 3),
                }
                print(*row.values(), flush=True)
                yield row


def errors(case: Pair, found: Any) -> dict[str, float]:
    """Mean and largest TRE over the brain, and how far it had to come."""
    begun = case.truth.distance_mm(type(found).identity(), case.brain_mm)
    error_mm = case.error_mm(found)
    return {
        "start_mm": round(float(begun.mean()), 1),
        "mean_mm": round(float(error_mm.mean()), 3),
        "max_mm": round(float(error_mm.max()), 3),
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
    apart = [run["between_engines_mm"] for run in runs if run["noise"] == "30min"]
    if apart and np.isfinite(apart).all():
        lines.append(
            f"- engines at 30 min: {np.mean(apart):.2f} mm apart on average over the brain, "
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
