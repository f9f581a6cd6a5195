"""CNCL: one network predicts the content of the low-dose image, another its noise."""
