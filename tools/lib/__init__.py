"""Parts that the tools share: clips, peers, measurement of one encode, reports."""
