"""Diffusion without networks: noise schedules, walks over diffusion times, and samplers; no torch."""
