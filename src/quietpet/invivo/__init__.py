"""Dynamic PET/MR in BIDS: audit, fetching, and the windows that are standard and low dose."""
