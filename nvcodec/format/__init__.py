"""The container of `.nrv` files (spec 2): bytes to units, and back.

UnitReader reads and NrvWriter writes; all other names are what they pass or raise.
"""

from nvcodec.format.chapters import Chapter
from nvcodec.format.errors import (
    CorruptError,
    NrvError,
    OverLimitError,
    TruncatedError,
    UnsupportedError,
    VerificationError,
    located,
)
from nvcodec.format.group import Group, GroupHeader, GroupSequence
from nvcodec.format.hdr import Hdr
from nvcodec.format.header import (
    FORMAT_VERSION,
    HYBRID,
    MODEL_NAMES,
    NIRVANA,
    SINE,
    UNKNOWN_FRAME_COUNT,
    Header,
)
from nvcodec.format.index import End, IndexEntry
from nvcodec.format.limits import LEVELS, Level, Limits, counted_samples, smallest_level
from nvcodec.format.reader import (
    Chapters,
    Damaged,
    Description,
    Event,
    GroupUnit,
    Metadata,
    Packets,
    UnitReader,
    read_group_at,
    read_index,
    scan_index,
    scan_packets,
)
from nvcodec.format.tracks import Packet, Track
from nvcodec.format.units import SIGNATURE, UnitType
from nvcodec.format.writer import NrvWriter

__all__ = [
    "FORMAT_VERSION",
    "HYBRID",
    "LEVELS",
    "MODEL_NAMES",
    "NIRVANA",
    "SIGNATURE",
    "SINE",
    "UNKNOWN_FRAME_COUNT",
    "Chapter",
    "Chapters",
    "CorruptError",
    "Damaged",
    "Description",
    "End",
    "Event",
    "Group",
    "GroupHeader",
    "GroupSequence",
    "GroupUnit",
    "Hdr",
    "Header",
    "IndexEntry",
    "Level",
    "Limits",
    "Metadata",
    "NrvError",
    "NrvWriter",
    "OverLimitError",
    "Packet",
    "Packets",
    "Track",
    "TruncatedError",
    "UnitReader",
    "UnitType",
    "UnsupportedError",
    "VerificationError",
    "counted_samples",
    "located",
    "read_group_at",
    "read_index",
    "scan_index",
    "scan_packets",
    "smallest_level",
]
