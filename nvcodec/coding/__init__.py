"""Entropy coding (spec 3): integers to the bytes of substreams, and back."""
