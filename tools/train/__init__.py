"""How the tables of the format were trained; run as `python -m tools.train.NAME`."""
