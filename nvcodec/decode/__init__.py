"""The decoder: a bitstream to frames of any size and region. It never imports the encoder."""
