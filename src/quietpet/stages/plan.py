"""Stage plan: weights of a diffusion method and validation slices -> quality of each sampler."""

from __future__ import annotations

from quietpet.data.batches import spread_rows
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.evaluation.sampling import SamplingPlan
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.jobs.methods import PlanJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device
from quietpet.runtime.planning import measured_samplers
from quietpet.runtime.t1 import require_t1
from quietpet.training.weights import load_weights


def run(job: PlanJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``weights`` and ``validation``; output ``plan``, JSON: all rows, and what they propose."""
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("validation"))
    if job.planner.slices > len(pairs):
        raise InputError(
            f"planner.slices = {job.planner.slices}, but {pairs.path} holds {len(pairs)} slices."
        )
    require_t1(job, pairs)
    rows = spread_rows(len(pairs), job.planner.slices)
    trained, lineage = load_weights(inputs.one("weights"), job.model)
    common_lineage([(inputs.one("weights"), lineage), (pairs.path, pairs.lineage)])
    measured = measured_samplers(job, trained, pairs, rows, device)
    plan = SamplingPlan(rows=measured, tolerance_db=job.planner.tolerance_db)
    origin = provenance(
        "plan",
        settings=job.model_dump(mode="json"),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=job.named_code,
    )
    slices = [pairs.keys[row] for row in rows]
    write_json(outputs.one("plan"), {**plan.record(), "slices": slices, "provenance": origin})
