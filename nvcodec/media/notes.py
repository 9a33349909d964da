"""Notes on a source: a line for each thing that is converted, repaired or dropped."""

from __future__ import annotations


class Notes:
    """Lines without repetition. `lines` is always the same list object, so it can be watched."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        """Add a line, unless it is there already."""
        if text not in self.lines:
            self.lines.append(text)
