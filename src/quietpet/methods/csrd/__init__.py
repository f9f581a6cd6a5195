"""CSRD: conditional score-based diffusion of the residual between standard and low dose."""
