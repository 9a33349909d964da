"""The HEAD unit (spec 2.4): takes 48 bytes, gives a checked Header, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Final

import construct as c

from nvcodec.format.errors import CorruptError, UnsupportedError, require
from nvcodec.format.limits import LEVELS, counted_samples
from nvcodec.format.units import HYBR, NIRV, SIRN, UnitType

if TYPE_CHECKING:
    from nvcodec.picture import SampleFormat

FORMAT_VERSION: Final = 0
"""Version of the specification: the one that this package writes, and the highest that it reads."""

UNKNOWN_FRAME_COUNT: Final = 0xFFFFFFFF

_RULE: Final = "2.4"

_require = partial(require, rule=_RULE)
_RESERVED: Final = bytes(3)

SINE: Final = 1
HYBRID: Final = 2
NIRVANA: Final = 3
"""The models that this version knows."""

MODEL_NAMES: Final = {SINE: "sine", HYBRID: "hybrid", NIRVANA: "nirvana"}

_DESCRIPTION_TYPES: Final = {SINE: SIRN, HYBRID: HYBR, NIRVANA: NIRV}

_HEAD: Final = c.Struct(
    "format_version" / c.Int16ul,
    "min_reader_version" / c.Int16ul,
    "level" / c.Int8ul,
    "model" / c.Int8ul,
    "chroma_format" / c.Int8ul,
    "bit_depth" / c.Int8ul,
    "tools" / c.Int32ul,
    "width" / c.Int16ul,
    "height" / c.Int16ul,
    "frame_rate_num" / c.Int32ul,
    "frame_rate_den" / c.Int32ul,
    "time_base_num" / c.Int32ul,
    "time_base_den" / c.Int32ul,
    "sar_num" / c.Int16ul,
    "sar_den" / c.Int16ul,
    "colour_primaries" / c.Int8ul,
    "transfer" / c.Int8ul,
    "matrix" / c.Int8ul,
    "full_range" / c.Int8ul,
    "chroma_location" / c.Int8ul,
    "reserved" / c.Bytes(3),
    "frame_count" / c.Int32ul,
)

HEAD_BYTES: Final[int] = _HEAD.sizeof()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of HEAD, under the names and with the rules of spec 2.4.

    The rules are checked on construction, in the order of the fields. Reader and writer check that
    the frame size keeps within the level.

    Raises:
        CorruptError: a value is outside its rule.
        UnsupportedError: a value is one that this version does not render.

    """

    format_version: int = FORMAT_VERSION
    min_reader_version: int = 0
    level: int
    model: int = SINE
    chroma_format: int = 1
    bit_depth: int = 8
    tools: int = 0
    width: int
    height: int
    frame_rate_num: int = 0
    frame_rate_den: int = 0
    time_base_num: int
    time_base_den: int
    sar_num: int = 0
    sar_den: int = 0
    colour_primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: int = 2
    chroma_location: int = 255
    frame_count: int = UNKNOWN_FRAME_COUNT

    def __post_init__(self) -> None:
        if self.min_reader_version > self.format_version:
            raise CorruptError(
                f"min_reader_version {self.min_reader_version} is above"
                f" format_version {self.format_version}",
                rule=_RULE,
            )
        _require_supported(
            self.min_reader_version <= FORMAT_VERSION,
            f"the file needs a reader of version {self.min_reader_version};"
            f" this one is of version {FORMAT_VERSION}: update it",
        )
        _require_supported(self.level in LEVELS, f"level {self.level} is not defined")
        _require_supported(self.model in _DESCRIPTION_TYPES, f"model {self.model} is not defined")
        _require(0 <= self.chroma_format <= 3, f"chroma_format {self.chroma_format} is above 3")
        _require(self.bit_depth in (8, 10, 12), f"bit_depth {self.bit_depth} is not 8, 10 or 12")
        _require_supported(
            self.tools == 0, f"tools {self.tools:#x} has bits that this version does not know"
        )
        _require(self.width >= 1, "width is 0")
        _require(self.height >= 1, "height is 0")
        _require_ratio("frame_rate", self.frame_rate_num, self.frame_rate_den)
        _require(self.time_base_num >= 1, "time_base_num is 0")
        _require(self.time_base_den >= 1, "time_base_den is 0")
        _require_ratio("sar", self.sar_num, self.sar_den)
        _require(0 <= self.full_range <= 2, f"full_range {self.full_range} is outside 0..2")
        _require(
            0 <= self.chroma_location <= 5 or self.chroma_location == 255,
            f"chroma_location {self.chroma_location} is neither in 0..5 nor 255",
        )
        _require(self.frame_count >= 1, "frame_count is 0")
        self.build()

    @classmethod
    def parse(cls, payload: bytes) -> Header:
        """Read the payload of a HEAD unit, 48 bytes.

        Raises:
            CorruptError: the payload is not 48 bytes, or a value is outside its rule.
            UnsupportedError: a value is one that this version does not render.

        """
        if len(payload) != HEAD_BYTES:
            raise CorruptError(f"the payload is {len(payload)} bytes, not 48", rule=_RULE)
        fields = dict(_HEAD.parse(payload))
        del fields["_io"]
        reserved = fields.pop("reserved")
        header = cls(**fields)
        _require(reserved == _RESERVED, "the reserved bytes are not 0")
        return header

    def build(self) -> bytes:
        """The payload of a HEAD unit, 48 bytes.

        Raises:
            CorruptError: a value does not fit the width of its field.

        """
        try:
            payload: bytes = _HEAD.build({**asdict(self), "reserved": _RESERVED})
        except c.ConstructError as error:
            field = str(error.path).rpartition(" ")[2]
            raise CorruptError(
                f"{field} {getattr(self, field)} does not fit its field", rule=_RULE
            ) from error
        return payload

    @property
    def description_type(self) -> UnitType:
        """Type of the unit that describes the model."""
        return _DESCRIPTION_TYPES[self.model]

    @property
    def luma_samples(self) -> int:
        """Luma samples per frame."""
        return self.width * self.height

    @property
    def counted_samples(self) -> int:
        """What levels and limits count for luma samples (spec 2.11)."""
        return counted_samples(self.width, self.height, self.chroma_format)

    @property
    def sample_format(self) -> SampleFormat:
        """How samples are stored: bit_depth and chroma_format."""
        # Imported here, as this package does not need NumPy otherwise.
        from nvcodec.picture import SampleFormat

        return SampleFormat(self.bit_depth, self.chroma_format)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return Fraction(self.time_base_num, self.time_base_den)

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second as a hint, or None when unknown."""
        return Fraction(self.frame_rate_num, self.frame_rate_den) if self.frame_rate_den else None

    @property
    def sar(self) -> Fraction | None:
        """Sample aspect ratio, width over height of one sample, or None when unknown."""
        return Fraction(self.sar_num, self.sar_den) if self.sar_den else None


def _require_supported(holds: bool, broken: str) -> None:
    if not holds:
        raise UnsupportedError(broken, rule=_RULE)


def _require_ratio(name: str, num: int, den: int) -> None:
    _require((num == 0) == (den == 0), f"{name} {num}/{den} is neither 0/0 nor of values above 0")
