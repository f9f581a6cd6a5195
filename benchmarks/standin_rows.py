"""How noisy are stand-in scans, from published numbers, and how noisy was the published low dose?

    python benchmarks/standin_rows.py --brainweb <folder> --heads 51 52 53

Prints for each head the uptake of the brain, and for each published low dose the expected prompts of
the middle 80 mm, and PSNR (`paper`) and NMSE (`paper`, `quantitative`) of the unprocessed low dose,
beside the published values. Windows and doses are those of the small study; further lines change the
filter and the place of the windows. Slices are cut as those of a registered T1, 2.5 to 18.5 mm above
the middle.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measures import measured
from scipy import ndimage

from quietpet.acquisition.dose import decay_factor
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.standin import StandinScanSettings
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE
from quietpet.evaluation.published import PublishedKey, published_values
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.brainweb import read_sources, read_volume, with_sound_end
from quietpet.phantom.tissues import LabelVolume, Tissue
from quietpet.standin.anatomy import CLASSES, attenuation_slices, draw_t1_geometry, tissue_fractions
from quietpet.standin.kinetics import (
    BOLUS_FRACTIONS,
    Administration,
    Plasma,
    frame_decays,
    frame_weights,
)
from quietpet.standin.scan import Frame, Scanner, head_in_scanner, measured_frames, standin_grid

SOURCES = Path(__file__).parents[1] / "workflow" / "sources.tsv"
SCANNER = ScannerSettings()
WINDOW_PIXELS = 132
MEASURED = (("psnr_db", PAPER), ("nmse", PAPER), ("nmse", QUANTITATIVE))
HEIGHTS_MM = (2.5, 6.5, 10.5, 14.5, 18.5)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A published low dose: table, data set and setting, and how it is simulated."""

    table: str
    dataset: str
    setting: str
    injected_mbq: float
    given: str = "infusion"
    infusion_minutes: float = 95.0
    minutes: float = 16 / 60


ROWS = (
    Row(table="2", dataset="ood1", setting="16s", injected_mbq=233),
    Row(table="2", dataset="ood1", setting="2min", injected_mbq=233, minutes=2.0),
    Row(table="3", dataset="ood2", setting="ld", injected_mbq=225),
    Row(table="3", dataset="ood2", setting="uld", injected_mbq=167),
    Row(table="4", dataset="ood3", setting="bolus", injected_mbq=238, given="bolus"),
    Row(table="4", dataset="ood3", setting="infusion", injected_mbq=252, infusion_minutes=55),
    Row(
        table="4", dataset="ood3", setting="bolus_infusion", injected_mbq=247, given="bolus_infusion",
        infusion_minutes=55,
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brainweb", type=Path, required=True, help="folder of subject_XX.bin.gz")
    parser.add_argument("--heads", nargs="+", default=["51", "52", "53"])
    parser.add_argument("--replicates", type=int, default=2, help="noise realisations of each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scan = StandinScanSettings()
    volumes = {head: _volume(options.brainweb, head) for head in options.heads}
    for head, volume in volumes.items():
        print(_uptake(head, volume, scan))
    for name, settings, start in (
        ("as in the small study", scan, 30.0),
        ("filter 5 mm", scan.model_copy(update={"post_fwhm_mm": 5.0}), 30.0),
        ("windows within 60 to 90 min", scan, 60.0),
    ):
        print(f"\n{name}")
        print("| setting | prompts (million) | PSNR (dB) | NMSE | NMSE, same units | published |")
        print("|---" * 6 + "|")
        scanners = [_scanner(volume, settings) for volume in volumes.values()]
        for row in ROWS:
            found = [_measure(s, row, settings, start, options.replicates) for s in scanners]
            print(_line(row, np.mean(found, axis=0)), flush=True)


def _volume(folder: Path, head: str) -> LabelVolume:
    path = folder / f"subject_{head}.bin.gz"
    return with_sound_end(read_volume(path, source=read_sources(SOURCES)[head]))


def _uptake(head: str, volume: LabelVolume, scan: StandinScanSettings) -> str:
    """An hour after a bolus of 1 MBq: mean SUV of grey and white matter, and their part of it."""
    bolus = Row(table="", dataset="", setting="", injected_mbq=1.0, given="bolus")
    frame = _frame(bolus, scan, 60.0, 1.0)
    kbq_per_ml = frame.decays / frame.weight_minutes
    ml = {
        tissue: (volume.codes == tissue).sum() * volume.voxel_mm**3 / 1000
        for tissue in (Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    }
    kbq = sum(kbq_per_ml[CLASSES.index(tissue.name.lower())] * ml[tissue] for tissue in ml)
    suv = kbq / sum(ml.values()) * scan.weight_kg
    return (
        f"head {head}: grey and white matter {sum(ml.values()):.0f} ml, mean SUV {suv:.1f}, "
        f"{kbq / 10:.1f} % of the injected activity"
    )


def _scanner(volume: LabelVolume, scan: StandinScanSettings) -> Scanner:
    """The middle 80 mm of a head: the rest is not reconstructed."""
    grid = standin_grid(SCANNER, axial_step=scan.axial_step)
    mu_per_cm = attenuation_slices(volume, values=PhantomSettings().mu_per_cm, grid=grid)
    mu_per_cm[np.abs(grid.slice_positions_mm - np.mean(HEIGHTS_MM)) > 40] = 0
    return head_in_scanner(
        tissue_fractions(volume, grid=grid),
        mu_per_cm,
        grid=grid,
        scanner=SCANNER,
        scan=scan,
        rng=np.random.default_rng(0),
    )


def _measure(
    scanner: Scanner, row: Row, scan: StandinScanSettings, start: float, replicates: int
) -> tuple[float, ...]:
    """Prompts of the middle 80 mm [million], and the mean of each of MEASURED over slices.

    Low doses are means of frames of 16 s, as in a study; the long one is reconstructed at once.
    """
    first, step = start + 15 - row.minutes / 2, scan.shortest_frame_s / 60
    frames_each = round(row.minutes / step)
    low = [_frame(row, scan, first + number * step, step) for number in range(frames_each)]
    frames = [_frame(row, scan, start, 30.0), *low * replicates]
    images = measured_frames(scanner, frames, scan=scan, generator_of=np.random.default_rng)
    (standard, _), *shown = [(_cut(image, scanner.grid), counts) for image, counts in images]
    lows = np.stack([images for images, _ in shown]).reshape(replicates, frames_each, *standard.shape)
    scores = [
        [
            measured(name, variant, image, reference, window_pixels=WINDOW_PIXELS)
            for name, variant in MEASURED
        ]
        for images in lows.mean(axis=1)
        for image, reference in zip(images, standard, strict=True)
    ]
    prompts = sum(counts for _, counts in shown) / replicates
    return (prompts / 1e6, *np.mean(scores, axis=0))


def _frame(row: Row, scan: StandinScanSettings, start: float, minutes: float) -> Frame:
    given = Administration(
        injected_mbq=row.injected_mbq,
        bolus_fraction=BOLUS_FRACTIONS[row.given],
        infusion_minutes=row.infusion_minutes,
    )
    edges, half_life = [(start, start + minutes)], scan.half_life_minutes
    plasma = Plasma(suv=scan.plasma_suv, weight_kg=scan.weight_kg)
    decays = [
        frame_decays(getattr(scan.kinetics, name), plasma, given, edges, half_life_minutes=half_life)[0]
        for name in CLASSES
    ]
    middle = start + minutes / 2
    return Frame(
        decays=np.array(decays),
        weight_minutes=float(frame_weights(edges, half_life_minutes=half_life)[0]),
        body_mbq=given.given_mbq(middle) * decay_factor(middle, half_life_minutes=half_life),
    )


def _cut(image: np.ndarray, grid: ImageGrid) -> np.ndarray:
    """Slices (slice, y, x) of a volume (z, y, x), once interpolated linearly after a rigid motion."""
    motion = draw_t1_geometry(
        shape=(1, 1, 1),
        voxel_mm=1.0,
        max_rotation_deg=5.0,
        max_translation_mm=1.0,
        rng=np.random.default_rng(0),
    ).t1_to_pet_ras_mm
    axis_mm = (np.arange(WINDOW_PIXELS) - WINDOW_PIXELS // 2) * grid.pixel_mm
    right_mm, front_mm, up_mm = np.meshgrid(axis_mm, -axis_mm, HEIGHTS_MM, indexing="ij")
    at_mm = np.stack([right_mm, front_mm, up_mm, np.ones_like(up_mm)]).reshape(4, -1)
    right, front, up, _ = motion @ at_mm
    index = np.stack(
        [
            up / grid.slice_mm + (grid.n_slices - 1) / 2,
            grid.centre_index - front / grid.pixel_mm,
            grid.centre_index + right / grid.pixel_mm,
        ]
    )
    planes = ndimage.map_coordinates(image, index, order=1).reshape(right_mm.shape)
    return planes.transpose(2, 1, 0)


def _line(row: Row, found: np.ndarray) -> str:
    values = published_values()
    published = [
        values[PublishedKey(row.table, row.dataset, row.setting, "lpet", metric)].mean
        for metric in ("psnr_db", "nmse")
    ]
    prompts, psnr_db, nmse, nmse_same_units = found
    return (
        f"| {row.dataset}/{row.setting} | {prompts:.2f} | {psnr_db:.1f} | {nmse:.3f} "
        f"| {nmse_same_units:.3f} | {published[0]:.1f}, {published[1]:.3f} |"
    )


if __name__ == "__main__":
    main()
