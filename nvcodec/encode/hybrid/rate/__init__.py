"""What decisions cost: the bits of syntax under adaptive contexts, and what a bit is worth."""
