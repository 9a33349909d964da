"""Encodes and decodes sources of 40 kinds, and compares what comes out.

    python -m tools.combinations.table [--only N,...] [--keep FOLDER] [--json FILE]

Each source is made with PyAV: 9 frames of 96x64. nvenc codes it, nvdec writes it as Y4M with its
timecodes and as a container. Pictures of the Y4M are compared with those of the source in its own
pixel format (RGB: nvdec's PNG images), those of the container with the Y4M. Times, packets of
tracks and colours of the container are compared with those of the source.

Exit codes: 0 all as it has to be, 5 something differs.
"""

from __future__ import annotations

import math
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import click
from click.testing import CliRunner

from nvcodec.cli import nvdec, nvenc
from nvcodec.cli.outcome import ExitCode
from nvcodec.decode.decoder import Decoder
from tools.combinations.cases import CASES, Case
from tools.combinations.check import (
    Film,
    farthest,
    own_format,
    peak_of,
    psnr,
    read,
    samples,
    timecodes,
)
from tools.combinations.make import RATE, make, times_of
from tools.lib.lists import above_0
from tools.lib.report import Report, Tool, json_option, progress, table

CRF: Final = 8
LEAST: Final = 38.0
"""PSNR in dB that pictures of the right format, place and colours have at this crf."""

LEAST_COPY: Final = 40.0
"""PSNR in dB of a container that is not lossless."""

_EXACT: Final = 1e-6
"""Milliseconds that timecodes are rounded to."""

_ADTS_HEAD: Final = 7
"""Bytes of a header of ADTS."""

_LAST: Final = 1.0
"""Milliseconds that the end of the last frame may be off: containers round durations."""

_MILLISECOND: Final = (".mkv", ".webm")
"""Containers whose times are rounded to milliseconds."""

_WITHOUT_TIMES: Final = (".avi",)
"""Containers of sources without times of display: pictures follow each other evenly."""
_WITHOUT_END: Final = (".nut",)
"""Containers that do not say how long the last frame lasts."""

COLUMNS: Final = {
    "": "{number}",
    "model": "{model}",
    "source": "{source}",
    "format": "{format}",
    "turn": "{turn:s}",
    "times": "{pace}",
    "colour": "{colour:s}",
    "tracks": "{tracks:s}",
    "PSNR": "{psnr}",
    "out": "{out}",
    "copy": "{copy}",
    "times off": "{off}",
    "packets": "{packets:d}",
    "wrong": "{wrong}",
}


def _chosen(context: Any, option: Any, value: str) -> list[int]:
    return above_0(int)(context, option, value) if value else []


@click.command(cls=Tool, help=__doc__)
@click.option("--only", default="", callback=_chosen, help="Numbers of cases.  [default: all]")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave all files here.")
@json_option
def main(only: list[int], keep: Path | None, json_path: Path | None) -> None:
    report = Report(json_path)
    chosen = [(n, case) for n, case in enumerate(CASES, 1) if not only or n in only]
    with tempfile.TemporaryDirectory() as temporary:
        for number, case in progress(chosen, lambda one: f"{one[1].source} {one[1].codec}"):
            folder = (keep or Path(temporary)) / f"{number:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            report.add("cases", _row(number, case, folder))
    rows = report.rows("cases")
    right = sum(not row["wrong"] for row in rows)
    report.show(table(COLUMNS, rows), f"{right} of {len(rows)} are as they have to be.")
    if right < len(rows):
        sys.exit(ExitCode.VERIFICATION)


def _row(number: int, case: Case, folder: Path) -> dict[str, Any]:
    row = {
        "number": number,
        "model": case.model,
        "source": f"{case.codec} in {case.source}",
        "format": case.pixels,
        "turn": case.turn,
        "pace": "uneven" if case.uneven else "even",
        "colour": f"{case.colour}, mastering" if case.mastered else case.colour,
        "tracks": ", ".join(case.tracks) or None,
        "out": case.out,
    }
    wrong: list[str] = []
    try:
        row |= _compared(case, make(case, folder), folder, wrong)
    except _FailedError as error:
        wrong.append(str(error))
    return row | {"wrong": "; ".join(wrong)}


class _FailedError(Exception):
    """A command failed."""


def _run(command: click.Command, *arguments: str | Path) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exit_code:
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        raise _FailedError(f"{command.name}: {result.stderr.strip()}")
    return result.stderr


def _compared(case: Case, path: str, folder: Path, wrong: list[str]) -> dict[str, Any]:
    """Encode and decode a source; the figures, and in `wrong` what is not as it has to be."""
    coded, raw, codes = folder / "coded.nrv", folder / "out.y4m", folder / "times.txt"
    copy = folder / f"out{case.out}"
    _run(nvenc.main, "-y", "--model", case.model, "--preset", "fast", "--crf", CRF, path, coded)
    _run(nvdec.main, "-y", "--verify", "--timecodes", codes, coded, raw)
    _run(nvdec.main, "-y", coded, copy)
    source, plain, film = read(path), read(raw), read(copy)

    quality = _quality(case, source, plain, coded, folder)
    if quality < LEAST:
        wrong.append("pictures")
    copied = _copy_quality(plain, film)
    if copied < LEAST_COPY:
        wrong.append("pictures of the container")

    times = _times(case, source)
    *begins, end = timecodes(codes)
    if farthest(begins, times) > _EXACT:
        wrong.append("times")
    stated = times[0] + Fraction(times_of(case)[1], RATE)
    if case.source not in _WITHOUT_END and farthest([end], [stated]) > _LAST:
        wrong.append("end")
    off = farthest(film.times, times)
    if off > (0.5 + _EXACT if case.out in _MILLISECOND else _EXACT):
        wrong.append("times of the container")

    wrong += _wrong_packets(source, coded)
    wrong += _wrong_tracks(case, source, film)
    wrong += _wrong_colours(source, film)
    return {
        "psnr": f"{quality:.1f}",
        "copy": "equal" if math.isinf(copied) else f"{copied:.1f}",
        "off": "0" if off < _EXACT else f"{off:.2f} ms",
        "packets": sum(map(len, film.packets)) or None,
    }


def _times(case: Case, source: Film) -> list[Fraction]:
    """Times of the source's frames in seconds."""
    if case.source in _WITHOUT_TIMES:
        return [Fraction(tick, RATE) for tick in times_of(case)[0]]
    return source.times


def _quality(case: Case, source: Film, plain: Film, coded: Path, folder: Path) -> float:
    name = own_format(source.frames[0])
    if case.turn in ("90", "270"):
        # Turned 4:2:2 is coded as 4:4:4.
        name = name.replace("422", "444")
    others = plain.frames
    if name.startswith("rgb"):
        _run(nvdec.main, "-y", coded, folder / "out%02d.png")
        others = read(folder / "out%02d.png").frames
    return psnr(
        [samples(frame, name, case.turn) for frame in source.frames],
        [samples(frame, name) for frame in others],
        peak_of(source.frames[0], name),
    )


def _copy_quality(plain: Film, film: Film) -> float:
    name = own_format(plain.frames[0])
    return psnr(
        [samples(frame, name) for frame in plain.frames],
        [samples(frame, name) for frame in film.frames],
        peak_of(plain.frames[0], name),
    )


def _wrong_packets(source: Film, coded: Path) -> list[str]:
    """What differs in the tracks of a .nrv file, whose times are those of the source."""
    with Decoder(coded) as decoder:
        found: list[list[tuple[Fraction, bytes]]] = [[] for _ in decoder.tracks]
        bases = [track.time_base for track in decoder.tracks]
        for packet in decoder.packets():
            found[packet.track].append((packet.pts * bases[packet.track], packet.data))
    return [] if found == source.packets else ["packets of the .nrv file"]


def _wrong_tracks(case: Case, source: Film, film: Film) -> list[str]:
    if len(film.packets) != len(source.packets):
        return [f"{len(film.packets)} of {len(source.packets)} tracks"]
    wrong = []
    for codec, given, made in zip(case.tracks, source.packets, film.packets, strict=True):
        # Streams of AAC have a header in each packet, which containers do not take.
        head = _ADTS_HEAD if codec == "aac" and case.source == ".ts" else 0
        if [data[head:] for _, data in given] != [data for _, data in made]:
            wrong.append(f"packets of {codec}")
        off = farthest([time for time, _ in given], [time for time, _ in made])
        if off > _LAST:
            wrong.append(f"times of {codec}, by {off:.1f} ms")
    # QuickTime has the bibliographic code.
    languages = [{"und": "", "ger": "deu"}.get(one, one) for one in film.languages]
    if source.languages != languages:
        wrong.append(f"languages {film.languages}")
    return wrong


def _wrong_colours(source: Film, film: Film) -> list[str]:
    wrong = []
    primaries, transfer, matrix, extent = source.colours
    found = film.colours
    if own_format(source.frames[0]).startswith("rgb"):
        # YCbCr has its own matrix and range.
        matrix, extent = found[2:]
    if {extent, found[3]} == (
        {0, 2} if own_format(source.frames[0]).startswith("gray") else {0, 1}
    ):
        # What an unspecified range counts as.
        extent = found[3]
    if found != (primaries, transfer, matrix, extent):
        wrong.append(f"colours {found}, not {(primaries, transfer, matrix, extent)}")
    if film.hdr != source.hdr:
        wrong.append(f"{film.hdr}, not {source.hdr}")
    return wrong


if __name__ == "__main__":
    main()
