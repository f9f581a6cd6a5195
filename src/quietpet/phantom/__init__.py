"""Digital heads: BrainWeb or the template, their tissues, lesions, maps and slices."""
