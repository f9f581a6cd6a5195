"""``register``: bring the PET images of one scan onto the voxels of its T1."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.files.lineage import UNREGISTERED
from quietpet.files.named import Files
from quietpet.files.text import write_json, write_text
from quietpet.files.volumes import read_description, read_volume, write_volume
from quietpet.geometry.volume import Volume, is_missing
from quietpet.jobs.invivo import RegisterJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.choice import decided, registered
from quietpet.registration.credible import require_credible
from quietpet.registration.figure import write_figure, write_figure_without_t1
from quietpet.registration.formats import transform_texts
from quietpet.registration.volume import RigidTransform, require_image, resample

logger = logging.getLogger(__name__)


def run(job: RegisterJob, inputs: Files, outputs: Files) -> None:
    """``standard``, ``t1`` and ``low`` (several, or none) -> PET under the same names, and the record.

    ``engine`` is the decision of a study whose engine is auto; without, what works here decides.
    ``transform`` is the user's, where the engine is file.
    The long ``standard`` image alone is registered; the short ``low`` frames of the same scan, too noisy
    for that, follow its transform. Each is interpolated once. A scan without T1 stays where it is: its
    images are copied, the transform is the identity, and the engine of the record is "none". The record:
    ``registration`` (JSON), ``itk`` (.tfm), ``matrix`` (RAS mm) and ``fsl`` (text), ``figure`` (PNG).
    """
    watch, settings = Stopwatch(), decided(job.registration, inputs.get("engine"))
    names = (str(inputs.one("t1")), str(inputs.one("standard")))
    t1, standard = read_volume(inputs.one("t1")), read_volume(inputs.one("standard"))
    moved = _moved(inputs, outputs)
    low = [_low_of(standard, path, inputs.one("standard"), job) for path in inputs.any("low")]
    if is_missing(t1):
        _leave_in_place(job, inputs, outputs, dict(zip(moved, (standard, *low), strict=True)))
        return
    found = registered(t1, standard, settings, given=inputs.get("transform"), names=names)
    found.tell(job.scan)
    require_credible(found, settings, names=names)
    for (path, target), image in zip(moved, (standard, *low), strict=True):
        description = read_description(path)  # of the window and the unit
        write_volume(target, resample(image, found.transform, like=t1), description=description)
    for name, text in transform_texts(found.transform, fixed=t1, moving=standard).items():
        write_text(outputs.one(name), text)
    write_figure(outputs.one("figure"), t1, standard, found, title=job.scan)
    origin = provenance(
        "register",
        settings=job.model_dump(),
        inputs=inputs.all(),
        watch=watch,
        engines={found.engine: found.version},
    )
    record = {"scan": job.scan, **found.record(), "provenance": origin}
    write_json(outputs.one("registration"), record)


def _leave_in_place(
    job: RegisterJob, inputs: Files, outputs: Files, images: Mapping[tuple[Path, Path], Volume]
) -> None:
    """Copies of the ``images``, by their old and new path, the standard one first, and the record.

    Raises:
        InputError: a transform is given, and there is no T1 that it could start from.
    """
    watch, (standard, *_) = Stopwatch(), images.values()
    if given := inputs.get("transform"):
        raise InputError(
            f"{given}: is given for a scan without T1 ({inputs.one('t1')}), from which it could lead to "
            "PET. Add the T1, leave the participant out of invivo.datasets, or choose another "
            "registration.engine."
        )
    logger.warning("%s: no T1, nothing to register to; the images stay on their own grid", job.scan)
    require_image(standard, str(inputs.one("standard")))
    for (path, target), image in images.items():
        write_volume(target, image, description=read_description(path))
    identity = RigidTransform.identity()
    for name, text in transform_texts(identity, fixed=standard, moving=standard).items():
        write_text(outputs.one(name), text)
    write_figure_without_t1(outputs.one("figure"), standard, title=job.scan)
    origin = provenance("register", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    record = {
        "scan": job.scan,
        "engine": UNREGISTERED,
        "t1_to_pet_ras_mm": identity.fixed_to_moving.tolist(),
        "provenance": origin,
    }
    write_json(outputs.one("registration"), record)


def _moved(inputs: Files, outputs: Files) -> list[tuple[Path, Path]]:
    """Every PET image, the standard one first, and where it is written.

    Raises:
        InputError: as many short frames were not given as are to be written.
    """
    low, targets = inputs.any("low"), outputs.any("low")
    if len(low) != len(targets):
        raise InputError(
            f"{len(low)} inputs are called 'low', but {len(targets)} outputs; give as many."
        )
    return [(inputs.one("standard"), outputs.one("standard")), *zip(low, targets, strict=True)]


def _low_of(standard: Volume, path: Path, standard_path: Path, job: RegisterJob) -> Volume:
    """A low dose, which must lie where the standard image does for its transform to hold.

    Raises:
        InputError: it lies elsewhere, is empty or not finite.
    """
    frame = read_volume(path)
    require_image(frame, str(path))
    same_grid = frame.values.shape == standard.values.shape and np.allclose(
        frame.affine_ras_mm, standard.affine_ras_mm, atol=1e-3
    )
    if not (same_grid or job.own_grids):
        raise InputError(
            f"{path}: does not lie on the voxels of {standard_path}, whose transform it is to follow; "
            "import both from the same series."
        )
    return frame
