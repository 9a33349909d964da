"""What each part is worth; run as `python -m tools.ablation.NAME`."""
