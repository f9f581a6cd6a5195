"""MFdiff: diffusion conditioned on features fused from PET and T1."""
