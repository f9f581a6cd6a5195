"""M2Diff: a diffusion model with one branch for PET and one for T1, which exchange their features."""
