"""The substream of the sine model: differences of weights (spec 4.4)."""
