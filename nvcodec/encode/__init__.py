"""The encoder: pictures to a bitstream. The decoder imports nothing from here."""
