"""The encoder of the nirvana model: pictures to trained networks, segment by segment."""
