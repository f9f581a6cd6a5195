"""The one training loop of all networks, and what it leaves: weights, checkpoint, model card."""
