"""The mode of a network substream (spec 9.6), read without its rest and without compiled code.

So nothing that compiles is loaded where files are listed only.
"""

from __future__ import annotations

from enum import Enum

from nvcodec.format.errors import CorruptError
from nvcodec.tables import read_table

# Numbers of contexts (spec 9.6).
KEEP = 0
OFF = 1


class NetworkMode(Enum):
    """What a group does with the fusion network."""

    KEEP = 0
    """Use it with the weights that the group starts from."""
    OFF = 1
    """Do not use it; the weights stay as they are for the next group."""
    NEW = 2
    """Change its weights, and use it."""


def network_mode(data: bytes) -> NetworkMode:
    """The mode of a network substream; the rest of it is not read. Raises CorruptError."""
    if data.startswith(b"\xff\xff\xff\xff"):
        raise CorruptError("a substream begins with FFFFFFFF", rule="3.2")
    table = read_table("fusion_contexts.txt")
    code, width = int.from_bytes(data[:4].ljust(4, b"\0"), "big"), 0xFFFFFFFF
    for context, mode in ((KEEP, NetworkMode.KEEP), (OFF, NetworkMode.OFF)):
        # Both contexts are as they begin. The range stays above 2^24, so no byte is read.
        bound = (width >> 16) * table[2 * context]
        if code < bound:
            return mode
        code -= bound
        width -= bound
    return NetworkMode.NEW
