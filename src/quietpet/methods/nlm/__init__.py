"""Non-local means, its weights from the low-dose image, from T1 or from both."""
