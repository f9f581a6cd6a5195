"""Draw the README picture from a finished small study: python docs/picture.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from quietpet.evaluation.drawing import NORMAL, new_figure
from quietpet.evaluation.gallery_figure import ACTIVITY_COLOURS
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings

METHODS = ("gaussian", "fbsem", "munet_concat", "mfdiff")
WINDOW = slice(36, 156)
SLICES = ("45/z069/r0", "47/z077/r0")


def main() -> None:
    study = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "results"
    with open_hdf5(study / "datasets/phantom/low/test.h5", kind="dataset") as file:
        keys = read_strings(file, "key")
        columns = {"T1": read_array(file, "t1"), "low dose": read_array(file, "low")}
        standard = read_array(file, "standard")
    for method in METHODS:
        with open_hdf5(study / f"restored/phantom/low/{method}/r0.h5", kind="restored") as file:
            columns[method] = read_array(file, "single")
    columns["standard dose"] = standard

    figure = new_figure(11, 3.5)
    figure.set_layout_engine("none")
    axes = figure.subplots(
        len(SLICES), len(columns), gridspec_kw={"wspace": 0.02, "hspace": 0.02}, squeeze=False
    )
    for name, panel in zip(columns, axes[0], strict=True):
        panel.set_title(name, fontsize=NORMAL)
    for row, key in zip(axes, SLICES, strict=True):
        index = keys.index(key)
        peak = standard[index].max()
        for panel, (name, images) in zip(row, columns.items(), strict=True):
            image = images[index, WINDOW, WINDOW]
            is_t1 = name == "T1"
            colours, most = ("gray", np.max(image)) if is_t1 else (ACTIVITY_COLOURS, peak)
            panel.imshow(image, cmap=colours, vmin=0, vmax=most)
            panel.set_axis_off()
    target = Path(__file__).with_name("picture.png")
    figure.savefig(target, dpi=110, bbox_inches="tight", pad_inches=0.03)
    print(target)


if __name__ == "__main__":
    main()
