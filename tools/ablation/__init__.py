"""Ablations: what each part of the codec is worth; run as `python -m tools.ablation.NAME`."""
