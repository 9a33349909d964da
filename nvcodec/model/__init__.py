"""The two models: decoded values to samples (spec 4 to 9)."""
