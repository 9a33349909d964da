"""The numbered requirements of `spec/nrv.md` (its Appendix A), which faulty vectors break."""

from __future__ import annotations

import re
from typing import NamedTuple

from tools.vectors.reference import SPEC

CLASSES = ("corrupt", "truncated", "mismatch", "unsupported", "over limit")


class Rule(NamedTuple):
    """A requirement: its number, what it asks, and the class of 2.10 of what breaks it."""

    number: str
    text: str
    kind: str

    @property
    def clause(self) -> str:
        """The clause that states it."""
        return self.number.partition("-")[0]


def read_rules() -> dict[str, Rule]:
    """All requirements by their number."""
    text = (SPEC / "nrv.md").read_text("utf-8")
    _, _, appendix = text.partition("\n## Appendix A.")
    rows = re.findall(
        r"^\| (\d+\.\d+-\d+) \| (.*?) \| \*?([a-z ]+?)\*? \|$", appendix, re.MULTILINE
    )
    return {number: Rule(number, what, kind) for number, what, kind in rows}
