"""A Gaussian filter, its width chosen on validation slices."""
