"""FB-SEM: EM of the low-dose sinograms unrolled, each update fused with a network of image and T1."""
