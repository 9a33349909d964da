"""Bytes that shall never change unnoticed: of a bitstream, and of the frames it decodes to.

The bitstream changes whenever the coder, the default tables of `spec/tables/contexts.txt` or the
container do; its frames only when rendering does. After a change that is meant, run

    python -m tests.test_golden

and copy what it prints over the constants below.
"""

from __future__ import annotations

import hashlib

import pytest

from tests.synthetic import DIRECT, Plan, synthesize

BITSTREAMS = {
    "upsampling": "177cda1a56d27aaa0e38213f805cd8d7d6658174e5647620c06557456c309354",
    "direct": "253d0e64d6595a53c7e6f68699910ffab517bdfea3965770cf0290c99d9d4a7f",
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
    """SHA-256 of the bitstream, and of all planes of all frames."""
    data, pictures = synthesize(PLANS[name])
    frames = hashlib.sha256()
    for planes in pictures:
        for plane in planes:
            frames.update(plane.tobytes())
    return hashlib.sha256(data).hexdigest(), frames.hexdigest()


@pytest.mark.parametrize("name", PLANS)
def test_bitstream(name: str) -> None:
    assert digests(name)[0] == BITSTREAMS[name]


@pytest.mark.parametrize("name", PLANS)
def test_frames(name: str) -> None:
    assert digests(name)[1] == FRAMES[name]


def main() -> None:
    for title, place in (("BITSTREAMS", 0), ("FRAMES", 1)):
        print(f"{title} = {{")
        for name in PLANS:
            print(f'    "{name}": "{digests(name)[place]}",')
        print("}")


if __name__ == "__main__":
    main()
