"""Which subsets STIR takes, against what SIRF 3.10 with STIR 6.4 accepted and refused for 252 views."""

from __future__ import annotations

import pytest
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.recon.sirf_osem import sirf_osem, stir_accepts


@pytest.mark.parametrize("subsets", [1, 2, 3, 4, 6, 7, 9, 12, 14, 18, 21, 28, 42, 63])
def test_accepted(subsets):
    assert stir_accepts(subsets, 252)


@pytest.mark.parametrize("subsets", [5, 10, 25, 100])
def test_refused(subsets):
    assert not stir_accepts(subsets, 252)


def test_another_engines_projector_is_a_mistake_of_the_caller(head_projector):
    psf = GaussianPSF(fwhm_mm=0.0, pixel_mm=2.0, image_shape=(128, 128))
    ones = torch.ones(1, 252, 344)
    model = AcquisitionModel(projector=head_projector, psf=psf, multiplicative=ones)
    with pytest.raises(TypeError, match="not EmbeddedProjector"):
        sirf_osem(ones, model, iterations=1, subsets=1)
