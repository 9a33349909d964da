"""Measurements: rate, quality, speed and memory; run as `python -m tools.bench.NAME`."""
