"""Images against their side-cars and against each other."""

from __future__ import annotations

from collections.abc import Iterator

from quietpet.invivo import geometry
from quietpet.invivo.findings import DATA_SET, Finding, Origin
from quietpet.invivo.scans import Dataset, Image, Participant
from quietpet.invivo.sidecar import numbers
from quietpet.invivo.timing import listed


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
        for image in participant.pet:
            yield from _one_image(image, is_pet=True)
        for image in participant.t1:
            yield from _one_image(image, is_pet=False)
        yield from _companions(participant)


def _one_image(image: Image, *, is_pet: bool) -> Iterator[Finding]:
    header, origin = image.header, image.image_origin
    if header is None:
        if image.fault:
            yield origin.finding(
                "unreadable-image",
                "error",
                "image",
                value=image.fault.removeprefix(f"{origin.file}: "),
                expected="a NIfTI image",
                evidence="opened",
            )
        else:
            yield origin.finding(
                "missing-image",
                "warning",
                "image",
                value="a link to an image that was not fetched"
                if image.not_fetched
                else "no image beside the side-car",
                expected="a NIfTI image",
                evidence="other images are there",
            )
        return
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
    dimensions = 4 if is_pet else 3
    whole = _static(image) if is_pet else header.n_frames == 1
    if len(header.shape) != dimensions and not (len(header.shape) > 2 and whole):
        yield origin.finding(
            "dimensions",
            "error",
            "dim",
            value=f"{len(header.shape)}-D, {list(header.shape)}",
            expected=f"{dimensions}-D",
            evidence="a dynamic PET series has frames" if is_pet else "a T1 image is one volume",
        )
    faults = [*geometry.header_faults(header)]
    if is_pet:
        cosines = numbers(image.values, "ImageOrientationPatientDICOM")
        faults += geometry.dicom_faults(header, cosines)
        faults += geometry.voxel_faults(header, numbers(image.values, "ImageVoxelSize"))
    for fault in faults:
        yield _geometry_finding(origin, fault)


def _static(image: Image) -> bool:
    timing = listed(image)
    return timing is not None and timing.n_frames == 1


def _companions(participant: Participant) -> Iterator[Finding]:
    if participant.pet and not any(image.header or image.fault for image in participant.t1):
        yield participant.pet[0].image_origin.finding(
            "missing-t1",
            "warning",
            "anat",
            value="a side-car without its T1w image" if participant.t1 else "no T1w image",
            expected="anat/*_T1w.nii.gz",
            evidence="PET is registered to it",
        )
    headers = [image.header for image in participant.t1 if image.header]
    for image in participant.pet if headers else ():
        if image.header:
            for fault in geometry.companion_faults(image.header, headers[0]):
                yield _geometry_finding(image.image_origin, fault)


def _geometry_finding(origin: Origin, fault: geometry.Fault) -> Finding:
    return origin.finding(
        "geometry",
        fault.severity,
        fault.key,
        value=fault.value,
        expected=fault.expected,
        evidence=fault.evidence,
        correction=fault.correction,
    )
