"""What SIRF's OSEM decides without SIRF; the rest is in test_osem_of_every_engine.py."""

from __future__ import annotations

import pytest
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.recon.sirf_osem import sirf_osem


def test_another_engines_projector_is_a_mistake_of_the_caller(head_projector):
    psf = GaussianPSF(fwhm_mm=0.0, pixel_mm=2.0, image_shape=(128, 128))
    ones = torch.ones(1, 252, 344)
    model = AcquisitionModel(projector=head_projector, psf=psf, multiplicative=ones)
    with pytest.raises(TypeError, match="not EmbeddedProjector"):
        sirf_osem(ones, model, iterations=1, subsets=1)
