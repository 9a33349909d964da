"""Tools that measure the codec and that train the format's tables; run as `python -m tools.NAME`.

They use the installed package and are not part of it.
"""
