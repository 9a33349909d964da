"""Small NeRV and SIREN codecs to compare ours with: networks, their training, and their bytes."""
