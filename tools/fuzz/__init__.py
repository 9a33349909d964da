"""Mutated inputs for all that reads them; `python -m tools.fuzz` runs them."""
