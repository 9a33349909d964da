"""The substreams of the nirvana model: paths of blocks, residuals of features (spec 11)."""
