"""What a group does with the fusion network, and training of its part (spec 9.6)."""
