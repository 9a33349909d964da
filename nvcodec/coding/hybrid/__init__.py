"""The substreams of the hybrid model: motion, content and network (spec 7, 9.6)."""
