"""Images against their side-cars and against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from quietpet.files.placement import header_faults
from quietpet.files.series import ImageHeader
from quietpet.invivo import geometry
from quietpet.invivo.findings import DATA_SET, Finding, Origin
from quietpet.invivo.scans import Dataset, Image, Participant, t1_candidates
from quietpet.invivo.sidecar import numbers
from quietpet.invivo.timing import timing_or_none


def image_findings(dataset: Dataset) -> Iterator[Finding]:
    """Headers against side-cars, and PET against T1."""
    if not dataset.has_images:
        yield Origin(participant=DATA_SET, file="-").finding(
            "no-images",
            "note",
            "*.nii.gz",
            value="no image in the whole tree",
            expected="PET and T1 images",
            evidence="only side-cars and tables were audited, and no header was compared with them",
        )
        return
    for participant in dataset.participants:
        for runs in participant.series:
            for run, image in enumerate(runs):
                yield from _one_image(image, whole=_is_one_frame(runs, run), is_pet=True)
        for image in participant.t1:
            whole = image.header is not None and image.header.n_frames == 1
            yield from _one_image(image, whole=whole, is_pet=False)
        yield from _companions(participant)


def _one_image(image: Image, *, whole: bool, is_pet: bool) -> Iterator[Finding]:
    """``whole``: the image may well be one volume."""
    yield from _foreign_files(image)
    if (header := image.header) is None:
        yield from _absence(image)
        return
    yield from naming_findings(header, image.image_origin)
    yield from _dimensions(header, image.image_origin, whole=whole, is_pet=is_pet)
    faults = [*header_faults(header)]
    if is_pet:
        cosines = numbers(image.values, "ImageOrientationPatientDICOM")
        faults += geometry.dicom_faults(header, cosines)
        faults += geometry.voxel_faults(header, numbers(image.values, "ImageVoxelSize"))
    for fault in faults:
        yield geometry_finding(image.image_origin, fault)


def _foreign_files(image: Image) -> Iterator[Finding]:
    """Files of other formats under the image's name."""
    for foreign in image.foreign:
        yield replace(image.image_origin, file=foreign.file).finding(
            "image-format",
            "warning" if image.is_there else "error",
            "file name",
            value=foreign.what,
            expected=f"{image.stem.rpartition('/')[2]}.nii.gz, or its .json",
            evidence=foreign.remedy,
        )


def _absence(image: Image) -> Iterator[Finding]:
    """Why there is no image that can be read."""
    origin = image.image_origin
    if image.twin:
        yield origin.finding(
            "two-images",
            "error",
            "file name",
            value=f"{image.twin} lies beside it",
            expected="one image of a name",
            evidence="nothing says which of the two is meant",
        )
    elif image.fault:
        yield origin.finding(
            "unreadable-image",
            "error",
            "image",
            value=image.fault.removeprefix(f"{origin.file}: "),
            expected="a NIfTI image",
            evidence="opened",
        )
    elif not image.foreign:
        linked = "a link to an image that was not fetched"
        yield origin.finding(
            "missing-image",
            "warning",
            "image",
            value=linked if image.not_fetched else "no image beside the side-car",
            expected="a NIfTI image",
            evidence="other images are there",
        )


def naming_findings(header: ImageHeader, origin: Origin) -> Iterator[Finding]:
    """Whether the name says how the file is stored."""
    if header.misnamed:
        yield origin.finding(
            "misnamed-gz",
            "warning",
            "file name",
            value="gzip without .gz" if header.gzipped else ".gz, but not compressed",
            expected="named as it is stored",
            evidence=f"the first two bytes are {'' if header.gzipped else 'not '}1f 8b",
            correction="read as it is stored",
        )


def _dimensions(header: ImageHeader, origin: Origin, *, whole: bool, is_pet: bool) -> Iterator[Finding]:
    """PET has frames and T1 has none; ``whole``: the image may well be one volume."""
    if len(header.shape) != (4 if is_pet else 3) and not (len(header.shape) in (3, 4) and whole):
        yield origin.finding(
            "dimensions",
            "error",
            "dim",
            value=f"{len(header.shape)}-D, {list(header.shape)}",
            expected="4-D, or one frame in FrameTimesStart and FrameDuration" if is_pet else "3-D",
            evidence="a dynamic PET series has frames" if is_pet else "a T1 image is one volume",
        )


def _is_one_frame(runs: Sequence[Image], run: int) -> bool:
    """Whether a run is one volume, and the side-cars know when it was measured."""
    header = runs[run].header
    one_frame = header is not None and header.n_frames == 1
    return one_frame and timing_or_none(runs, run, n_frames=1) is not None


def several_t1_findings(dataset: Dataset) -> Iterator[Finding]:
    """T1 images among which an import cannot choose."""
    for participant in dataset.participants:
        choices = (t1_candidates(participant.t1, image) for image in participant.pet)
        for images in {tuple(image.stem for image in images): images for images in choices}.values():
            if len(images) > 1:
                yield images[0].image_origin.finding(
                    "several-t1",
                    "warning",
                    "T1w",
                    value=", ".join(image.stem.rpartition("/")[2] for image in images),
                    expected="one, to which PET is registered",
                    evidence="nothing in the data set says which",
                    correction="none: an import asks for invivo.sources.*.t1",
                )


def _companions(participant: Participant) -> Iterator[Finding]:
    if participant.pet and not any(image.is_there or image.foreign for image in participant.t1):
        yield participant.pet[0].image_origin.finding(
            "missing-t1",
            "warning",
            "anat",
            value="a side-car without its T1w image" if participant.t1 else "no T1w image",
            expected="anat/*_T1w.nii.gz",
            evidence="PET is registered to it",
        )
    for image in participant.pet:
        for t1 in t1_candidates(participant.t1, image):
            if image.header and t1.header:
                for fault in geometry.companion_faults(image.header, t1.header):
                    yield geometry_finding(image.image_origin, fault)


def geometry_finding(origin: Origin, fault: geometry.Fault) -> Finding:
    """A fault of a header's position as a finding."""
    return origin.finding(
        "geometry",
        fault.severity,
        fault.key,
        value=fault.value,
        expected=fault.expected,
        evidence=fault.evidence,
        correction=fault.correction,
    )
