"""The hybrid model: canvases (spec 8) and the fusion network over them (spec 9)."""
