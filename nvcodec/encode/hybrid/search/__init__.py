"""The search of one canvas: partition, prediction and transform units of its blocks."""
