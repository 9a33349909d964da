"""Entropy coding (spec clause 3): integers to substream bytes and back, and nothing about video."""
