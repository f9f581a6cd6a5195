"""What regional activity must have in common before cohorts are compared."""

from __future__ import annotations

import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.cohort_rows import LOW, STANDARD, TRUTH, CohortPlan
from quietpet.evaluation.scoring import LINEAGE

_RUN = ["dataset", "setting", "method", "learning", "estimate"]


def require_comparable(regions: pd.DataFrame, plan: CohortPlan) -> None:
    """Refuse regional activity that names what ``plan`` does not know, or that cannot be compared.

    Raises:
        InputError: unknown or missing data sets and methods, a reference that is no region of every
            subject, rows that are there twice, and rows that were made of different images.
    """
    _check_names(regions, plan)
    _check_labels(regions)
    _check_runs(regions)
    _check_images(regions)
    for column in LINEAGE:
        if len(found := sorted(regions[column].unique())) > 1:
            raise InputError(
                f"cohorts: would compare images of the {column} values {', '.join(found)}; make the "
                "older ones again."
            )
    for (dataset, subject), block in regions.groupby(["dataset", "subject"]):
        if plan.reference not in set(block["region"]):
            raise InputError(
                f"cohorts.reference = {plan.reference!r}: no slice of subject {subject!r} of {dataset} "
                f"has it, but {', '.join(sorted(block['region'].unique()))}; choose one that all have."
            )


def _check_names(regions: pd.DataFrame, plan: CohortPlan) -> None:
    for what, names, known in (
        ("data set", regions["dataset"], plan.cohorts),
        ("method", regions["method"], plan.methods),
    ):
        if unknown := sorted(set(names) - set(known)):
            raise InputError(
                f"regional activity of the unknown {what} {unknown[0]!r}; known: {', '.join(known)}. "
                "Leave it out."
            )
    for dataset in plan.cohorts:
        if dataset not in set(regions["dataset"]):
            raise InputError(f"cohorts: there is no regional activity of {dataset!r}; score it first.")


def _check_labels(regions: pd.DataFrame) -> None:
    """The same number for a region in all data sets."""
    known = regions[["label", "region"]].drop_duplicates()
    for column, other in (("label", "region"), ("region", "label")):
        if (repeated := known.duplicated(column, keep=False)).any():
            first = known[repeated].sort_values(["label", "region"])
            raise InputError(
                f"cohorts: data sets number regions differently: {column} "
                f"{first[column].iloc[0]} is {' and '.join(map(str, first[other].head(2)))}; make the "
                "older one again."
            )


def _check_runs(regions: pd.DataFrame) -> None:
    """Each subject once per training, the same ones by all; the same methods in all cohorts."""
    repeated = regions.duplicated([*_RUN, "replicate", "subject", "region"])
    if repeated.any():
        first = dict(regions.loc[repeated, [*_RUN, "replicate", "subject", "region"]].iloc[0])
        raise InputError(f"cohorts: a region was measured twice: {first}.")
    for (dataset, setting), block in regions.groupby(["dataset", "setting"]):
        places = block["subject"] + "/" + block["region"]
        measured = places.groupby([block[name] for name in (*_RUN[2:], "replicate")]).agg(frozenset)
        differing = measured[measured != measured.iloc[0]]
        if len(differing):
            raise InputError(
                f"{dataset}/{setting}: {differing.index[0]} was measured in other subjects or regions "
                f"than {measured.index[0]}. Make the older ones again."
            )
    scored = regions.groupby("dataset")[[*_RUN[1:], "replicate"]].apply(
        lambda block: frozenset(block.itertuples(index=False, name=None))
    )
    for dataset, runs in scored.items():
        if missing := sorted(scored.iloc[0] ^ runs):
            raise InputError(
                f"cohorts: {missing[0]} was measured in {scored.index[0]} or in {dataset}, not in both; "
                "score what is missing."
            )


def _check_images(regions: pd.DataFrame) -> None:
    """All methods restored the same slices."""
    columns = [LOW, STANDARD, TRUTH, "pixels"]
    place = ["dataset", "setting", "subject", "region"]
    found = regions.groupby(place)[columns].nunique()
    if (differing := found[(found > 1).any(axis="columns")]).size:
        raise InputError(
            f"cohorts: {differing.index[0]} was measured in different images by different methods; make "
            "the older ones again."
        )
