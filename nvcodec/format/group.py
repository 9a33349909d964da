"""The GRUP unit (spec 2.7): takes a payload, gives a checked Group, and back."""

from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Final

from nvcodec.format.errors import CorruptError
from nvcodec.format.fields import Fields, signed_bytes, unsigned_bytes
from nvcodec.format.header import HYBRID, SINE, UNKNOWN_FRAME_COUNT

_RULE: Final = "2.7"

_U32_MAX: Final = (1 << 32) - 1
_PTS_MIN: Final = -(1 << 63)
_PTS_MAX: Final = (1 << 63) - 1

_FLAG_KEY: Final = 1
_SECOND_AT: Final = 1
_MOST_SECOND: Final = 2

GROUP_START_BYTES: Final = 1 + 3 + 5 + 4 + 10
"""The most bytes of a valid GRUP payload before the durations."""

LEAST_PAYLOAD_BYTES: Final = 13
"""Bytes of the shortest GRUP payload: one byte for each integer, without substreams."""


@dataclass(frozen=True)
class GroupHeader:
    """The part of a group before its durations.

    Attributes:
        first_frame: index of the first frame in the file.
        frame_count: frames of the group, 1..65535.
        key: True for a key group.
        crc: CRC-32 of the rendered samples.
        first_pts: presentation time of the first frame in ticks of the time base.
        second: reference 1 of the chain canvas of the hybrid model (spec 7.2), 0 for none.

    Raises:
        CorruptError: a value is outside its rule (spec 2.7).

    """

    first_frame: int
    frame_count: int
    key: bool
    crc: int
    first_pts: int
    second: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        _require_u32("first_frame", self.first_frame)
        if not 1 <= self.frame_count <= 0xFFFF:
            raise CorruptError(f"frame_count {self.frame_count} is outside 1..65535", rule=_RULE)
        _require_u32("crc", self.crc)
        if not _PTS_MIN <= self.first_pts <= _PTS_MAX:
            raise CorruptError(f"first_pts {self.first_pts} is outside 64 bits", rule=_RULE)
        if not 0 <= self.second <= _MOST_SECOND:
            raise CorruptError(f"second {self.second} is outside 0..{_MOST_SECOND}", rule=_RULE)

    @classmethod
    def parse_start(cls, payload: bytes) -> "GroupHeader":
        """Read the first GROUP_START_BYTES of a GRUP payload, or more; the rest is ignored.

        Raises:
            CorruptError: the payload is too short, or a value is outside its rule.

        """
        return _parse_start(Fields(payload, _RULE))


@dataclass(frozen=True)
class Group(GroupHeader):
    """A group: the parameters of `frame_count` consecutive frames, still coded.

    Which substreams are empty depends on the model: see `require_model`.

    Attributes:
        durations: ticks of each frame, `frame_count` values of 1..2^32-1.
        tables: entropy tables (spec 3.4), or empty.
        content: the coded canvases (spec 7.5).
        motion: how their blocks are predicted (spec 7.4).
        network: the coded weights (spec 4.4, 9.6, 11.8).

    Raises:
        CorruptError: a value is outside its rule, or the end of the last frame outside 64 bits
            (spec 2.7).

    """

    durations: tuple[int, ...]
    tables: bytes
    content: bytes
    motion: bytes
    network: bytes

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.durations) != self.frame_count:
            raise CorruptError(
                f"{len(self.durations)} durations for {self.frame_count} frames", rule=_RULE
            )
        if not (min(self.durations) >= 1 and max(self.durations) <= _U32_MAX):
            raise CorruptError("a duration is outside 1..4294967295", rule=_RULE)
        if self.end_pts > _PTS_MAX:
            raise CorruptError("the last frame ends outside 64 bits", rule=_RULE)

    def require_model(self, model: int) -> None:
        """Raise CorruptError when the group breaks a rule of its model (spec 2.7)."""
        if model == SINE and (self.content or self.motion):
            raise CorruptError("content and motion are not empty in model 1", rule=_RULE)
        if model != SINE and self.tables:
            raise CorruptError(f"tables are not empty in model {model}", rule=_RULE)
        if self.second and (model != HYBRID or self.key):
            raise CorruptError(
                f"second is {self.second} where there is no chain canvas", rule=_RULE
            )
        if model == HYBRID and self.key and self.frame_count != 1:
            raise CorruptError(
                f"frame_count {self.frame_count} is not 1 in a key group of model 2", rule=_RULE
            )

    @property
    def pts(self) -> tuple[int, ...]:
        """Presentation time of each frame in ticks of the time base."""
        return tuple(accumulate(self.durations[:-1], initial=self.first_pts))

    @property
    def substream_bytes(self) -> int:
        """Bytes of all substreams."""
        return len(self.tables) + len(self.content) + len(self.motion) + len(self.network)

    @property
    def last_pts(self) -> int:
        """Presentation time of the last frame in ticks of the time base."""
        return self.end_pts - self.durations[-1]

    @property
    def end_pts(self) -> int:
        """Presentation time of the last frame plus its duration."""
        return self.first_pts + sum(self.durations)

    @classmethod
    def parse(cls, payload: bytes, max_frames: int | None = None) -> "Group":
        """Read the payload of a GRUP unit.

        Args:
            payload: the payload; memory is taken for its bytes and `frame_count` durations.
            max_frames: the group length of the description, or None when not known.

        Raises:
            CorruptError: a requirement of spec 2.7 on the payload is broken.

        """
        fields = Fields(payload, _RULE)
        start = _parse_start(fields)
        if max_frames is not None and start.frame_count > max_frames:
            raise CorruptError(
                f"frame_count {start.frame_count} is outside 1..{max_frames}", rule=_RULE
            )
        durations = _parse_durations(fields, start.frame_count)
        tables_length, content_length, motion_length = (fields.unsigned() for _ in range(3))
        return cls(
            first_frame=start.first_frame,
            frame_count=start.frame_count,
            key=start.key,
            crc=start.crc,
            first_pts=start.first_pts,
            second=start.second,
            durations=durations,
            tables=fields.data(tables_length),
            content=fields.data(content_length),
            motion=fields.data(motion_length),
            network=fields.rest(),
        )

    def build(self) -> bytes:
        """The payload of a GRUP unit."""
        coded = bytes(((_FLAG_KEY if self.key else 0) | self.second << _SECOND_AT,))
        coded += unsigned_bytes(self.frame_count) + unsigned_bytes(self.first_frame)
        coded += self.crc.to_bytes(4, "little") + signed_bytes(self.first_pts)
        for duration, run in groupby(self.durations):
            coded += unsigned_bytes(duration) + unsigned_bytes(len(list(run)))
        for substream in (self.tables, self.content, self.motion):
            coded += unsigned_bytes(len(substream))
        return coded + self.tables + self.content + self.motion + self.network


class GroupSequence:
    """The rules between the groups of a bitstream (spec 2.7).

    Args:
        frame_count: that of HEAD, or UNKNOWN_FRAME_COUNT.
        first_frame: index of the first frame of the group to come: 0 at the start of a file, the
            entry's after a seek to a key group.

    """

    def __init__(self, frame_count: int, first_frame: int = 0) -> None:
        # A frame count of 2^32 - 1 in HEAD means an unknown length.
        self._max_frames = min(frame_count, UNKNOWN_FRAME_COUNT - 1)
        self._last_pts: int | None = None
        self._key = False
        self.next_frame = first_frame
        self.group_count = 0

    def accept(self, group: GroupHeader, last_pts: int) -> None:
        """Take the next group.

        Args:
            group: the group.
            last_pts: presentation time of its last frame.

        Raises:
            CorruptError: it cannot follow the groups taken so far (2.7, 7.2), or the file then has
                more frames than HEAD states (2.9).

        """
        if self.group_count == 0 and not group.key:
            raise CorruptError("the first group is not a key group", rule=_RULE)
        if group.first_frame != self.next_frame:
            raise CorruptError(
                f"first_frame {group.first_frame} is not {self.next_frame},"
                " the sum of the frame counts before it",
                rule=_RULE,
            )
        if group.first_frame + group.frame_count > self._max_frames:
            raise CorruptError(
                f"frames up to {group.first_frame + group.frame_count} in a file of at most"
                f" {self._max_frames}",
                rule="2.9",
            )
        if self._last_pts is not None and group.first_pts <= self._last_pts:
            raise CorruptError(
                f"first_pts {group.first_pts} is not after {self._last_pts},"
                " the time of the last frame before it",
                rule=_RULE,
            )
        if group.second == 1 and self._key:
            raise CorruptError("second is 1 in the group after a key group", rule="7.2")
        self._last_pts = last_pts
        self._key = group.key
        self.next_frame += group.frame_count
        self.group_count += 1


def _parse_start(fields: Fields) -> GroupHeader:
    flags = fields.byte()
    if flags >> 3:
        raise CorruptError(f"flags {flags:#04x} has undefined bits set", rule=_RULE)
    frame_count, first_frame = fields.unsigned(), fields.unsigned()
    return GroupHeader(
        frame_count=frame_count,
        first_frame=first_frame,
        key=bool(flags & _FLAG_KEY),
        crc=int.from_bytes(fields.data(4), "little"),
        first_pts=fields.signed(),
        second=flags >> _SECOND_AT,
    )


def _parse_durations(fields: Fields, frame_count: int) -> tuple[int, ...]:
    durations: list[int] = []
    while len(durations) < frame_count:
        duration, run = fields.unsigned(), fields.unsigned()
        if not 1 <= run <= frame_count - len(durations):
            raise CorruptError(
                f"a run of {run} durations after {len(durations)} of {frame_count}", rule=_RULE
            )
        # Only one coding is valid, so that rewriting a file gives the same bytes.
        if durations and durations[-1] == duration:
            raise CorruptError(f"two runs of duration {duration} in a row", rule=_RULE)
        durations += [duration] * run
    return tuple(durations)


def _require_u32(name: str, value: int) -> None:
    if not 0 <= value <= _U32_MAX:
        raise CorruptError(f"{name} {value} is outside 32 bits", rule=_RULE)
