"""Diffusion whatever the network: noise schedules, what is predicted, samplers and their plan."""
