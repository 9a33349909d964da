"""The substream of the nirvana model: differences of weights (spec 4.4)."""
