"""Makes the conformance vectors of `spec/vectors`; run as `python -m tools.vectors`."""
