"""Measurements and what the format's tables were made with; run as `python -m tools.NAME`.

They use the installed package and are no part of it.
"""
