"""What decisions cost: bits of syntax from adaptive contexts."""
