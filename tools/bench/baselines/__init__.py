"""Small NeRV, PS-NeRV and SIREN codecs to compare ours with: networks, training, bytes."""
