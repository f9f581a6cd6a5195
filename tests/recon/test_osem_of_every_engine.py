"""What OSEM owes its user whichever engine computes it: noise stays small, and bad input is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import attenuation_factors, bin_efficiencies, without_gaps
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import siemens_mmr, small_test
from quietpet.phantom.ellipses import HEAD_ACTIVITY, HEAD_MU_PER_CM, rasterise
from quietpet.projection.embedded import embedded_projector
from quietpet.projection.sirf import sirf_projector
from quietpet.recon.bowsher import bowsher_prior
from quietpet.recon.map_em import map_em
from quietpet.recon.osem import osem
from quietpet.recon.sirf_osem import sirf_osem
from quietpet.recon.surroundings import hottest_outside, outside_object

SCATTER_AND_RANDOMS_PER_TRUE = 1.3


def with_sirf(stir_projector):
    def build(scanner, grid, *, rays):
        return sirf_projector(scanner, grid, rays=rays, stir_projector=stir_projector)

    return build, sirf_osem


ENGINES = {
    "embedded": (embedded_projector, osem),
    "sirf": with_sirf("ray_tracing"),
    "sirf, Parallelproj": with_sirf("parallelproj"),
}


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("sirf", marks=pytest.mark.sirf),
        pytest.param("sirf, Parallelproj", marks=pytest.mark.sirf),
    ]
)
def engine(request):
    """How a projector is built, and the OSEM that goes with it."""
    if request.param != "embedded":
        request.getfixturevalue("sirf")
    return ENGINES[request.param]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The head of ellipses: maps (1, y, x) and noisy prompts with background in every bin."""

    model: AcquisitionModel
    activity: torch.Tensor
    through_air: torch.Tensor
    prompts: torch.Tensor

    @property
    def outside(self):
        return outside_object(self.through_air, self.model.projector)


def scan_of(build, scanner, *, pixels, fwhm_mm, trues=3e4):
    grid = scanner_grid(scanner, pixels)
    projector = build(scanner, grid, rays=1)
    activity, mu = (
        torch.from_numpy(rasterise(ellipses, grid))[None] for ellipses in (HEAD_ACTIVITY, HEAD_MU_PER_CM)
    )
    attenuation = attenuation_factors(mu, projector, pixel_mm=grid.pixel_mm)
    efficiencies = bin_efficiencies(scanner, spread=1.0, rng=np.random.default_rng(0))
    normalisation = torch.from_numpy(without_gaps(scanner, efficiencies))
    psf = GaussianPSF(fwhm_mm=fwhm_mm, pixel_mm=grid.pixel_mm, image_shape=grid.shape[1:])
    model = AcquisitionModel(projector=projector, psf=psf, multiplicative=attenuation * normalisation)
    expected = model.expected(activity)
    per_bin = SCATTER_AND_RANDOMS_PER_TRUE * trues / float(normalisation[expected[0] > 0].sum())
    model = replace(
        model,
        multiplicative=trues / float(expected.sum()) * model.multiplicative,
        background=per_bin * normalisation[None],
    )
    noise = torch.Generator().manual_seed(0)
    return Scan(
        model=model,
        activity=activity,
        through_air=attenuation >= 1,
        prompts=torch.poisson(model.expected(activity), generator=noise),
    )


NOISY = {
    "the mMR, 128 pixels": (siemens_mmr, {"pixels": 128, "fwhm_mm": 4.3}, 14),
    "wide point spread, 48 pixels": (small_test, {"pixels": 48, "fwhm_mm": 9.0}, 12),
    "wide point spread, 64 pixels": (small_test, {"pixels": 64, "fwhm_mm": 9.0}, 12),
    "beyond the bins, 112 pixels": (small_test, {"pixels": 112, "fwhm_mm": 9.0}, 12),
    "unequal subsets": (small_test, {"pixels": 64, "fwhm_mm": 9.0}, 10),
}


@pytest.mark.parametrize("case", NOISY)
def test_noise_stays_small_outside_the_head(engine, case):
    """Updated through the point spread alone, corners reach 20 to 9e6 times the head's maximum.

    Parallelproj's lines reach pixels a voxel away, so that single ones beside the last bins have a 200th
    of the largest sensitivity, and the noise of one line; it grows no faster than noise elsewhere.
    """
    build, reconstruct = engine
    scanner, grid, subsets = NOISY[case]
    scan = scan_of(build, scanner(), **grid)
    image = reconstruct(scan.prompts, scan.model, iterations=30, subsets=subsets)
    interpolated = getattr(scan.model.projector, "stir_projector", "") == "parallelproj"
    assert float(hottest_outside(image, scan.outside)) < (1.0 if interpolated else 0.5)
    inside = ~scan.outside
    assert float(image[inside].mean()) == pytest.approx(float(scan.activity[inside].mean()), rel=0.05)


def test_progress_is_told_after_each_iteration(engine):
    build, reconstruct = engine
    scan = scan_of(build, small_test(), pixels=48, fwhm_mm=4.5)
    told = []
    settings = {"iterations": 3, "subsets": 10, "after_iteration": lambda: told.append(1)}
    reconstruct(scan.prompts, scan.model, **settings)
    assert len(told) == 3


def test_pixels_that_no_line_crosses_are_zero(engine):
    """Lines of the middle bins alone, whose pixels form a disc; the point spread reaches beyond it."""
    build, reconstruct = engine
    scan = scan_of(build, small_test(), pixels=64, fwhm_mm=9.0)
    factors = scan.model.multiplicative.clone()
    factors[..., :40], factors[..., 72:] = 0.0, 0.0
    model = replace(scan.model, multiplicative=factors)
    image = reconstruct(scan.prompts, model, iterations=3, subsets=12)
    crossed = model.projector.adjoint(factors) > 0
    assert 0.1 < float(crossed.float().mean()) < 0.9
    assert torch.equal(image > 0, crossed)


def test_map_em_keeps_noise_small_outside_the_head():
    scan = scan_of(embedded_projector, small_test(), pixels=64, fwhm_mm=9.0)
    prior = bowsher_prior(scan.activity, neighbours=4, radius_pixels=1, tolerance=0.01, symmetric=True)
    image = map_em(scan.prompts, scan.model, prior=prior, beta=1e-8, iterations=30, subsets=12)
    assert float(hottest_outside(image, scan.outside)) < 0.5


def test_a_start_image_is_taken_where_lines_cross():
    scan = scan_of(embedded_projector, small_test(), pixels=64, fwhm_mm=9.0)
    everywhere = torch.full_like(scan.activity, 7.0)
    image = osem(scan.prompts, scan.model, iterations=0, subsets=12, start=everywhere)
    assert torch.equal(image, 7.0 * (scan.model.projector.adjoint(scan.model.multiplicative) > 0))


@pytest.mark.sirf
@pytest.mark.parametrize("subsets", [1, 10, 12, 84])
def test_sirf_gives_the_image_of_the_embedded_engine(sirf, subsets):
    """Noisy prompts, background, gaps and point spread; subsets of equal and of unequal size.

    With one projector the images are the same. The projectors differ at the rim, where STIR clips rays;
    in the head that is far less than the noise.
    """
    ours = scan_of(embedded_projector, small_test(), pixels=64, fwhm_mm=4.5)
    theirs = scan_of(ENGINES["sirf"][0], small_test(), pixels=64, fwhm_mm=4.5)
    settings = {"iterations": 4, "subsets": subsets}
    found = sirf_osem(ours.prompts, theirs.model, **settings)
    same_projector = osem(ours.prompts, theirs.model, **settings)
    assert float((found - same_projector).norm() / same_projector.norm()) < 1e-5
    head = ~ours.outside
    expected = osem(ours.prompts, ours.model, **settings)[head]
    noise = (expected - ours.activity[head]).norm()
    assert float((found[head] - expected).norm() / noise) < 0.01


@pytest.mark.sirf
def test_parallelproj_gives_the_activity_back(sirf):
    """Noiseless, with point spread; STIR's own likelihood was 0.73 from the truth, ours 0.40."""
    errors = {}
    for name in ("embedded", "sirf, Parallelproj"):
        build, reconstruct = ENGINES[name]
        scan = scan_of(build, siemens_mmr(), pixels=128, fwhm_mm=4.3)
        image = reconstruct(scan.model.expected(scan.activity), scan.model, iterations=4, subsets=14)
        errors[name] = float((image - scan.activity).norm() / scan.activity.norm())
    assert errors["sirf, Parallelproj"] == pytest.approx(errors["embedded"], rel=0.05)


@pytest.mark.sirf
@pytest.mark.parametrize("subsets", [1, 3])
def test_stirs_own_reconstructor_gives_the_same_image(sirf, subsets):
    """OSMAPOSL without a prior, where each subset sees every pixel: it zeroes those one does not."""
    scan = scan_of(ENGINES["sirf"][0], small_test(), pixels=48, fwhm_mm=0.0)
    projector, stir = scan.model.projector, sirf.stir
    acquisition = projector.acquisition

    def sinogram(values):
        container = acquisition.get_uniform_copy(0.0)
        container.fill(values.numpy().reshape(acquisition.dimensions()))
        return container

    model = projector.acquisition_model()
    model.set_acquisition_sensitivity(
        stir.AcquisitionSensitivityModel(sinogram(scan.model.multiplicative))
    )
    model.set_background_term(sinogram(scan.model.background))
    model.set_up(acquisition, projector.image)
    likelihood = stir.make_Poisson_loglikelihood(sinogram(scan.prompts))
    likelihood.set_acquisition_model(model)
    reconstructor = stir.OSMAPOSLReconstructor()
    reconstructor.set_objective_function(likelihood)
    reconstructor.set_num_subsets(subsets)
    reconstructor.set_num_subiterations(3 * subsets)
    start = projector.image.get_uniform_copy(1.0)
    reconstructor.set_up(start)
    reconstructor.set_current_estimate(start)
    reconstructor.process()
    expected = torch.from_numpy(np.array(reconstructor.get_output().as_array()))
    found = sirf_osem(scan.prompts, scan.model, iterations=3, subsets=subsets)
    seen = torch.stack(
        [
            projector.subset(index, subsets).adjoint(scan.model.multiplicative[..., index::subsets, :])
            for index in range(subsets)
        ]
    )
    assert torch.equal((seen > 0).all(dim=0), (seen > 0).any(dim=0))
    assert float((found - expected).norm() / expected.norm()) < 1e-4


def refused(engine, match, *, subsets=12, **changed):
    build, reconstruct = engine
    scan = scan_of(build, small_test(), pixels=48, fwhm_mm=4.5)
    prompts = changed.pop("prompts", lambda counts: counts)(scan.prompts)
    with pytest.raises(ValueError, match=match):
        reconstruct(prompts, replace(scan.model, **changed), iterations=1, subsets=subsets)


def with_value(value):
    def change(counts):
        changed = counts.clone()
        changed[0, 3, 50] = value
        return changed

    return change


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_prompts_that_are_no_counts_are_refused(engine, value):
    refused(engine, r"prompts range from .*, not from 0 to a finite number", prompts=with_value(value))


@pytest.mark.parametrize("name", ["multiplicative", "background"])
def test_factors_that_are_not_finite_are_refused(engine, name):
    values = torch.ones(1, *small_test().sinogram_shape)
    refused(engine, name, **{name: with_value(float("nan"))(values)})


@pytest.mark.parametrize("subsets", [0, -3, 85])
def test_subsets_that_do_not_exist_are_refused(engine, subsets):
    refused(engine, f"{subsets} subsets of 84 views", subsets=subsets)


def test_an_empty_batch_is_refused(engine):
    refused(engine, "hold nothing to reconstruct", prompts=lambda counts: counts[:0])


def test_prompts_in_bins_that_nothing_can_reach_change_nothing(engine):
    """A gap with prompts and background: our factor there is 0, and so the line tells nothing."""
    build, reconstruct = engine
    scan = scan_of(build, small_test(), pixels=48, fwhm_mm=4.5)
    gaps = torch.from_numpy(small_test().gap_mask)
    filled = torch.where(gaps, 1e6, scan.prompts)
    images = [
        reconstruct(prompts, scan.model, iterations=2, subsets=12) for prompts in (scan.prompts, filled)
    ]
    torch.testing.assert_close(images[1], images[0], rtol=1e-6, atol=0)
