"""Pictures in and out: decoding of sources, Y4M output, digests and quality measures."""
