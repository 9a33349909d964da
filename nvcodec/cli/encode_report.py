"""What nvenc reports of an encode: progress, a line for each group, the sizes at the end."""

from __future__ import annotations

import math
from typing import Any

from nvcodec.cli.outcome import Console, counted
from nvcodec.encode.encoder import EncodedGroup, EncodeResult, Observer
from nvcodec.encode.grouping import PictureGroup
from nvcodec.encode.train import Progress


class EncodeReport(Observer):
    """Shows an encode's progress on a terminal and writes its lines to the console."""

    def __init__(self, console: Console, output: str, psnr: bool) -> None:
        self._console = console
        self._output = output
        self._psnr = psnr
        self._result: EncodeResult | None = None
        self._bar: Any = None
        self._noted = 0
        console.members = self._members

    def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
        """Show what becomes of the input, and the empty bar."""
        self._result = result
        self._say_notes()
        self._bar = self._console.bar(
            frame_count_hint,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} frames"
            " [{elapsed}<{remaining}{postfix}]"
            if frame_count_hint
            else "{desc} {n:.1f} frames [{elapsed}{postfix}]",
        )
        self._console.line(
            "start",
            width=result.width,
            height=result.height,
            frame_count_hint=frame_count_hint,
            network=vars(result.shape),
        )

    def training(self, group: PictureGroup, ordinal: int, progress: Progress) -> None:
        """Move the bar."""
        assert self._result is not None
        share = progress.iteration / progress.iterations
        decibels = 10 * math.log10(255**2 / max(progress.error, 1e-9))
        self._bar.set_description_str(f"group {ordinal}", refresh=False)
        self._bar.set_postfix_str(
            f"iteration {progress.iteration}/{progress.iterations}"
            f" {decibels:.2f} dB {progress.bits / 1000:.0f} kbit",
            refresh=False,
        )
        self._bar.n = self._result.frames + share * len(group.pictures)
        self._bar.refresh()

    def encoded(self, group: EncodedGroup) -> None:
        """Write the group's JSON line."""
        self._console.line("group", **vars(group) | {"psnr": _finite(group.psnr)})

    def close(self, complete: bool) -> None:
        """Take the bar away and write what has been encoded, of an encode that ended."""
        if self._bar is not None:
            self._bar.close()
        self._say_notes()
        result = self._result
        if result is None or not result.groups:
            return
        if complete:
            self._console.say(f"encoded: {self._summary(result)}")
            self._console.line("done", **self._members())
        elif result.complete:
            self._console.keeps(self._output, result.frames)

    def _say_notes(self) -> None:
        if self._result is not None:
            for note in self._result.notes[self._noted :]:
                self._console.say(note)
            self._noted = len(self._result.notes)

    def _members(self) -> dict[str, Any]:
        result = self._result
        if result is None:
            return {}
        meter = result.meter
        planes = ("all", "y", "u", "v") if result.groups else ()
        return {
            "frames": result.frames,
            "groups": len(result.groups),
            "key_groups": sum(group.key for group in result.groups),
            "bytes": result.bytes,
            "network_bytes": sum(group.network_bytes for group in result.groups),
            "bits_per_pixel": result.bits_per_pixel,
            "seconds": result.seconds,
            "psnr": {name: _finite(getattr(meter, name)) for name in planes},
            "notes": result.notes,
        }

    def _summary(self, result: EncodeResult) -> str:
        meter = result.meter
        network = sum(group.network_bytes for group in result.groups) / max(1, result.bytes)
        text = (
            f"{counted(result.frames, 'frame')} in {counted(len(result.groups), 'group')},"
            f" {result.bytes} bytes ({result.bits_per_pixel:.4f} bpp, {network:.1%} network),"
            f" PSNR {meter.all:.2f} dB, {result.seconds:.1f} s"
            f" ({result.frames / max(result.seconds, 1e-9):.2f} fps)"
        )
        if self._psnr:
            text += f"; Y {meter.y:.2f} dB, Cb {meter.u:.2f} dB, Cr {meter.v:.2f} dB"
        return text


def _finite(value: float) -> float | None:
    """JSON has no infinity: identical planes are null."""
    return value if math.isfinite(value) else None
