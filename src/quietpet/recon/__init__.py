"""Images from prompts: OSEM and MAP-EM over any projector."""
