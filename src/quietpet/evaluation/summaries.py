"""What the rows of one setting say, in a sentence or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.tables import TableRow

_RANKED = (("nmse", min, "least NMSE"), ("psnr_db", max, "most PSNR"), ("ssim", max, "most SSIM"))


def summary_of_setting(rows: Sequence[TableRow]) -> str:
    """Which method has the best mean of each common metric, by how much more than the next one.

    Of single restorations, in the variant that ranks methods. It says how many subjects that is from,
    and claims no difference between methods.
    """
    words = [text for name, best, what in _RANKED if (text := _best(rows, name, best, what))]
    subjects = max(row.n_subjects for row in rows)
    limit = (
        "one test subject, so that no difference between methods can be tested"
        if subjects == 1
        else f"means of {subjects} test subjects"
    )
    return f"{'; '.join(words)} ({limit})." if words else f"no method was scored alone ({limit})."


def _best(rows: Sequence[TableRow], metric: str, best: Callable[..., TableRow], what: str) -> str:
    """The best two means of one metric in words; empty without any."""
    found = {
        (row.method, row.learning): row
        for row in rows
        if (row.metric, row.variant, row.estimate) == (metric, QUANTITATIVE.name, "single")
    }
    if not found:
        return ""
    first = best(found.values(), key=lambda row: row.mean)
    others = [row for row in found.values() if row is not first]
    digits = metric_of(metric, QUANTITATIVE.name).digits
    text = f"`{first.method}` has the {what}, {first.mean:.{digits}f}"
    if others:
        second = best(others, key=lambda row: row.mean)
        text += f", before `{second.method}`, {second.mean:.{digits}f}"
    return text
