"""How one canvas is coded: partition, prediction and transform units of its blocks."""
