"""Segments, from a key group up to the next: coded one by one or as jobs, and kept on disk.

Knows no model: a `SegmentCoding` says how one codes its segments.
"""
