"""What changes in mid-stream and cannot be signalled: a note at the first frame of each kind."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from av.video.frame import VideoFrame

from nvcodec.media.filters import has_aspect, top_field_first
from nvcodec.media.notes import Notes


class _Seen(NamedTuple):
    aspect: Fraction | None
    rotation: int
    interlaced: bool
    colours: tuple[int, int, int]


class Changes:
    """Watches the frames of one source, from its first; notes name those that differ.

    Args:
        notes: gets the notes.
        deinterlacing: whether interlaced frames will become progressive.

    Attributes:
        field_order: "top" or "bottom", the field of the first frame that comes first; None where it
            is or will be progressive.

    """

    field_order: str | None

    def __init__(self, notes: Notes, *, deinterlacing: bool) -> None:
        self._notes = notes
        self._deinterlacing = deinterlacing
        self._before: _Seen | None = None
        self.field_order = None

    def watch(self, frame: VideoFrame, number: int, aspect: Fraction | None) -> None:
        """Take the next frame, its number in the source and the decoder's sample aspect ratio."""
        before = self._before
        if before is not None and before.aspect and aspect and aspect != before.aspect:
            # The decoder knows of a change some frames earlier.
            aspect = aspect if has_aspect(frame, aspect) else before.aspect
        now = _Seen(
            aspect,
            frame.rotation,
            frame.interlaced_frame,
            (frame.color_primaries, frame.color_trc, frame.colorspace),
        )
        self._before = now
        if before is None:
            if now.interlaced:
                self._notes.add(f"interlaced video, {self._order(frame)}")
                if not self._deinterlacing:
                    self.field_order = _first_field(frame)
            return
        if aspect and before.aspect and aspect != before.aspect:
            old, new = (f"{a.numerator}:{a.denominator}" for a in (before.aspect, aspect))
            self._said(number, "sample aspect ratio", old, new)
        if now.rotation != before.rotation:
            self._said(number, "display rotation", f"{-before.rotation}", f"{-now.rotation}")
        if now.colours != before.colours:
            old, new = ("/".join(map(str, codes)) for codes in (before.colours, now.colours))
            self._said(number, "colour description (H.273 primaries/transfer/matrix)", old, new)
        if now.interlaced and not before.interlaced:
            self._notes.at(number, "interlaced", f"becomes interlaced, {self._order(frame)}")
        elif before.interlaced and not now.interlaced:
            self._notes.at(number, "progressive", "becomes progressive")

    def _said(self, number: int, what: str, old: str, new: str) -> None:
        self._notes.at(
            number, what, f"the {what} changes from {old} to {new}; that of the first frame stays"
        )

    def _order(self, frame: VideoFrame) -> str:
        done = "deinterlaced" if self._deinterlacing else "coded as whole frames"
        return f"{_first_field(frame)} field first, {done}"


def _first_field(frame: VideoFrame) -> str:
    return "top" if top_field_first(frame) else "bottom"
