"""Stage robustness: weights and test slices -> scores of the slices restored with a wrong T1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quietpet.data.wrong_t1 import WrongT1Pairs
from quietpet.evaluation.metrics import PRINCIPAL
from quietpet.evaluation.robustness import ROBUSTNESS_SCORE_COLUMNS
from quietpet.evaluation.scoring import require_reference, score_rows
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.packed import ReferenceSlices
from quietpet.files.records import read_record
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.robustness import RobustnessJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device, placed
from quietpet.runtime.measuring import engines_behind, measured_slices
from quietpet.runtime.restoring import learned_method, require_whole_heads, restored_record
from quietpet.runtime.t1 import require_t1
from quietpet.training.memory import keep_freed_memory


def run(job: RobustnessJob, inputs: Files, outputs: Files) -> None:
    """Inputs as those of ``restore``; output ``scores``, CSV, and, if asked for, ``provenance``.

    Noise, if the method samples, is that of the ordinary restoration, so that the rows of the subject's
    own T1 are those that ``score`` writes of it. PSNR, SSIM and NMSE are measured, which the table has.
    The method is loaded once; no image is kept.
    """
    keep_freed_memory()
    watch, device = Stopwatch(), compute_device()
    data_sets = [
        WrongT1Pairs(inputs.one("test"), condition=each, study_seed=job.study_seed)
        for each in job.conditions
    ]
    pairs = data_sets[0]
    require_whole_heads(pairs, job.inference.pixels)
    require_t1(job, *data_sets)
    reference = read_record(pairs.path, ReferenceSlices)
    require_reference(reference)
    method, learned = learned_method(job, inputs.get("weights"))
    placed(method, device, half=job.half)
    measured = measured_slices(job, inputs, pairs, device)
    common_lineage([*learned, (pairs.path, pairs.lineage)])

    def rows() -> Iterator[dict[str, Any]]:
        for condition, wrong in zip(job.conditions, data_sets, strict=True):
            restored = restored_record(method, wrong, job, measured, device, called=f", T1 {condition}")
            scores = score_rows(
                restored,
                reference,
                metrics=PRINCIPAL,
                paper_window_pixels=job.evaluation.paper_window_pixels,
            )
            for row in scores:
                yield {"t1": condition, **row}

    write_csv(outputs.one("scores"), ROBUSTNESS_SCORE_COLUMNS, rows())
    if sidecar := outputs.get("provenance"):
        origin = provenance(
            "robustness",
            settings=job.model_dump(mode="json"),
            inputs=inputs.all(),
            watch=watch,
            device=str(device),
            also=job.named_code,
            engines=engines_behind(job, pairs),
        )
        write_json(sidecar, origin)
