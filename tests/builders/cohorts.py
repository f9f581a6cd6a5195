"""Regional activity of two made-up cohorts, as `score` writes it, restored by simple methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from quietpet.config.comparison import HEAD
from quietpet.evaluation.cohort_rows import CohortPlan
from quietpet.evaluation.regions import REGION_COLUMNS

REGIONS = ("precuneus", "temporal", "sensorimotor", HEAD)
LABELS = {name: (number + 1) % len(REGIONS) for number, name in enumerate(REGIONS)}
LOSS = {"precuneus": 0.25, "temporal": 0.15}
"""Part of the uptake that disease takes."""

Profile = Mapping[str, float]
"""Mean of each region of one subject in one image."""
Method = Callable[[dict[str, Profile], int, bool], Profile]
"""From the images low, standard and truth of a subject, its number and diagnosis to what is restored."""


def plan(*methods: str, **changed: Any) -> CohortPlan:
    settings = {
        "healthy": "healthy", "diseased": ("alzheimer",), "reference": "sensorimotor",
        "confidence": 0.95, "protocol": "tiny", "methods": methods,
    }  # fmt: skip
    return CohortPlan(**{**settings, **changed})


def subject(name: str, *, diseased: bool) -> dict[str, Profile]:
    """Images of one head: uptake that varies by 5 %, less what disease takes, noise of low doses."""
    rng = np.random.default_rng([*name.encode(), diseased])
    whole = rng.uniform(80, 120)
    truth = {
        region: whole * (1 - diseased * LOSS.get(region, 0)) * rng.normal(1, 0.05) for region in REGIONS
    }
    standard = {region: 0.9 * mean for region, mean in truth.items()}
    low = {region: mean * rng.normal(1, 0.03) for region, mean in standard.items()}
    return {"truth": truth, "standard": standard, "low": low}


def identity(images: dict[str, Profile], _number: int, _diseased: bool) -> Profile:
    """The standard dose itself."""
    return images["standard"]


def blurred(images: dict[str, Profile], _number: int, _diseased: bool) -> Profile:
    """Every region becomes the head's mean."""
    return dict.fromkeys(REGIONS, images["standard"][HEAD])


def measured(
    methods: Mapping[str, Method],
    *,
    n: int = 6,
    setting: str = "x20",
    same_heads: bool = False,
    replicates: int = 1,
) -> pd.DataFrame:
    """Rows of both cohorts with ``n`` subjects each."""
    rows = []
    for dataset, diseased in (("healthy", False), ("alzheimer", True)):
        for number in range(n):
            name = f"{number if same_heads or not diseased else number + 50:02d}"
            images = subject(name, diseased=diseased)
            for method, restore in methods.items():
                restored = restore(images, number, diseased)
                place = {"dataset": dataset, "setting": setting, "method": method, "learning": "-"}
                place |= {"estimate": "single", "subject": name, "pixels": 40}
                place |= {"data_source": "template", "projector": "embedded", "registration": "-"}
                rows += [
                    {
                        **place, "replicate": f"r{replicate}", "label": LABELS[region], "region": region,
                        "restored": restored[region],
                        **{image: profile[region] for image, profile in images.items()},
                    }
                    for replicate in range(replicates)
                    for region in REGIONS
                ]  # fmt: skip
    return pd.DataFrame(rows)[list(REGION_COLUMNS)]
