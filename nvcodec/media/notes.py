"""Notes on a source: a line for each thing that is converted, repaired, dropped or changes."""

from __future__ import annotations

from typing import Any, Self


class Note(str):
    """One line. A note on frames counts them and names the first, so it stays one line.

    Attributes:
        first_frame: number of the first frame in the source that it holds for, from 0; None for a
            note on the whole source.
        frames: how many frames it holds for; 0 for a note on the whole source.

    """

    first_frame: int | None
    frames: int
    _text: str

    def __new__(cls, text: str, first_frame: int | None = None, frames: int = 0) -> Self:
        """A note of `text`, and where it holds."""
        line = text
        if first_frame is not None:
            more = f" and {frames - 1} more" if frames > 1 else ""
            line = f"frame {first_frame}{more}: {text}"
        note = super().__new__(cls, line)
        note.first_frame, note.frames, note._text = first_frame, frames, text
        return note

    def once_more(self) -> Note:
        """The same note, of one frame more."""
        return Note(self._text, self.first_frame, self.frames + 1)

    def record(self) -> dict[str, Any]:
        """The note as members of JSON: `text`, and `first_frame` and `frames` of one on frames."""
        if self.first_frame is None:
            return {"text": self._text}
        return {"text": self._text, "first_frame": self.first_frame, "frames": self.frames}


class Notes:
    """Notes without repetition. `lines` is always the same list object, so it can be watched.

    Lines are few whatever the source: one for each text on the whole source, one for each kind of
    note on frames.
    """

    def __init__(self) -> None:
        self.lines: list[Note] = []
        self._places: dict[str, int] = {}

    def add(self, text: str) -> None:
        """Add a note on the whole source, unless it is there already."""
        if text not in self._places:
            self._places[text] = len(self.lines)
            self.lines.append(Note(text))

    def at(self, frame: int, kind: str, text: str) -> None:
        """Note something of one frame. Of each kind, the text of the first frame stays."""
        place = self._places.get(kind)
        if place is None:
            self._places[kind] = len(self.lines)
            self.lines.append(Note(text, frame, 1))
        else:
            self.lines[place] = self.lines[place].once_more()
