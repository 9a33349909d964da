"""Training of the format's tables; run as `python -m tools.train.NAME`."""
