"""What a group does with the fusion network, and training of what it may change (spec 9.6)."""
