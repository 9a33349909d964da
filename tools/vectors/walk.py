"""Appendix E of the spec: two tiny vectors decoded byte by byte, written from the files themselves.

It stands in `spec/nrv.md` between two marks. `python -m tools.vectors` writes it anew.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tools.vectors.compose import numbered, pending
from tools.vectors.manifest import VECTORS
from tools.vectors.pack import HEAD_FIELDS, SIGNATURE, read_uv, signed
from tools.vectors.reference import SPEC, reference, tables

WALKED = {"walk-hybrid": "Model 2", "walk-nirvana": "Model 3"}
"""The vectors that are decoded, and the titles of their parts."""

BEGIN, END = "<!-- begin: two files byte by byte -->", "<!-- end: two files byte by byte -->"
RUNS = {
    "MotionStream": "motion",
    "ContentStream": "content",
    "Substream": "network",
    "PathStream": "motion",
    "ResidualStream": "content",
    "ComponentStream": "network",
}
SYNTAX = {"decode_group": "q", "read": "canvas"}
"""What a function of the reference decoder reads, where its name does not say."""
OTHERS = ("bit", "bypass", "difference", "magnitude", "normalise")


class Step(NamedTuple):
    """A decoded bit: the part of the syntax, the context (None for bypass), state before, bit."""

    stream: str
    syntax: str
    context: int | None
    p: int
    range: int
    code: int
    bit: int


@dataclass
class Cursor:
    """Takes fields off a file and has a row of the table for each."""

    data: bytes
    position: int = 0
    rows: list[str] = field(default_factory=list)

    def take(self, size: int, name: str, value: str = "") -> bytes:
        """The next bytes, which are a field of that name."""
        taken = self.data[self.position : self.position + size]
        shown = taken.hex(" ").upper()
        self.rows.append(f"| 0x{self.position:02X} | {shown} | {name} | {value} |")
        self.position += size
        return taken

    def number(self, size: int, name: str) -> int:
        """An unsigned field."""
        value = int.from_bytes(self.data[self.position : self.position + size], "little")
        self.take(size, name, str(value))
        return value

    def uv(self, name: str, *, negative: bool = False) -> int:
        """A field of type uv or sv."""
        value, after = read_uv(self.data, self.position)
        value = signed(value) if negative else value
        self.take(after - self.position, name, str(value))
        return value


def unit_rows(cursor: Cursor) -> None:
    """The rows of the next unit."""
    kind = cursor.take(4, "`type`", f"`{cursor.data[cursor.position :][:4].decode()}`")
    length = cursor.number(4, "`length`")
    end = cursor.position + length
    if kind == b"HEAD":
        for name, (code, _) in HEAD_FIELDS.items():
            size = struct.calcsize("<" + code)
            if name == "reserved":
                cursor.take(size, "`reserved`")
            else:
                cursor.number(size, f"`{name}`")
    elif kind == b"HYBR":
        for name in ("group_frames", "chroma_offset", "network"):
            cursor.number(1, f"`{name}`")
    elif kind == b"NIRV":
        for name in ("table", "patch", "group_frames", "features"):
            cursor.number(1, f"`{name}`")
    elif kind == b"GRUP":
        cursor.number(1, "`flags`")
        count = cursor.uv("`frame_count`")
        cursor.uv("`first_frame`")
        cursor.take(4, "`crc` of the samples")
        cursor.uv("`first_pts`", negative=True)
        while count:
            cursor.uv("`duration`")
            count -= cursor.uv("`run`")
        lengths = [cursor.uv(f"`{name}_length`") for name in ("tables", "content", "motion")]
        for name, size in zip(("tables", "content", "motion"), lengths, strict=True):
            if size:
                cursor.take(size, f"{name} substream")
        if end > cursor.position:
            cursor.take(end - cursor.position, "network substream")
    elif kind == b"iNDX":
        for entry in range(cursor.uv("`count`")):
            cursor.uv("`distance`")
            cursor.uv("`frames`")
            cursor.uv("`ticks`", negative=entry == 0)
    else:
        cursor.number(4, "`frame_count`")
        cursor.take(16, "`md5`")
        cursor.number(8, "`index_offset`")
    assert cursor.position == end
    cursor.take(4, "`crc`")


def steps_of(data: bytes) -> tuple[list[list[Step]], list[Any]]:
    """The steps of each range-coded run that is read, in the order of reading, and the frames."""
    decoder = reference().RangeDecoder
    runs: list[list[Step]] = []

    class Tracer(decoder):  # type: ignore[misc, valid-type]
        def __init__(self, coded: bytes) -> None:
            super().__init__(coded)
            self.name, self.numbers = "", dict(pending)
            self.steps: list[Step] = []
            runs.append(self.steps)

        def note(self, context: int | None, p: int, state: tuple[int, int], bit: int) -> None:
            frame = sys._getframe(2)
            while frame.f_code.co_name in OTHERS or frame.f_code.co_name.startswith("<"):
                assert frame.f_back is not None
                frame = frame.f_back
            self.steps.append(Step(self.name, frame.f_code.co_name, context, p, *state, bit))

        def bit(self, context: list[int]) -> int:
            p, state = context[0] + context[1] >> 1, (self.range, self.code)
            bit = int(super().bit(context))
            self.note(self.numbers[id(context)], p, state, bit)
            return bit

        def bypass(self, bits: int = 1) -> int:
            value = 0
            for _ in range(bits):
                state = self.range, self.code
                bit = int(super().bypass())
                self.note(None, 0, state, bit)
                value = 2 * value + bit
            return value

    with numbered(Tracer) as module:
        frames = list(module.Decoder(io.BytesIO(data), tables()).decode(None, None))
    return runs, frames


def run_rows(steps: list[Step]) -> Iterator[str]:
    """The rows of a run."""
    for step in steps:
        context = "bypass" if step.context is None else str(step.context)
        p = "" if step.context is None else str(step.p)
        state = f"0x{step.range:08X} | 0x{step.code:08X}"
        syntax = SYNTAX.get(step.syntax, step.syntax)
        yield f"| {syntax} | {context} | {p} | {state} | {step.bit} |"


def walk(name: str, title: str) -> str:
    """The text of a vector's part."""
    data = (VECTORS / "valid" / f"{name}.nrv").read_bytes()
    cursor = Cursor(data)
    assert cursor.take(8, "signature") == SIGNATURE
    while cursor.position < len(data):
        unit_rows(cursor)
    runs, frames = steps_of(data)
    lines = [f"### {title}: `spec/vectors/valid/{name}.nrv`, {len(data)} bytes", ""]
    lines += ["| at | bytes | field | value |", "|---|---|---|---|", *cursor.rows, ""]
    for steps in runs:
        if not steps:
            continue
        lines += [f"A {RUNS[steps[0].stream]} substream:", ""]
        lines += ["| syntax | context | p | range | code | bit |", "|---|---|---|---|---|---|"]
        lines += [*run_rows(steps), ""]
    for number, frame in enumerate(frames):
        lines += [f"The luma samples of frame {number}, row by row:", ""]
        lines += ["    " + " ".join(f"{sample:3}" for sample in row) for row in frame[0].tolist()]
        lines.append("")
    return "\n".join(lines)


def appendix() -> str:
    """The text between the marks."""
    parts = [walk(name, title) for name, title in WALKED.items()]
    return "\n".join(["", *parts])


def replaced(text: str) -> str:
    """The text of the spec with this appendix anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{appendix()}{END}{after}"


def write_appendix() -> None:
    """Write the appendix into the spec."""
    path = SPEC / "nrv.md"
    path.write_text(replaced(path.read_text("utf-8")), "utf-8")
