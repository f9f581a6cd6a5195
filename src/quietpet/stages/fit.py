"""Stage fit: training and validation slices -> weights and training log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from quietpet.files.named import Files
from quietpet.files.text import write_text
from quietpet.fingerprint.walk import fingerprint
from quietpet.jobs.methods import FitJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.provenance import Stopwatch, file_digest, provenance, settings_digest
from quietpet.runtime.device import compute_device
from quietpet.runtime.fitting import fabric_of, names_of, trained
from quietpet.runtime.learning_data import LearningData, at_rate, rate_trials
from quietpet.runtime.measuring import engines_behind
from quietpet.seeds import named_seed
from quietpet.training.card import model_card
from quietpet.training.checkpoint import Checkpoint, LogRow
from quietpet.training.log import TrainingLog
from quietpet.training.memory import keep_freed_memory
from quietpet.training.weights import save_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


def run(job: FitJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``train`` and ``validation``; outputs ``weights`` (safetensors) and ``log`` (CSV).

    There may be several ``train``, in the order of ``job.trained_on``. A later stage of learning takes
    the weights it starts from as ``start``.
    If asked for, also ``card``: Markdown that says what the weights are, and what not.
    Where the learning rate is chosen, ``rate`` is the file of the stage ``learning_rate``.
    A method that reconstructs also takes the ``sinograms`` of all validation subjects, and if it is
    trained the ``train_sinograms`` of all training subjects.
    """
    keep_freed_memory()
    watch, settings, names = Stopwatch(), job.model_dump(mode="json"), names_of(job)
    if chosen := rate_trials(job, inputs.get("rate")):
        job = at_rate(job, chosen)
    torch.manual_seed(named_seed(job.study_seed, *names, "initial weights"))
    method = build(job.model.for_training())  # validation draws samples, whatever sampler is chosen
    fabric = fabric_of(job, groups=len(method.groups())) if method.groups() else None
    device = fabric.device if fabric else compute_device()
    log = TrainingLog(outputs.one("log"), names=names)
    data = LearningData.of(job, inputs, device)
    checkpoint = Checkpoint(outputs.one("weights"), digest=_job_digest(job, inputs, fabric))
    logger.info("%s: %d parameters", job.method, method.parameter_count)
    rows: tuple[LogRow, ...] = ()
    if fabric:
        rows = trained(method, job, data, checkpoint=checkpoint, report=log.report, fabric=fabric)
        if not fabric.is_global_zero:
            return
    else:
        method.begin(data.validation(job, device), data.start)
    ended = _Training(job=job, method=method, data=data, rows=rows, processes=_processes(fabric))
    origin = ended.origin(inputs, settings=settings, watch=watch, device=device)
    save_weights(
        outputs.one("weights"), method, settings=job.model, lineage=data.lineage, provenance=origin
    )
    if card := outputs.get("card"):
        write_text(card, ended.card(rate=chosen.describe() if chosen else "", provenance=origin))
    log.finish(rows)
    checkpoint.remove()


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A training that has ended, and what is told of it."""

    job: FitJob
    method: Restorer
    data: LearningData
    rows: tuple[LogRow, ...]
    processes: int

    def origin(
        self, inputs: Files, *, settings: dict[str, Any], watch: Stopwatch, device: torch.device
    ) -> dict[str, Any]:
        """The provenance of the weights; ``settings`` are those of the job as it was given."""
        origin = provenance(
            "fit",
            settings=settings,
            inputs=inputs.all(),
            watch=watch,
            device=f"{self.processes} x {device.type}" if self.processes > 1 else str(device),
            also=self.job.named_code,
            engines=engines_behind(self.job, self.data.held_out),
        )
        rate = {"learning_rate": self.job.training.learning_rate} if self.rows else {}
        return origin | rate

    def card(self, *, rate: str, provenance: dict[str, Any]) -> str:
        """What the weights are, and what not, in Markdown; ``rate`` says how it was chosen."""
        job = self.job
        return model_card(
            title=f"{job.method}, trained for {job.dataset}/{job.setting}, replicate {job.replicate}",
            model=job.model,
            parameters=self.method.parameter_count,
            training=job.training,
            data=self.data.describe(),
            rows=self.rows,
            rate=rate,
            provenance=provenance,
        )


def _processes(fabric: Fabric | None) -> int:
    return fabric.world_size if fabric else 1


def _job_digest(job: FitJob, inputs: Files, fabric: Fabric | None) -> str:
    """Names everything that a training depends on: settings, code and data."""
    return settings_digest(
        {
            "job": job.model_dump(mode="json"),
            "code": fingerprint("stages.fit", *job.named_code),
            "processes": _processes(fabric),
            "data": [file_digest(path) for path in inputs.all()],
        }
    )
