"""What becomes of a source, in words: a line for each thing converted, repaired or dropped."""

from __future__ import annotations


class Notes:
    """Lines, each of them once. `lines` is one list all the time and may be watched."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        """Add a line, unless it is there."""
        if text not in self.lines:
            self.lines.append(text)
