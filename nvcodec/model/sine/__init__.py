"""The sine model: weights of a group to patches and frames (spec 4, 5)."""
