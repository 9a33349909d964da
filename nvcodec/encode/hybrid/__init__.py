"""The encoder of the hybrid model (spec 7, 8): pictures to leaves, units and levels to groups."""
