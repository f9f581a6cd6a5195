"""Stage restore: weights and test slices -> restored slices in their original unit."""

from __future__ import annotations

from quietpet.data.dataset import PairDataset
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.records import write_record
from quietpet.jobs.methods import RestoreJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device, placed
from quietpet.runtime.measuring import engines_behind, measured_slices
from quietpet.runtime.restoring import learned_method, require_whole_heads, restored_record
from quietpet.runtime.t1 import require_t1
from quietpet.training.memory import keep_freed_memory


def run(job: RestoreJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``test`` and, of methods that have any, ``weights``; output ``restored``, HDF5.

    A method that reconstructs also takes the ``sinograms`` of all test subjects.
    Images are zero outside the restored square.
    """
    keep_freed_memory()
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("test"))
    pairs.require_split("test")
    require_whole_heads(pairs, job.inference.pixels)
    require_t1(job, pairs)
    method, learned = learned_method(job, inputs.get("weights"))
    placed(method, device, half=job.half)
    measured = measured_slices(job, inputs, pairs, device)
    common_lineage([*learned, (pairs.path, pairs.lineage)])
    restored = restored_record(method, pairs, job, measured, device)
    origin = provenance(
        "restore",
        settings=job.model_dump(mode="json"),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=job.named_code,
        engines=engines_behind(job, pairs),
    )
    write_record(outputs.one("restored"), restored, provenance=origin)
