"""NAFNet: a modern regression network, from low-dose image and T1 (Chen et al. 2022)."""
