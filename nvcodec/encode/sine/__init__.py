"""The encoder of the sine model: pictures of a segment to trained networks."""
