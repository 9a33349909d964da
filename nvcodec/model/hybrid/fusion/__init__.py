"""The fusion network: from canvases and their references to the frames that are shown (spec 9)."""
