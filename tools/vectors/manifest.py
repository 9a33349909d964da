"""The vectors as files and their manifest: what each exercises, and the digests of its frames.

`spec/vectors/manifest.json` has `valid` and `faulty`. A digest is the MD5 of the planes Y, Cb, Cr
of a frame, row by row, one byte for a sample of 8 bits, two little-endian bytes above.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.vectors.compose import Frame
from tools.vectors.faulty import Fault
from tools.vectors.reference import SPEC, reference, tables
from tools.vectors.rules import Rule
from tools.vectors.valid import Case, Made, View

VECTORS = SPEC / "vectors"
MANIFEST = VECTORS / "manifest.json"
BYTES = 4 << 20
"""The most bytes of all vectors together."""


def frame_digest(planes: Iterable[Any]) -> str:
    """The MD5 of a frame."""
    md5 = hashlib.md5()
    for plane in planes:
        md5.update(plane.tobytes())
    return md5.hexdigest()


def view_entry(made: Made, view: View) -> dict[str, Any]:
    """What the manifest has of a view: the output size, the region of it, the MD5 of each frame."""
    size, crop = view
    output = reference().Output(made.head, size, crop, tables().kernel)
    shown = [output(frame) for frame in made.frames]
    return {
        "size": list(size),
        "crop": list(crop),
        "frame_bytes": bytes_of(shown),
        "frames": digests(shown),
    }


def valid_entry(case: Case, made: Made) -> dict[str, Any]:
    """What the manifest has of a valid vector."""
    head = made.head
    return {
        "file": f"valid/{case.name}.nrv",
        "what": case.what,
        "model": head.model,
        "width": head.width,
        "height": head.height,
        "chroma_format": head.chroma_format,
        "bit_depth": head.bit_depth,
        "frame_bytes": bytes_of(made.frames),
        "frames": [frame_digest(frame) for frame in made.frames],
        "views": [view_entry(made, view) for view in case.views],
    }


def faulty_entry(fault: Fault, rule: Rule) -> dict[str, Any]:
    """What the manifest has of a faulty vector."""
    entry: dict[str, Any] = {
        "file": f"faulty/{fault.rule}-{fault.name}.nrv",
        "rule": fault.rule,
        "breaks": rule.text,
        "class": rule.kind,
        "clause": rule.clause,
        "frame_bytes": bytes_of(fault.before or fault.whole),
        "frames": digests(fault.before),
    }
    if fault.optional:
        entry |= {"optional": True, "whole": digests(fault.whole)}
    return entry


def bytes_of(frames: Sequence[Frame]) -> int:
    """The bytes of a frame, 0 where there is none."""
    return sum(plane.nbytes for plane in frames[0]) if frames else 0


def digests(frames: Sequence[Frame]) -> list[str]:
    """The MD5 of each frame."""
    return [frame_digest(frame) for frame in frames]


def write(folder: Path, files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    """Write vectors and manifest; files of other names that were in the folder are removed."""
    for kind in ("valid", "faulty"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).glob("*.nrv"):
            if f"{kind}/{old.name}" not in files:
                old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", "utf-8")


def read(folder: Path = VECTORS) -> dict[str, Any]:
    """The manifest of a folder of vectors."""
    return json.loads((folder / "manifest.json").read_text("utf-8"))
