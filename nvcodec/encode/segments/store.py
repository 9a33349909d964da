"""Finished segments on disk, beside the output file: a `.nrv` and a `.json` file for each.

The `.nrv` file has the groups of the segment, the `.json` file their quality and times. The `.nrv`
file is written last and renamed when complete. So a segment that can be read is finished, even if a
process was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvcodec.encode.coder import CodedGroup
from nvcodec.encode.segments.segment import Segment
from nvcodec.format import CorruptError, GroupUnit, Header, NrvError, NrvWriter, UnitReader
from nvcodec.media.quality import QualityMeter
from nvcodec.model.description import Shape

_SETTINGS = "settings.json"
_OURS = re.compile(r"(settings\.json|\d{8,}\.(nrv|json))(\.\d+\.part)?")


class SettingsError(ValueError):
    """The segments in the store were encoded with other settings."""


@dataclass(frozen=True)
class SegmentStore:
    """The folder of an encode's finished segments, each named by its first frame."""

    folder: Path

    @classmethod
    def beside(cls, output: str | os.PathLike[str]) -> SegmentStore | None:
        """The store for an output path; None if the output is not a regular file."""
        if os.fspath(output) == "-" or (os.path.exists(output) and not os.path.isfile(output)):
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
        found = json.loads(path.read_bytes())
        for name in wanted | found:
            if found.get(name) != wanted.get(name):
                raise SettingsError(
                    f"{self.folder} was begun with {name} {found.get(name)!r}, not"
                    f" {wanted.get(name)!r}: encode with that, or start over with -y (overwrite)"
                    " and without --resume"
                )

    def save(
        self, segment: Segment, header: Header, shape: Shape, groups: Sequence[CodedGroup]
    ) -> None:
        """Save a finished segment; OSError if it cannot be written."""
        measured = [{"seconds": g.seconds, "meter": g.meter.state()} for g in groups]
        self._write(self._path(segment, "json"), json.dumps(measured).encode())
        path = self._path(segment, "nrv")
        part = _part(path)
        with part.open("wb") as file:
            writer = NrvWriter(file)
            writer.begin(header, shape.to_payload())
            for coded in groups:
                writer.add_group(coded.group)
            writer.finish()
        os.replace(part, path)

    def load(self, segment: Segment) -> list[CodedGroup]:
        """The groups of a finished segment.

        Raises:
            NrvError, OSError, ValueError, LookupError: there is no such segment, or it is damaged.

        """
        measured = json.loads(self._path(segment, "json").read_bytes())
        with self._path(segment, "nrv").open("rb") as file:
            groups = [event.group for event in UnitReader(file) if isinstance(event, GroupUnit)]
        if tuple(group.frame_count for group in groups) != segment.group_frames:
            raise CorruptError("the groups are not those of the segment")
        return [
            CodedGroup(group, QualityMeter.from_state(m["meter"]), m["seconds"])
            for group, m in zip(groups, measured, strict=True)
        ]

    def has(self, segment: Segment) -> bool:
        """Whether a segment is finished and can be loaded."""
        try:
            self.load(segment)
        except (NrvError, OSError, ValueError, LookupError):
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
        part = _part(path)
        part.write_bytes(data)
        os.replace(part, path)


def _part(path: Path) -> Path:
    # One file for each process: a worker that was given up may still be writing.
    return path.with_name(f"{path.name}.{os.getpid()}.part")
