"""Volumes, series, transforms and tensors come back from their files as they were written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from quietpet.files.nifti import write_integers, write_series
from quietpet.files.series import frames, read_header
from quietpet.files.tensors import read_tensors, write_tensors
from quietpet.files.volumes import in_ras_order, read_volume, write_volume
from quietpet.geometry.volume import Volume
from quietpet.registration.formats import itk_text, matrix_text
from quietpet.registration.given import read_transform
from quietpet.registration.volume import RigidTransform

SHAPES = st.tuples(*[st.integers(2, 5)] * 3)
ANGLES = st.tuples(*[st.floats(-60, 60)] * 3)
SHIFTS = st.tuples(*[st.floats(-200, 200)] * 3)


@st.composite
def affines(draw, angles=ANGLES):
    """Voxels of any size and position, turned, and with axes in either direction."""
    turned = RigidTransform.from_rotation(euler_deg=draw(angles), translation_mm=draw(SHIFTS))
    steps = draw(st.tuples(*[st.floats(0.5, 8)] * 3))
    signs = draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    return turned.fixed_to_moving @ np.diag([*np.multiply(steps, signs), 1.0])


@st.composite
def volumes(draw):
    values = npst.arrays(np.float32, draw(SHAPES), elements=st.floats(-1e6, 1e6, width=32))
    return Volume(values=draw(values), affine_ras_mm=draw(affines()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@settings(max_examples=50)
@given(volume=volumes())
def test_a_volume_comes_back_where_it_was(folder, volume):
    """Positions to the single precision of NIfTI's forms, values exactly."""
    path = folder / "volume.nii.gz"
    write_volume(path, volume)
    found = read_volume(path)
    np.testing.assert_array_equal(found.values, volume.values)
    np.testing.assert_allclose(found.affine_ras_mm, volume.affine_ras_mm, atol=1e-3)


@settings(max_examples=50)
@given(volume=volumes())
def test_another_order_of_axes_moves_nothing(volume):
    """Every value stays at its place in the world."""
    turned = in_ras_order(volume)
    index = np.argwhere(np.ones(volume.values.shape, bool))
    there = np.rint(turned.indices(volume.world_mm(index))).astype(int)
    np.testing.assert_array_equal(turned.values[tuple(there.T)], volume.values[tuple(index.T)])


@settings(max_examples=30)
@given(
    shape=SHAPES, n_frames=st.integers(1, 3), scale=st.floats(1e-3, 10), affine=affines(), data=st.data()
)
def test_a_series_comes_back_to_half_a_step(folder, shape, n_frames, scale, affine, data):
    """Integers times the scale, frame by frame; (z, y, x) is written and (x, y, z) read."""
    largest = 0.99 * scale * np.iinfo(np.int16).max
    unit = data.draw(npst.arrays(np.float32, (n_frames, *shape), elements=st.floats(-1, 1, width=32)))
    images, path = (largest * unit).astype(np.float32), folder / "series.nii.gz"
    with write_series(
        path, shape=shape, frames=n_frames, affine_ras_mm=affine, frame_seconds=16.0, scale=scale
    ) as writer:
        for image in images:
            writer.append(image)
    header = read_header(path)
    assert (header.n_frames, header.frame_shape) == (n_frames, shape[::-1])
    np.testing.assert_allclose(header.affine_ras_mm, affine, atol=1e-3)
    for number, frame in frames(path, header):
        np.testing.assert_allclose(frame.T, images[number], atol=0.502 * scale, rtol=1e-6)


@settings(max_examples=30)
@given(values=npst.arrays(np.int16, SHAPES), affine=affines())
def test_integers_come_back(folder, values, affine):
    path = folder / "integers.nii.gz"
    write_integers(path, values, affine)
    ((_, found),) = frames(path, read_header(path))
    np.testing.assert_array_equal(found, values)


@settings(max_examples=50)
@given(angles=ANGLES, shift=SHIFTS)
@pytest.mark.parametrize(("suffix", "text"), [(".tfm", itk_text), (".txt", matrix_text)])
def test_a_transform_comes_back(folder, suffix, text, angles, shift):
    transform = RigidTransform.from_rotation(euler_deg=angles, translation_mm=shift)
    path = folder / f"transform{suffix}"
    path.write_text(text(transform))
    np.testing.assert_allclose(
        read_transform(path).fixed_to_moving, transform.fixed_to_moving, atol=1e-6
    )


@settings(max_examples=30)
@given(
    arrays=st.dictionaries(
        st.text("abc._", min_size=1, max_size=8),
        npst.arrays(np.float32, npst.array_shapes(max_dims=4, max_side=4)),
        min_size=1,
        max_size=4,
    )
)
def test_tensors_come_back_bit_for_bit(folder, arrays):
    """NaN, infinity and negative zero included: a checkpoint is exact."""
    path = folder / "weights.safetensors"
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    write_tensors(path, tensors, {"iteration": 3})
    found, record = read_tensors(path)
    assert record == {"iteration": 3}
    assert found.keys() == tensors.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].numpy().view(np.int32), array.view(np.int32))
