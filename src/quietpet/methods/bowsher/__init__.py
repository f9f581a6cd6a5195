"""MAP-EM of the low-dose sinograms with the MR-guided Bowsher prior."""
