"""Print the rows of the README from a finished small study: python docs/rows.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

METHODS = {
    "lpet": "the low-dose image itself",
    "gaussian": "a Gaussian filter, its width tuned",
    "bowsher": "MAP-EM with the MR-guided Bowsher prior",
    "fbsem": "EM unrolled on the sinograms, with a network",
    "munet_concat": "a regression U-Net of PET and T1",
    "mfdiff": "the published diffusion model, small",
    "m2diff": "the second one, of two branches, small",
    "m2diff_nomri": "the same trained network without T1",
}
HEADER = """\
| method | what it is | PSNR `paper` | published | PSNR `quantitative` | contrast of PET-only lesions |
|---|---|---|---|---|---|"""


def main() -> None:
    study = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "results"
    print(table(pd.read_csv(study / "tables.csv")))


def table(rows: pd.DataFrame) -> str:
    """Table 1's single restorations of phantoms, as Markdown."""
    of_phantoms = rows[(rows["table"].astype(str) == "1") & (rows["estimate"] == "single")]
    cells = of_phantoms.set_index(["method", "metric", "variant"])
    return "\n".join([HEADER, *(_line(cells, method) for method in METHODS)])


def _line(cells: pd.DataFrame, method: str) -> str:
    paper = cells.loc[(method, "psnr_db", "paper")]
    common = cells.loc[(method, "psnr_db", "quantitative")]
    kept = cells.loc[(method, "pet_only_contrast_percent", "quantitative")]
    published = "" if pd.isna(paper["paper_mean"]) else _db(paper["paper_mean"], paper["paper_std"])
    return (
        f"| `{method}` | {METHODS[method]} | {_db(paper['mean'], paper['std'])} | {published} | "
        f"{_db(common['mean'], common['std'])} | {kept['mean']:.0f} % |"
    )


def _db(mean: float, std: float) -> str:
    return f"{mean:.1f} ± {std:.1f} dB"


if __name__ == "__main__":
    main()
