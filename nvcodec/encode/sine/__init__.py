"""The encoder of the sine model: pictures to trained networks, segment by segment."""
