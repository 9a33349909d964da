"""Analysis of pictures before coding: motion, inheritance (MB-tree), groups, quantisers."""
