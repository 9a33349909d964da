"""The report of nvenc on an encode: progress, a line for each group, the sizes at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nvcodec.cli.outcome import Console
from nvcodec.encode.result import EncodedGroup, EncodeResult, Observer, RateResult, Trial
from nvcodec.media.quality import QualityMeter
from nvcodec.model.description import CanvasShape, PatchShape
from nvcodec.options import read_target
from nvcodec.words import counted

if TYPE_CHECKING:
    from nvcodec.encode.segments.segment import SegmentProgress


class EncodeReport(Observer):
    """Shows an encode's progress on a terminal and writes its lines to the console."""

    def __init__(self, console: Console, output: str) -> None:
        self._console = console
        self._output = output
        self._result: EncodeResult | None = None
        self._bar: Any = None
        self._said: set[str] = set()
        self._trial = ""
        # Frames done of each group, by its number; of segments that are not written, by their
        # first frame.
        self._done: dict[int, float] = {}
        self._under_way: dict[int, float] = {}
        console.members = self._members

    def started(self, result: EncodeResult, frame_count_hint: int | None) -> None:
        """Show the notes on the input, and an empty bar."""
        self._result = result
        self._trial = ""
        self._say_notes(ended=False)
        self._open_bar(frame_count_hint)
        self._console.line(
            "start",
            width=result.width,
            height=result.height,
            format=result.sample_format.name,
            frame_count_hint=frame_count_hint,
            shape=vars(result.shape),
        )

    def trying(self, samples: bool, number: int, frame_count_hint: int | None) -> None:
        """Show an empty bar."""
        self._trial = f"{'samples' if samples else 'pass'} {number}, "
        self._open_bar(frame_count_hint)

    def tried(self, trial: Trial) -> None:
        """Write the JSON line of the trial."""
        members = {name: value for name, value in vars(trial).items() if name != "samples"}
        self._console.line("samples" if trial.samples else "pass", **_finite(members))

    def _open_bar(self, frame_count_hint: int | None) -> None:
        if self._bar is not None:
            self._bar.close()
        self._done.clear()
        self._under_way.clear()
        self._bar = self._console.bar(
            frame_count_hint,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} frames"
            " [{elapsed}<{remaining}{postfix}]"
            if frame_count_hint
            else "{desc} {n:.1f} frames [{elapsed}{postfix}]",
        )

    def coding(self, ordinal: int, frames: float, text: str = "") -> None:
        """Move the bar."""
        self._done[ordinal] = frames
        self._move(f"{self._trial}group {ordinal}", text)

    def segment(self, progress: SegmentProgress) -> None:
        """Move the bar."""
        if self._result is not None and progress.first_frame < self._result.frames:
            # A late word of a segment that has been written.
            return
        self._under_way[progress.first_frame] = progress.frames
        self._move(f"segment of frame {progress.first_frame}", progress.text)

    def _move(self, what: str, text: str) -> None:
        if not self._console.on_terminal:
            return
        result = self._result
        speed = self._bar.n / max(self._bar.format_dict["elapsed"], 1e-9)
        said = [f"{speed:.2f} fps"]
        said += [f"{result.bits_per_pixel:.4f} bpp"] if result and result.groups else []
        self._bar.set_description_str(what, refresh=False)
        self._bar.set_postfix_str(", ".join([*said, *filter(None, [text])]), refresh=False)
        self._bar.n = sum(self._done.values()) + sum(self._under_way.values())
        self._bar.refresh()

    def clear(self) -> None:
        """Clear the bar, so that a line can be written."""
        if self._bar is not None:
            self._bar.clear()

    def encoded(self, group: EncodedGroup) -> None:
        """Write the group's JSON line."""
        self._done[group.ordinal] = group.frames
        self._under_way.pop(group.first_frame, None)
        members = {name: value for name, value in vars(group).items() if name != "meter"}
        self._console.line("group", **members, **_finite(group.meter.values()))

    def close(self, complete: bool) -> None:
        """Remove the bar and write what has been encoded, once the encode has ended."""
        if self._bar is not None:
            self._bar.close()
        self._say_notes(ended=True)
        result = self._result
        if result is None:
            return
        if complete:
            self._console.say(f"encoded: {self._summary(result)}")
            self._console.line("done", **self._members())
        elif result.complete:
            self._console.keeps(result.kept_as or self._output, result.frames)
            if result.kept_as is not None:
                self._console.kept += f", and {self._output} stays as it was"
        if result.resumable:
            # A complete encode has an output file by now, which must be overwritten.
            option = "--resume -y" if result.complete else "--resume"
            kept = f"{option} goes on with the finished segments"
            self._console.kept = "; ".join(filter(None, (self._console.kept, kept)))

    def _say_notes(self, ended: bool) -> None:
        """Say new notes; those on frames at the end, as they count frames until then."""
        for note in self._result.notes if self._result is not None else ():
            if note not in self._said and (ended or note.first_frame is None):
                self._said.add(note)
                self._console.say(note)

    def _members(self) -> dict[str, Any]:
        result = self._result
        if result is None:
            return {}
        return {
            "frames": result.frames,
            "groups": len(result.groups),
            "key_groups": sum(group.key for group in result.groups),
            "bytes": result.bytes,
            "track_bytes": result.track_bytes,
            **_parts(result),
            "bits_per_pixel": result.bits_per_pixel,
            "seconds": result.seconds,
            **_finite(result.meter.values()),
            "notes": [note.record() for note in result.notes],
            **({} if result.rate is None else {"rate": _rate(result, result.rate)}),
        }

    def _summary(self, result: EncodeResult) -> str:
        parts = _parts(result)
        model, names = "sine", ["network"]
        if isinstance(result.shape, PatchShape):
            model, names = "nirvana", ["key", "motion"]
        elif isinstance(result.shape, CanvasShape):
            parts["interior_bytes"] = parts["content_bytes"] + parts["motion_bytes"]
            parts["interior_bytes"] -= parts["key_bytes"] + parts["chain_bytes"]
            model, names = "hybrid", ["key", "chain", "interior", "motion"]
            names += ["network"] if result.shape.network else []
        if result.track_bytes:
            parts["tracks_bytes"] = result.track_bytes
            names.append("tracks")
        total = max(1, result.bytes)
        shares = ", ".join(f"{parts[f'{name}_bytes'] / total:.1%} {name}" for name in names)
        return (
            f"{model}, {counted(result.frames, 'frame')} in {counted(len(result.groups), 'group')},"
            f" {result.bytes} bytes ({result.bits_per_pixel:.4f} bpp, {shares}),"
            f" {result.sample_format}, {_qualities(result.meter)}, {result.seconds:.1f} s"
            f" ({result.frames / max(result.seconds, 1e-9):.2f} fps)"
            + ("" if result.rate is None else f"; {_reached(result, result.rate)}")
        )


def _parts(result: EncodeResult) -> dict[str, int]:
    """Bytes of each substream, and of the key and chain canvases."""
    groups = result.groups
    return {
        "network_bytes": sum(group.network_bytes for group in groups),
        "content_bytes": sum(group.content_bytes for group in groups),
        "motion_bytes": sum(group.motion_bytes for group in groups),
        "key_bytes": sum(group.content_bytes + group.motion_bytes for group in groups if group.key),
        "chain_bytes": sum(group.chain_bytes for group in groups),
    }


def _rate(result: EncodeResult, rate: RateResult) -> dict[str, Any]:
    """What rate control was asked for, and what the file has."""
    return {
        **rate.goals,
        "reached_bitrate": result.bitrate,
        "reached_max_bitrate": rate.peak_bitrate,
        "passes": rate.passes,
        "crf_least": min(rate.crfs, default=None),
        "crf_most": max(rate.crfs, default=None),
    }


def _reached(result: EncodeResult, rate: RateResult) -> str:
    """The same in words."""
    parts = []
    for name, asked in rate.goals.items():
        if name == "target":
            value = result.meter.values().get(read_target(str(asked)).metric)
            value = value["all"] if isinstance(value, dict) else value
            parts.append(f"target {asked}: {'n/a' if value is None else f'{value:.4g}'}")
            continue
        reached = {
            "size": result.bytes,
            "bitrate": result.bitrate,
            "max_bitrate": rate.peak_bitrate or 0.0,
        }[name]
        change = f" ({reached / float(asked) - 1:+.1%})" if name != "max_bitrate" else ""
        parts.append(f"{name.replace('_', ' ')} {reached:.0f} of {asked:.0f}{change}")
    low, high = min(rate.crfs, default=0.0), max(rate.crfs, default=0.0)
    span = f"crf {low:.2f}" if low == high else f"crf {low:.2f} to {high:.2f}"
    trials = sum(trial.samples for trial in rate.trials)
    counts = ["1 pass" if rate.passes == 1 else f"{rate.passes} passes"]
    counts += [counted(trials, "trial") + " on samples"] if trials else []
    return ", ".join([*parts, span, *counts])


def _qualities(meter: QualityMeter) -> str:
    texts = []
    for name, value in meter.values().items():
        if name == "psnr":
            planes = ", ".join(
                f"{plane} {value[key]:.2f}"
                for plane, key in (("Y", "y"), ("Cb", "u"), ("Cr", "v"))
                if key in value
            )
            texts.append(f"PSNR {value['all']:.2f} dB ({planes})")
        else:
            texts.append(f"{name.upper()} {'n/a' if value is None else f'{value:.4f}'}")
    return ", ".join(texts)


def _finite(value: Any) -> Any:
    """The value with infinities, of identical planes, as None: JSON has no infinity."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return value if value is None or math.isfinite(value) else None
