"""M-UNet: a residual encoder-decoder from low-dose image and T1 (Chen et al. 2019)."""
