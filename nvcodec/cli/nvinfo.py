"""nvinfo: the contents of a `.nrv` file, and the bytes that each part takes."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from nvcodec.cli.outcome import (
    EXIT_CODES_HELP,
    NOT_NVIDIA,
    Console,
    ending,
    print_version,
    require_input,
    standard_input,
)
from nvcodec.media.remote import open_file
from nvcodec.words import counted, format_in_words, format_name, in_one_line

if TYPE_CHECKING:
    from nvcodec.format import Group, Header, NrvError, Packet, Track
    from nvcodec.model.description import CanvasShape

COMMAND = "nvinfo"

_SUBSTREAMS = ("tables", "content", "motion", "network")
_KINDS_SHOWN = {
    "sine": ("network", "tables"),
    "hybrid": ("content", "motion", "network", "network_mode"),
    "nirvana": ("content", "motion"),
}


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    List header, tracks, units, groups and bytes by kind of FILE, a .nrv file or "-" for standard
    input. Nothing is decoded. In a damaged file, everything before the damage is listed.
    """,
    short_help="List what a .nrv file holds.",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--bits",
    "bits_wanted",
    is_flag=True,
    help="Also list the bits of each kind of syntax element, by kind of canvas, of a file of the"
    " hybrid model. The substreams are parsed for that.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
@print_version(COMMAND)
@click.argument("source", metavar="FILE")
def main(source: str, bits_wanted: bool, as_json: bool) -> None:
    """List the contents of a file."""
    console = Console(COMMAND)
    with ending(console, source):
        require_input(source)
        opened = nullcontext(standard_input()) if source == "-" else open_file(source)
        with opened as file:
            report: dict[str, Any] = {}
            try:
                _read(file, report, bits_wanted)
            finally:
                if report:
                    for part in _json(report) if as_json else _text(report):
                        console.result(part, end="")
                    console.result("")


class _Rows:
    """Rows with the same members, kept as columns: a file may have very many units and groups."""

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for values in zip(*self._columns.values(), strict=True):
            yield dict(zip(self._columns, values, strict=True))

    def add(self, row: dict[str, Any]) -> None:
        """Add a row: integers within 64 bits, or objects that rows share."""
        for name, value in row.items():
            if name not in self._columns:
                self._columns[name] = array("q") if type(value) is int else []
            self._columns[name].append(value)
        self._count += 1

    def drop_last(self) -> None:
        """Remove the last row."""
        for column in self._columns.values():
            column.pop()
        self._count -= 1

    def total(self, name: str) -> int:
        """The sum of a member."""
        return sum(self._columns.get(name, ()))


class _UnitTap:
    """A file object that passes on what it reads, and lists the units on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._units = _Rows()
        self._seen = b""
        self._offset = 0
        self._next = 8

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self._seen += data
        while True:
            passed = min(len(self._seen), self._next - self._offset)
            self._seen = self._seen[passed:]
            self._offset += passed
            if len(self._seen) < 8:
                return data
            length = int.from_bytes(self._seen[4:8], "little") + 12
            kind = sys.intern(self._seen[:4].decode("latin-1"))
            self._units.add({"type": kind, "offset": self._next, "bytes": length})
            self._next += length

    def units(self) -> _Rows:
        """The units that have been read completely; ends the tap."""
        if len(self._units) and self._next > self._offset + len(self._seen):
            self._units.drop_last()
        return self._units


def _read(file: BinaryIO, report: dict[str, Any], bits_wanted: bool) -> None:
    from nvcodec.format import (
        LEVELS,
        MODEL_NAMES,
        UNKNOWN_FRAME_COUNT,
        Chapters,
        Damaged,
        Description,
        GroupUnit,
        Hdr,
        Limits,
        Metadata,
        Packets,
        Track,
        UnitReader,
        located,
    )
    from nvcodec.model.description import CanvasShape, parse_description
    from nvcodec.model.sine.shape import NetworkShape

    top = LEVELS[max(LEVELS)]
    tap = _UnitTap(file)
    reader = UnitReader(
        tap,
        # Listing holds one unit in memory at a time, so the limits can be the highest level's.
        Limits(
            max_luma_samples=top.luma_samples,
            max_weights=top.weights,
            max_unit_bytes=top.unit_bytes,
            max_multiplications=top.multiplications,
        ),
        lenient=True,
    )
    header = asdict(reader.open())
    if header["frame_count"] == UNKNOWN_FRAME_COUNT:
        header["frame_count"] = None
    groups = _Rows()
    samples = format_name(header["chroma_format"], header["bit_depth"])
    report |= {
        "header": header,
        "format": samples,
        "model": {"name": MODEL_NAMES[header["model"]]},
        "metadata": {},
        "hdr": None,
        "chapters": [],
        "tracks": [],
    }
    tracks: dict[int, _TrackContents] = {}
    complete = False
    damage: NrvError | None = None
    try:
        for event in reader:
            if isinstance(event, Description):
                with located(str(reader.header.description_type), event.offset):
                    shape = parse_description(header["model"], event.payload)
                reader.group_length = shape.group_frames
                report["model"] |= asdict(shape)
                if isinstance(shape, NetworkShape):
                    report["model"] |= {
                        "weights": shape.weights,
                        "multiplications": shape.multiplications,
                    }
            elif isinstance(event, Metadata):
                report["metadata"] |= event.members
                damage = damage or event.error
            elif isinstance(event, Damaged):
                damage = damage or event.error
            elif isinstance(event, Hdr):
                report["hdr"] = asdict(event)
            elif isinstance(event, Chapters):
                report["chapters"] = [
                    {
                        "start": float(chapter.start * chapter.time_base),
                        "end": float(chapter.end * chapter.time_base),
                        "title": chapter.title,
                    }
                    for chapter in event.chapters
                ]
            elif isinstance(event, Track):
                tracks[event.number] = _TrackContents(event)
            elif isinstance(event, Packets):
                tracks[event.packets[0].track].add(event.packets)
            elif isinstance(event, GroupUnit):
                group = _group(event, reader.offset)
                if isinstance(shape, CanvasShape):
                    with located(f"GRUP {event.ordinal}", event.offset):
                        group["network_mode"] = _network_mode(shape, event.group)
                        if bits_wanted:
                            _add_bits(report.setdefault("bits", {}), event.group, reader.header)
                groups.add(group)
            else:
                complete = True
    finally:
        total = reader.offset
        by_kind = {kind: groups.total(kind) for kind in _SUBSTREAMS}
        units = tap.units()
        by_kind["tracks"] = sum(unit["bytes"] for unit in units if unit["type"] in ("aTRK", "aPKt"))
        report["tracks"] = [contents.report() for contents in tracks.values()]
        by_kind["container"] = total - sum(by_kind.values())
        report |= {
            "complete": complete,
            "frames": groups.total("frames"),
            "bytes": total,
            "bytes_by_kind": by_kind,
            "shares": {kind: count / max(1, total) for kind, count in by_kind.items()},
            "units": units,
            "groups": groups,
        }
    if damage is not None:
        raise damage


class _TrackContents:
    """A track, and how many packets and bytes of it a file has, from when to when."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._packets = self._bytes = 0
        self._start: int | None = None
        self._end = 0

    def add(self, packets: tuple[Packet, ...]) -> None:
        self._packets += len(packets)
        self._bytes += sum(len(packet.data) for packet in packets)
        start = min(packet.pts for packet in packets)
        self._start = start if self._start is None else min(start, self._start)
        self._end = max(self._end, *(packet.pts + packet.duration for packet in packets))

    def report(self) -> dict[str, Any]:
        base = self._track.time_base
        fields = asdict(self._track)
        extradata = fields.pop("extradata")
        return fields | {
            "time_base": str(base),
            "extradata_bytes": len(extradata),
            "packets": self._packets,
            "bytes": self._bytes,
            "start": None if self._start is None else float(self._start * base),
            "end": None if self._start is None else float(self._end * base),
        }


def _group(unit: Any, end: int) -> dict[str, Any]:
    group = unit.group
    return {
        "offset": unit.offset,
        "first_frame": group.first_frame,
        "frames": group.frame_count,
        "key": group.key,
        "pts": group.first_pts,
        "duration": sum(group.durations),
        "bytes": end - unit.offset,
        **{kind: len(getattr(group, kind)) for kind in _SUBSTREAMS},
        "crc": f"{group.crc:08x}",
    }


def _network_mode(shape: CanvasShape, group: Group) -> str:
    """What a group does with the fusion network: keep, off, new, or none if there is no network."""
    if not shape.network:
        return "none"
    from nvcodec.coding.hybrid.network_mode import network_mode

    return network_mode(group.network).name.lower()


_CANVASES = ("key", "chain", "interior")
"""Kinds of canvases, by Set (spec 7.2)."""


def _add_bits(report: dict[str, dict[str, float]], group: Group, header: Header) -> None:
    """Add the bits of a group's canvases to `report`, by kind of canvas and of syntax element."""
    from nvcodec.coding.hybrid.accounting import KINDS, spent_bits
    from nvcodec.model.hybrid.canvas.plane import coded_size, schedule

    steps = schedule(group.frame_count, group.key, group.second)
    canvases = [(step.set, step.b is not None) for step in steps]
    size = coded_size(header.width, header.height)
    found = spent_bits(group.motion, group.content, canvases, size, header.sample_format)
    for (canvas_set, _), bits in zip(canvases, found, strict=True):
        totals = report.setdefault(_CANVASES[canvas_set], dict.fromkeys(KINDS, 0.0))
        for kind, count in bits.items():
            totals[kind] += count


def _bits_text(bits: dict[str, dict[str, float]]) -> list[str]:
    """A table of bytes by kind of syntax element and of canvas."""
    shown = [name for name in _CANVASES if name in bits]
    lines = ["bytes by syntax element" + "".join(f" {name:>12}" for name in shown)]
    for kind in bits[shown[0]]:
        counts = [bits[name][kind] / 8 for name in shown]
        lines.append(f"  {kind:21}" + "".join(f" {count:12.1f}" for count in counts))
    sums = [sum(bits[name].values()) / 8 for name in shown]
    return [*lines, f"  {'all':21}" + "".join(f" {count:12.1f}" for count in sums)]


def _beside_text(report: dict[str, Any]) -> list[str]:
    """The lines on HDR metadata, chapters and tracks; none where a file has none of them."""
    lines = []
    if report["hdr"]:
        lines.append("hdr")
        lines += [f"  {name:20} {value}" for name, value in report["hdr"].items() if value]
    if report["chapters"]:
        lines.append("chapters")
        lines += [
            f"  {chapter['start']:10.3f} {chapter['end']:10.3f} s  {in_one_line(chapter['title'])}"
            for chapter in report["chapters"]
        ]
    if report["tracks"]:
        lines.append("tracks")
    for track in report["tracks"]:
        words = [f"{track['number']:3}", track["kind"], track["codec"], track["language"]]
        if track["rate"]:
            words.append(
                f"{track['rate']} Hz {track['layout'] or counted(track['channels'], 'channel')}"
            )
        words += [f'"{in_one_line(track["title"])}"'] if track["title"] else []
        words += track["disposition"]
        lines.append("  " + " ".join(word for word in words if word))
        times = "" if track["start"] is None else f", {track['start']:.3f} to {track['end']:.3f} s"
        lines.append(f"      {counted(track['packets'], 'packet')}, {track['bytes']} bytes{times}")
    return lines


def _json(report: dict[str, Any]) -> Iterator[str]:
    """The report as one JSON object, in parts."""
    lists = {name: value for name, value in report.items() if isinstance(value, _Rows)}
    yield json.dumps({k: v for k, v in report.items() if k not in lists}).removesuffix("}")
    for name, rows in lists.items():
        yield f', "{name}": ['
        for number, row in enumerate(rows):
            yield (", " if number else "") + json.dumps(row)
        yield "]"
    yield "}"


def _text(report: dict[str, Any]) -> Iterator[str]:
    """The report in lines, in parts."""
    header, metadata = report["header"], report["metadata"]
    lines = ["header"]
    lines += [f"  {name:20} {'unknown' if v is None else v}" for name, v in header.items()]
    samples = format_in_words(header["chroma_format"], header["bit_depth"])
    lines.append(f"  {'format':20} {report['format']}, {samples}")
    lines.append("model")
    lines += [f"  {name:20} {value}" for name, value in report["model"].items()]
    if metadata:
        lines += ["metadata", f"  {json.dumps(metadata)}"]
    lines += _beside_text(report)
    lines += ["units", "  type     number      bytes"]
    sizes: dict[str, tuple[int, int]] = {}
    for unit in report["units"]:
        count, size = sizes.get(unit["type"], (0, 0))
        sizes[unit["type"]] = count + 1, size + unit["bytes"]
    lines += [f"  {kind:4} {count:10} {size:10}" for kind, (count, size) in sizes.items()]
    kinds = _KINDS_SHOWN[report["model"]["name"]]
    lines += [
        "groups",
        "  number     offset first frame  frames  key      bytes"
        + "".join(f" {kind.removeprefix('network_'):>10}" for kind in kinds),
    ]
    yield "\n".join(lines) + "\n"
    for number, group in enumerate(report["groups"]):
        yield (
            f"  {number:6} {group['offset']:10} {group['first_frame']:11} {group['frames']:7}"
            f"  {'key' if group['key'] else '   '} {group['bytes']:10}"
            + "".join(f" {group[kind]:>10}" for kind in kinds)
            + "\n"
        )
    lines = ["bytes"]
    for kind, count in report["bytes_by_kind"].items():
        lines.append(f"  {kind:20} {count:10} {report['shares'][kind]:7.2%}")
    if report.get("bits"):
        lines += _bits_text(report["bits"])
    video = report["bytes"] - report["bytes_by_kind"]["tracks"]
    pixels = header["width"] * header["height"] * max(1, report["frames"])
    lines.append(
        f"  {'all':20} {report['bytes']:10} {8 * video / pixels:.4f} bpp of video,"
        f" {counted(report['frames'], 'frame')}"
    )
    if not report["complete"]:
        lines.append("the file is not complete")
    yield "\n".join(lines)
