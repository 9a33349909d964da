"""The output of an encode: coded groups to a `.nrv` file, as they come."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, BinaryIO

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.result import EncodedGroup, EncodeResult, Observer
from nvcodec.format import Header, NrvError, NrvWriter, Packet
from nvcodec.media.notes import Note
from nvcodec.media.output import OutputFile
from nvcodec.media.source import Source
from nvcodec.version import __version__
from nvcodec.words import counted


def source_header(source: Source, model: int, level: int) -> Header:
    """HEAD (spec 2.4) of an encode of a source: its size, sample format, times and colours."""
    rate = source.frame_rate or Fraction(0)
    sar = source.sar or Fraction(0)
    return Header(
        level=level,
        model=model,
        chroma_format=source.sample_format.chroma_format,
        bit_depth=source.sample_format.bit_depth,
        width=source.width,
        height=source.height,
        frame_rate_num=rate.numerator,
        frame_rate_den=rate.denominator if rate else 0,
        time_base_num=source.time_base.numerator,
        time_base_den=source.time_base.denominator,
        sar_num=sar.numerator,
        sar_den=sar.denominator if sar else 0,
        colour_primaries=source.colour_primaries,
        transfer=source.transfer,
        matrix=source.matrix,
        full_range=source.full_range,
        chroma_location=source.chroma_location,
    )


class GroupWriter:
    """Writes the groups of one encode and adds them to its result.

    Args:
        header: HEAD of the file.
        result: grows with each group.
        settings: member of mETa (spec 2.6).
        observer: told about each group.
        source: gives the tracks, and what else the file says about it.

    """

    def __init__(
        self,
        header: Header,
        result: EncodeResult,
        settings: dict[str, Any],
        observer: Observer,
        source: Source,
    ) -> None:
        self._header = header
        self._result = result
        self._metadata = {"encoder": f"nvcodec {__version__}", "settings": settings}
        if source.field_order is not None:
            self._metadata["field_order"] = source.field_order
        self._observer = observer
        self._source = source
        self._end = Fraction(0)
        self._output: OutputFile | None = None
        self._writer: NrvWriter | None = None

    @property
    def finished(self) -> bool:
        """Whether the end has been written that makes the file valid."""
        return self._writer is not None and self._writer.finished

    @contextlib.contextmanager
    def opened(
        self, output: str | os.PathLike[str] | BinaryIO, overwrite: bool
    ) -> Generator[BinaryIO, None, None]:
        """The file to write to, which keeps what has been finished whatever ends the block.

        Raises:
            FileExistsError: a path has a file that may not be replaced.
            OSError: it cannot be written.

        """
        if not isinstance(output, str | os.PathLike):
            try:
                yield output
            finally:
                self._result.complete = self.finished
            return
        with OutputFile(output, overwrite=overwrite) as file:
            self._output = file
            try:
                yield file.file
            finally:
                if self.finished:
                    file.commit()
                    self._result.complete = True

    def write(
        self,
        file: BinaryIO,
        coded: Iterator[CodedGroup],
        kept: tuple[type[BaseException], ...] = (BaseException,),
    ) -> None:
        """Write the whole file; of an iterator that fails with one of `kept`, the groups before."""
        started = time.perf_counter()
        self._writer = writer = NrvWriter(file)
        writer.begin(
            self._header,
            self._result.shape.to_payload(),
            self._metadata | ({"tags": self._source.tags} if self._source.tags else {}),
            hdr=self._source.hdr,
            chapters=self._source.chapters,
            tracks=self._source.tracks,
        )
        try:
            for group in coded:
                self._add(writer, group)
                self._measure(writer, started)
            self._finish(writer, started, whole=True)
        except BaseException as error:
            if self._result.groups and isinstance(error, kept):
                self._keep(writer, started, error)
            raise

    def _keep(self, writer: NrvWriter, started: float, error: BaseException) -> None:
        """Make a valid file of the groups so far, or, where writing failed, of most of them.

        Where it failed for an error of the disk, a file that was there stays.
        """
        if writer.finished:
            return
        try:
            self._finish(writer, started, whole=False)
        except (NrvError, OSError):
            with contextlib.suppress(NrvError, OSError):
                self._finish_cut(writer, started, aside=not isinstance(error, KeyboardInterrupt))

    def _finish(self, writer: NrvWriter, started: float, *, whole: bool) -> None:
        self._add_packets(writer, self._source.last_packets(self._end, whole=whole))
        writer.finish()
        self._measure(writer, started)

    def _finish_cut(self, writer: NrvWriter, started: float, *, aside: bool) -> None:
        """Finish behind the last whole group that the disk has room for."""
        if self._output is None or not self._output.cuttable:
            return
        # The name is chosen first: a finished file gets it, whatever comes between.
        kept_as = self._output.set_aside() if aside else None
        groups = writer.finish_cut(self._output.cut)
        del self._result.groups[groups:]
        self._result.kept_as = kept_as
        self._measure(writer, started)

    def _measure(self, writer: NrvWriter, started: float) -> None:
        self._result.bytes = writer.offset
        self._result.seconds = time.perf_counter() - started

    def _add_packets(self, writer: NrvWriter, packets: list[Packet]) -> None:
        fitting = [packet for packet in packets if len(packet.data) <= writer.packet_bytes]
        if len(fitting) < len(packets):
            left_out = counted(len(packets) - len(fitting), "packet")
            self._result.notes.append(
                Note(f"dropped {left_out} of tracks longer than {writer.packet_bytes} bytes")
            )
        before = writer.offset
        writer.add_packets(fitting)
        self._result.track_bytes += writer.offset - before

    def _add(self, writer: NrvWriter, coded: CodedGroup) -> None:
        # A segment counts its frames from its own first.
        group = replace(coded.group, first_frame=self._result.frames)
        self._end = (group.first_pts + sum(group.durations)) * self._header.time_base
        read = group.first_frame + group.frame_count
        self._add_packets(writer, self._source.packets_before(self._end, read))
        before = writer.offset
        writer.add_group(group)
        encoded = EncodedGroup(
            ordinal=len(self._result.groups),
            first_frame=group.first_frame,
            frames=group.frame_count,
            key=group.key,
            bytes=writer.offset - before,
            network_bytes=len(group.tables) + len(group.network),
            content_bytes=len(group.content),
            motion_bytes=len(group.motion),
            chain_bytes=coded.chain_bytes,
            seconds=coded.seconds,
            meter=coded.meter,
        )
        self._result.meter.merge(coded.meter)
        self._result.video_seconds += float(sum(group.durations) * self._header.time_base)
        self._result.groups.append(encoded)
        self._observer.encoded(encoded)
