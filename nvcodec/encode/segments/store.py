"""Finished segments on disk, beside the output file: a `.nrv` and a `.json` file for each.

The `.nrv` file has the groups of the segment, the `.json` file their quality and times. The `.nrv`
file is written last and renamed when complete. So a segment that can be read is finished, even if a
process was killed. Both are read as any input is: what is wrong in them is a CorruptError.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.segments.segment import Segment
from nvcodec.format import CorruptError, Group, GroupUnit, Header, NrvError, NrvWriter, UnitReader
from nvcodec.media.quality import QualityMeter
from nvcodec.media.remote import is_remote
from nvcodec.model.description import Shape

_SETTINGS = "settings.json"
_OURS = re.compile(r"(settings\.json|\d{8,}\.(nrv|json))(\.\d+\.part)?")

_MOST_MEASURED = 1 << 12
"""Most bytes of a `.json` file for each frame; what is longer is damaged."""


class SettingsError(ValueError):
    """The segments in the store were encoded with other settings."""


@dataclass(frozen=True)
class PackedSegment:
    """A coded segment as bytes: its groups, a file of its own, and what was measured, as JSON."""

    groups: bytes
    measured: bytes

    @classmethod
    def of(cls, header: Header, shape: Shape, groups: Sequence[CodedGroup]) -> PackedSegment:
        """Pack the groups of a segment of a file with this header."""
        file = io.BytesIO()
        writer = NrvWriter(file)
        writer.begin(header, shape.to_payload())
        frames = 0
        for coded in groups:
            writer.add_group(replace(coded.group, first_frame=frames))
            frames += coded.group.frame_count
        writer.finish()
        measured = [
            {"seconds": g.seconds, "chain_bytes": g.chain_bytes, "meter": g.meter.state()}
            for g in groups
        ]
        return cls(file.getvalue(), json.dumps(measured).encode())


def _unpacked(
    file: BinaryIO, measured: bytes, segment: Segment, header: Header
) -> list[CodedGroup]:
    """The groups of a packed segment of a file with this header; NrvError if they are not."""
    groups: list[Group] = []
    reader = UnitReader(file)
    for event in reader:
        if reader.header != header:
            raise CorruptError("the segment has the header of another encode")
        if isinstance(event, GroupUnit):
            if event.group.key != (not groups) or len(groups) == segment.frames:
                raise CorruptError("the groups are not those of one segment")
            groups.append(event.group)
    times = [group.first_pts for group in groups[:1]]
    for group in groups:
        if group.first_pts != times[-1]:
            raise CorruptError("the groups do not follow each other")
        times.extend(accumulate(group.durations, initial=times.pop()))
    if tuple(times) != segment.times:
        raise CorruptError("the groups have the times of another segment")
    try:
        return [
            CodedGroup(
                group,
                QualityMeter.from_state(m["meter"]),
                float(m["seconds"]),
                int(m["chain_bytes"]),
            )
            for group, m in zip(groups, json.loads(measured), strict=True)
        ]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptError("the measurements of the segment are damaged") from error


@dataclass(frozen=True)
class SegmentStore:
    """The folder of an encode's finished segments, each named by its first frame."""

    folder: Path

    @classmethod
    def beside(cls, output: str | os.PathLike[str]) -> SegmentStore | None:
        """The store for an output path; None if the output is not a regular file here."""
        if os.fspath(output) == "-" or is_remote(os.fspath(output)):
            return None
        if os.path.exists(output) and not os.path.isfile(output):
            return None
        return cls(Path(f"{os.path.realpath(output)}.segments"))

    @property
    def exists(self) -> bool:
        """Whether an earlier encode has left a store."""
        return self.folder.is_dir()

    def begin(self, settings: dict[str, Any]) -> None:
        """Create the folder for an encode with these settings, or continue with the existing one.

        Raises:
            SettingsError: the existing one has other settings.
            OSError: the folder cannot be written.

        """
        self.folder.mkdir(exist_ok=True)
        # Compared as JSON, which has no tuples.
        wanted = json.loads(json.dumps(settings))
        path = self.folder / _SETTINGS
        if not path.exists():
            self._write(path, json.dumps(wanted, indent=1).encode())
            return
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise SettingsError(
                f"{path} is damaged: start over with -y (overwrite) and without --resume"
            )
        for name in wanted | found:
            if found.get(name) != wanted.get(name):
                raise SettingsError(
                    f"{self.folder} was begun with {name} {found.get(name)!r}, not"
                    f" {wanted.get(name)!r}: encode with that, or start over with -y (overwrite)"
                    " and without --resume"
                )

    def save(self, segment: Segment, packed: PackedSegment) -> None:
        """Save a finished segment; OSError if it cannot be written."""
        self._write(self._path(segment, "json"), packed.measured)
        self._write(self._path(segment, "nrv"), packed.groups)

    def load(self, segment: Segment, header: Header) -> list[CodedGroup]:
        """The groups of a finished segment of a file with this header.

        Raises:
            NrvError: it is damaged, or another one.
            OSError: there is none, or it cannot be read.

        """
        with self._path(segment, "json").open("rb") as file:
            measured = file.read(_MOST_MEASURED * segment.frames)
        with self._path(segment, "nrv").open("rb") as file:
            return _unpacked(file, measured, segment, header)

    def has(self, segment: Segment, header: Header) -> bool:
        """Whether a segment is finished and can be loaded."""
        try:
            self.load(segment, header)
        except (NrvError, OSError):
            return False
        return True

    def remove(self) -> None:
        """Delete the segments, and the folder unless it holds other files."""
        if not self.exists:
            return
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def keep(self) -> bool:
        """Whether there are finished segments; if there are none, `remove` is called."""
        if any(self.folder.glob("*.nrv")):
            return True
        self.remove()
        return False

    def _path(self, segment: Segment, suffix: str) -> Path:
        return self.folder / f"{segment.first_frame:08}.{suffix}"

    def _write(self, path: Path, data: bytes) -> None:
        # One file for each process: one that was given up may still be writing.
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        os.replace(part, path)
