"""Bytes that shall never change unnoticed: of GRUP units, and of the frames they decode to.

The units change whenever the coder, the default tables of `spec/tables/contexts.txt` or the syntax
of GRUP do; their frames only when rendering does. Metadata is left out: its bytes are zstandard's.
After a change that is meant, run

    python -m tests.test_golden

and copy what it prints over the constants below.
"""

from __future__ import annotations

import hashlib
import io

import pytest

from nvcodec.format import GroupUnit, UnitReader
from tests.synthetic import DIRECT, Plan, synthesize

GROUPS = {
    "upsampling": "c2205d4424a54dbce63422cec5751afeb0f8cf268060836ea7c5ccd7bd5fe7b9",
    "direct": "a43d4d3c1d57f358a371eb2a8df638276c24de277761f6d1f806569aa5236159",
}
FRAMES = {
    "upsampling": "5e03614740aadb2203c673f2e79e1e6d098aa321dc5b6504755f1058a5697a97",
    "direct": "773667121ef75a230c29fdd9167d08fe3d3c3d92ffddd04b4e11051d0ce3994c",
}

PLANS = {
    "upsampling": Plan(seed=11),
    "direct": Plan(seed=12, shape=DIRECT, frames=(2, 2, 1, 2), durations=(3, 4)),
}


def digests(name: str) -> tuple[str, str]:
    """SHA-256 of all GRUP payloads, and of all planes of all frames."""
    data, pictures = synthesize(PLANS[name])
    frames = hashlib.sha256()
    for planes in pictures:
        for plane in planes:
            frames.update(plane.tobytes())
    groups = hashlib.sha256()
    for event in UnitReader(io.BytesIO(data)):
        if isinstance(event, GroupUnit):
            groups.update(event.group.build())
    return groups.hexdigest(), frames.hexdigest()


@pytest.mark.parametrize("name", PLANS)
def test_groups(name: str) -> None:
    assert digests(name)[0] == GROUPS[name]


@pytest.mark.parametrize("name", PLANS)
def test_frames(name: str) -> None:
    assert digests(name)[1] == FRAMES[name]


def main() -> None:
    for title, place in (("GROUPS", 0), ("FRAMES", 1)):
        print(f"{title} = {{")
        for name in PLANS:
            print(f'    "{name}": "{digests(name)[place]}",')
        print("}")


if __name__ == "__main__":
    main()
