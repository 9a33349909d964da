"""Rendering of samples from weights."""
