"""Low-dose PET/MR restoration, from phantoms and in-vivo scans to reviewer-proof tables."""

__version__ = "0.1.0"
