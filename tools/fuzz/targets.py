"""What reads mutated inputs: each target makes an input and checks what the product does with it.

An error that the commands know (`nvcodec.cli.outcome.exit_code`) is an answer; any other is a
finding, and so is a check of a target that fails.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import itertools
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import nvcodec
from nvcodec.cli import nvdec, nvenc, nvinfo
from nvcodec.cli.outcome import ExitCode, exit_code
from nvcodec.decode.decoder import Decoder
from nvcodec.format import (
    Group,
    GroupUnit,
    Header,
    NrvError,
    UnitReader,
    read_group_at,
    read_index,
    scan_index,
    scan_packets,
)
from nvcodec.format.chapters import build_chapters, parse_chapters
from nvcodec.format.hdr import build_hdr, parse_hdr
from nvcodec.format.index import End, parse_index
from nvcodec.format.metadata import build_metadata, parse_metadata
from nvcodec.format.packets import build_packets, parse_packets
from nvcodec.format.tracks import Track, build_track, parse_track
from nvcodec.media.source import open_source
from nvcodec.model.description import parse_description
from nvcodec.picture import samples_crc
from tools.fuzz import large
from tools.fuzz.mutate import mutated, mutated_bytes, mutated_group, split
from tools.fuzz.seeds import LIMITS, MOST_SAMPLES, Seed

_KINDS = {
    "": "",
    "CorruptError": "corrupt",
    "TruncatedError": "truncated",
    "UnsupportedError": "unsupported",
    "OverLimitError": "over limit",
    "VerificationError": "mismatch",
}
"""Our classes in the words of spec 2.10."""

_DESCRIPTIONS = {b"SIRN": 1, b"HYBR": 2, b"NIRV": 3}


class WrongError(AssertionError):
    """The product did something that it must not do."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise WrongError(what)


def require_no_frame(error: IndexError) -> None:
    """Kernels with checks of bounds raise IndexError too."""
    if "video" not in str(error) and "no frame is shown" not in str(error):
        raise error


@dataclass(frozen=True)
class Corpus:
    """What is mutated."""

    seeds: list[Seed]
    media: dict[str, bytes]

    @cached_property
    def payloads(self) -> list[tuple[bytes, bytes]]:
        """Type and payload of the units of all seeds, each once."""
        units = [unit for seed in self.seeds for unit in split(seed.data)]
        return sorted({(unit.kind, unit.payload) for unit in units})

    @cached_property
    def by_kind(self) -> dict[bytes, list[bytes]]:
        kinds: dict[bytes, list[bytes]] = {}
        for kind, payload in self.payloads:
            kinds.setdefault(kind, []).append(payload)
        return kinds

    @cached_property
    def tracks(self) -> dict[int, Track]:
        found = [parse_track(payload) for payload in self.by_kind[b"aTRK"]]
        return {track.number: track for track in found}


@dataclass(frozen=True)
class Input:
    """Bytes for a target; `name` is a suffix or kind, `seed` what a bitstream was made of."""

    data: bytes
    name: str = ".nrv"
    seed: Seed | None = None


class Trickle:
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, rng: random.Random) -> None:
        self._file = io.BytesIO(data)
        sizes = [rng.choice((1, 3, 11, 64, 1000, 1 << 16)) for _ in range(4)]
        self._sizes = itertools.cycle(sizes)

    def read(self, size: int = -1, /) -> bytes:
        most = next(self._sizes)
        return self._file.read(most if size < 0 else min(size, most))

    def seekable(self) -> bool:
        return False


def _same_bytes(old: bytes, new: bytes) -> int:
    """How many bytes both begin with."""
    least, most = 0, min(len(old), len(new))
    while least < most:
        middle = (least + most + 1) // 2
        if old[:middle] == new[:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def intact(item: Input) -> tuple[int, int]:
    """Groups and frames of the seed that end before the first byte that is another."""
    if item.seed is None:
        return 0, 0
    old, new = item.seed.data, item.data
    same = _same_bytes(old, new)
    groups = frames = 0
    place = 8
    for unit in split(old):
        place += 12 + len(unit.payload)
        if place > same:
            break
        if unit.kind == b"GRUP":
            groups += 1
            frames += Group.parse(unit.payload).frame_count
    return groups, frames


def make_bitstream(corpus: Corpus, rng: random.Random) -> Input:
    seed = rng.choice(corpus.seeds)
    return Input(mutated(seed.data, rng, rng.choice(corpus.seeds).data), seed=seed)


def make_payload(corpus: Corpus, rng: random.Random) -> Input:
    kind = rng.choice(sorted(corpus.by_kind))
    payloads = corpus.by_kind[kind]
    payload, other = rng.choice(payloads), rng.choice(payloads)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if kind == b"GRUP" and rng.randrange(3):
            payload = mutated_group(payload, rng, payloads)
        else:
            payload = mutated_bytes(payload, rng, other)
    return Input(payload, kind.decode())


def make_media(corpus: Corpus, rng: random.Random) -> Input:
    name = rng.choice(sorted(corpus.media))
    data = corpus.media[name]
    others = [other for key, other in corpus.media.items() if Path(key).suffix == Path(name).suffix]
    for _ in range(rng.choice((1, 1, 2, 5))):
        data = mutated_bytes(data, rng, rng.choice(others))
    return Input(data, Path(name).suffix)


def _events(file: Any, lenient: bool) -> tuple[list[Any], str]:
    events: list[Any] = []
    try:
        for event in UnitReader(file, lenient=lenient):
            events.append(event)
    except NrvError as error:
        return events, f"{type(error).__name__}: {error}"
    return events, ""


def check_reader(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """Events and error do not depend on how bytes arrive; groups before the damage come."""
    lenient = bool(rng.randrange(2))
    events, error = _events(Trickle(item.data, rng), lenient)
    groups = [event for event in events if isinstance(event, GroupUnit)]
    require(len(groups) >= intact(item)[0], f"{len(groups)} of {intact(item)[0]} groups: {error}")
    if rng.randrange(4) == 0:
        again, other = _events(io.BytesIO(item.data), lenient)
        require(len(again) == len(events), f"{len(again)} events, {len(events)} from a pipe")
        require(other == error, f"{other!r}, but {error!r} from a pipe")


def check_seek(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """Index, scan, tracks and times of a file that can seek."""
    file = io.BytesIO(item.data)
    header = UnitReader(file, LIMITS).header
    entries = read_index(file, LIMITS)
    if entries is None:
        entries = []
        error = None
        try:
            entries.extend(scan_index(file, LIMITS))
        except NrvError as caught:
            error = caught
        require(len(entries) >= intact(item)[0], f"{len(entries)} groups in a scan: {error}")
    for entry in entries[:20]:
        try:
            group = read_group_at(file, entry, header, LIMITS)
        except NrvError:
            continue
        require(group.first_frame == entry.first_frame, "the group is not that of the entry")
    if rng.randrange(2):
        for _ in scan_packets(file, LIMITS):
            pass
    else:
        with Decoder(io.BytesIO(item.data), threads=1, limits=LIMITS) as decoder:
            assert (decoder.tracks, decoder.chapters, decoder.hdr) is not None
            time = rng.choice((-1.0, 0.0, 0.1, 1e9, rng.random()))
            try:
                decoder.frame_at(time)
            except IndexError as error:
                require_no_frame(error)
                return
            len(decoder)


def check_parsers(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """What a parser takes, a builder gives back; where one coding is valid, byte for byte."""
    data, kind = item.data, item.name.encode()
    if kind in _DESCRIPTIONS:
        require(parse_description(_DESCRIPTIONS[kind], data).to_payload() == data, "not the bytes")
    elif kind == b"HEAD":
        require(Header.parse(data).build() == data, "not the bytes of HEAD")
    elif kind == b"GRUP":
        require(Group.parse(data).build() == data, "not the bytes of GRUP")
    elif kind == b"FEND":
        require(End.parse(data).build() == data, "not the bytes of FEND")
    elif kind == b"iNDX":
        before, out = None, b""
        entries = parse_index(data, 1 << 40)
        for entry in entries:
            out += entry.build(before)
            before = entry
        require(data.endswith(out), "not the bytes of iNDX")
    elif kind == b"mETa":
        members = parse_metadata(data)
        require(parse_metadata(build_metadata(members)) == members, "not the same members")
    elif kind == b"cHAP":
        # Time bases are reduced.
        chapters = parse_chapters(data)
        require(parse_chapters(build_chapters(chapters)) == chapters, "not the same chapters")
    elif kind == b"hDRm":
        require(build_hdr(parse_hdr(data)) == data, "not the bytes of hDRm")
    elif kind == b"aTRK":
        track = parse_track(data)
        require(parse_track(build_track(track)) == track, "not the same track")
    elif kind == b"aPKt":
        packets = parse_packets(data, corpus.tracks)
        built = build_packets(packets, corpus.tracks[packets[0].track])
        require(parse_packets(built, corpus.tracks) == packets, "not the same packets")


def _frames(decoder: Decoder, **view: Any) -> tuple[list[tuple[int, int]], str]:
    frames: list[tuple[int, int]] = []
    try:
        for frame in decoder.frames(**view):
            frames.append((frame.index, samples_crc([frame.planes])))
    except NrvError as error:
        return frames, f"{type(error).__name__}: {error}"
    return frames, ""


def _opened(data: bytes) -> Decoder:
    return Decoder(io.BytesIO(data), threads=1, limits=LIMITS)


def _require_intact(item: Input, frames: list[tuple[int, int]], error: str) -> None:
    if item.seed is not None:
        count = intact(item)[1]
        right = list(enumerate(item.seed.frames[:count]))
        require(frames[:count] == right, f"{len(frames)} frames, {count} are intact: {error}")


def check_rebuild(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """All frames, and all but a column of them, which no CRC of samples stops."""
    with _opened(item.data) as decoder:
        if rng.randrange(3) == 0:
            _require_intact(item, *_frames(decoder))
        else:
            width, height = decoder.header.width, decoder.header.height
            for _ in decoder.frames(crop=(max(1, width - 1), height, 0, 0)):
                pass


def check_render(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """Frames at random, at any size and region."""
    with _opened(item.data) as decoder:
        for _ in range(3):
            size = rng.choice((None, (rng.randrange(70), rng.randrange(70))))
            crop = rng.choice((None, tuple(rng.randrange(40) for _ in range(4))))
            number = rng.choice((0, -1, 1, rng.randrange(12), 1 << 32))
            try:
                if rng.randrange(4):
                    decoder.render(number, size=size, crop=crop)
                else:
                    decoder.at(rng.random(), size=size, crop=crop)
            except IndexError as error:
                require_no_frame(error)
            except Exception as error:
                if exit_code(error) is None:
                    raise


def check_differential(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """Threads, pipes and random access give the same frames, and the first two the same error."""
    with _opened(item.data) as decoder:
        frames, error = _frames(decoder)
        _require_intact(item, frames, error)
        for number, crc in rng.sample(frames, min(2, len(frames))):
            found = samples_crc([decoder.render(number).planes])
            require(found == crc, f"frame {number} is another at random")
    with Decoder(io.BytesIO(item.data), threads=3, limits=LIMITS) as threads:
        require(_frames(threads) == (frames, error), f"three threads differ from {error!r}")
    with Decoder(Trickle(item.data, rng), threads=1, limits=LIMITS) as pipe:
        require(_frames(pipe) == (frames, error), f"a pipe differs from {error!r}")


@functools.cache
def _reference() -> tuple[Any, Any]:
    """The module of the reference decoder, and its tables."""
    path = Path(__file__).parents[2] / "spec" / "reference" / "nrvdec.py"
    spec = importlib.util.spec_from_file_location("nrvdec", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["nrvdec"] = module
    spec.loader.exec_module(module)
    return module, module.Tables(path.parents[1] / "tables")


def check_reference(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """The reference decoder gives the same frames, and an error of the same class.

    A reader may skip damaged metadata and tracks (spec 2.3); ours names them and goes on.
    """
    with _opened(item.data) as decoder:
        frames, error = _frames(decoder, verify=True)
    kind = _KINDS[error.partition(":")[0]]
    if kind == "over limit" or decoder.metadata_error is not None:
        return
    module, tables = _reference()
    found, other = [], ""
    try:
        for number, planes in enumerate(
            module.Decoder(io.BytesIO(item.data), tables).decode(None, None)
        ):
            found.append((number, samples_crc([planes])))
    except module.NrvError as caught:
        other = caught.kind
    require(other == kind, f"{error!r}, but the reference says {other!r}")
    require(found == frames, f"{len(frames)} frames, {len(found)} others of the reference")


def make_large(corpus: Corpus, rng: random.Random) -> Input:
    data, other = (large.made(rng.choice(large.FUZZED)) for _ in range(2))
    return Input(mutated(data, rng, other))


def check_large(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """Time and memory stay within their bounds for all that a file asks of a decoder."""
    large.settled(item.data, rng.choice((1, 2))).require()


def check_sources(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """A source gives pictures, or says what is wrong; sometimes it is encoded too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"in{item.name}")
        path.write_bytes(item.data)
        if rng.randrange(5) == 0:
            out = io.BytesIO()
            nvcodec.encode(path, out, preset="ultrafast", frames=3, threads=1)
            require(not _events(io.BytesIO(out.getvalue()), False)[1], "the output is not valid")
            return
        with open_source(str(path)) as source:
            for _ in itertools.islice(source, 12):
                pass


_OPTIONS: dict[str, list[tuple[str, ...]]] = {
    "nvinfo": [("--json",), ("--help",), ("--version",), ("--nothing",)],
    "nvdec": [
        ("--json",), ("--md5",), ("--verify",), ("-q",), ("-y",), ("--audio-only",),
        ("--size", "50%"), ("--size", "7x5"), ("--size", "0x0"), ("--size", "99999x1"),
        ("--crop", "4:4:0:0"), ("--crop", "1:1:99:99"), ("--crop", "x"), ("--skip", "1"),
        ("--skip", "4000000000"), ("--frames", "1"), ("--frames", "0"), ("--fps", "10"),
        ("--fps", "1/0"), ("--codec", "ffv1"), ("--codec", "nothing"), ("--threads", "1"),
        ("--codec-options", "a"), ("--max-unit-bytes", "10"), ("--device", "cuda"),
        ("--timecodes", "{folder}/times.txt"), ("--batch", "1"), ("--resume",),
    ],
    "nvenc": [
        ("--crf", "51"), ("--crf", "-1"), ("--crf", "nan"), ("--frames", "2"), ("--skip", "1"),
        ("--skip", "99"), ("--json",), ("-q",), ("-y",), ("--size", "1k"), ("--bitrate", "1"),
        ("--group-size", "4"), ("--group-size", "99"), ("--no-audio",), ("--tracks", "audio,9"),
        ("--strict",), ("--raw", "8x8"), ("--format", "yuv420p"), ("--fps", "5"), ("--fps", "0"),
        ("--key-interval", "0.1"), ("--key-interval", "0"), ("--metrics", "ssim,x"), ("--resume",),
        ("--network", "off"), ("--model", "nothing"), ("--tune", "visual"), ("--deinterlace",),
    ],
}  # fmt: skip
_ALWAYS = {
    "nvinfo": (),
    "nvdec": ("--max-luma-samples", str(MOST_SAMPLES), "--threads", "1"),
    "nvenc": ("--preset", "ultrafast", "--threads", "1", "--frames", "3"),
}
_MAINS = {"nvinfo": nvinfo.main, "nvdec": nvdec.main, "nvenc": nvenc.main}
_OUTPUTS = ("null", "-", "out.y4m", "out.mkv", "out.mp4", "o_%02d.png", "out.npy", "out.xyz", "")


def make_command_input(corpus: Corpus, rng: random.Random) -> Input:
    return (make_media if rng.randrange(3) == 0 else make_bitstream)(corpus, rng)


def check_commands(item: Input, rng: random.Random, corpus: Corpus) -> None:
    """A command with any options ends with an exit code of its list, and no internal error."""
    name = "nvenc" if item.name != ".nrv" else rng.choice(("nvinfo", "nvdec", "nvdec"))
    with tempfile.TemporaryDirectory() as folder:
        source, stdin = str(Path(folder, f"in{item.name}")), None
        Path(source).write_bytes(item.data)
        if rng.randrange(6) == 0:
            source, stdin = "-", item.data
        options = [
            part.format(folder=folder)
            for option in rng.sample(_OPTIONS[name], rng.choice((0, 1, 1, 2, 3)))
            for part in option
        ]
        output = "out.nrv" if name == "nvenc" else rng.choice(_OUTPUTS)
        output = output if output in ("null", "-", "") else str(Path(folder, output))
        arguments = [*_ALWAYS[name], *options, source]
        arguments += [output] * (name != "nvinfo")
        if rng.randrange(100) == 0:
            command = [sys.executable, "-m", "nvcodec", name, *arguments]
            done = subprocess.run(command, input=stdin or b"", capture_output=True, check=False)
            code, said = done.returncode, done.stderr.decode(errors="replace")
        else:
            result = CliRunner().invoke(_MAINS[name], arguments, input=stdin)
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            code, said = result.exit_code, result.stderr
    require(code in list(ExitCode), f"exit code {code}: {name} {arguments}: {said[-300:]}")
    require("internal error" not in said, f"{name} {arguments}: {said[-400:]}")
    require("Traceback" not in said, f"{name} {arguments}: {said[-400:]}")


Make = Callable[[Corpus, random.Random], Input]
Check = Callable[[Input, random.Random, Corpus], None]

TARGETS: dict[str, tuple[Make, Check]] = {
    "parsers": (make_payload, check_parsers),
    "reader": (make_bitstream, check_reader),
    "seek": (make_bitstream, check_seek),
    "rebuild": (make_bitstream, check_rebuild),
    "render": (make_bitstream, check_render),
    "differential": (make_bitstream, check_differential),
    "reference": (make_bitstream, check_reference),
    "large": (make_large, check_large),
    "sources": (make_media, check_sources),
    "commands": (make_command_input, check_commands),
}
