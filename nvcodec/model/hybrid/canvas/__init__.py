"""The hybrid model's canvases: their reconstruction from coded values (spec 8)."""
