"""Golden digests of GRUP units and of the frames that they decode to.

The units change when the coder, the default tables of `spec/tables/*contexts.txt` or the syntax of
GRUP change; the frames change only when rendering does. Metadata is left out, as its bytes depend
on the Zstandard library. The same bitstreams are kept as files, `tests/vectors/NAME.nrv`. Whatever
the tests make today, these files must decode to the same frames. After an intended change, run

    python -m tests.test_golden

It writes the files; replace the constants below by its output.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.model.description import CanvasShape
from nvcodec.picture import Planes
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tests.synthetic import DEEP, Plan, synthesize

GROUPS = {
    "sine": "996c6af422c40a6c8d3ce8f687c288a33e8f833afb3d1319c5cf76159bb4fd1a",
    "deep": "0b38b502a0fa96522db7190cce985cc6a35b9e1f38b3d12b8f2fc5ee2bd88e71",
    "hybrid": "5183b511bc0f080260039c222c7ba67edba105fe2936d17e9d6dc31aa56b29a0",
    "network": "ce80fc3180aac8cea5d7337fd0036e1bf08393b1cd613e64cec2ec15958bcbb4",
    "nirvana": "2e1dbf96ef07882e8a800a6cd318b15eeebc63a1bcd79ea6a53badb90ee108dd",
}
FRAMES = {
    "sine": "d412517d6c3e45e8ee0e67da0ec19828054d6da26ee060080240de2c73e4d318",
    "deep": "53c2bf7550c95b385c4d9d8c87773cb89878d598f4b570e8d613f945d550a252",
    "hybrid": "4a51f14c819388e65152c30d8df2a705ec719b1f2323a62998d0075270760817",
    "network": "586262bb0a77166cca0fd526274cdf1eb0a2707b6f1ce0b0c629f2f6b9096e1a",
    "nirvana": "9e9f2834c694ad4d324d8eac2be047cc687f6c9c15319195318e66582ec4f2ea",
}

PLANS: dict[str, Plan | HybridPlan | NirvanaPlan] = {
    "sine": Plan(seed=11),
    "deep": Plan(seed=12, shape=DEEP, frames=(2, 2, 1, 2), durations=(3, 4)),
    "hybrid": HybridPlan(seed=13),
    "network": HybridPlan(CanvasShape(8, -3, 1), seed=14),
    "nirvana": NirvanaPlan(seed=15),
}


VECTORS = Path(__file__).parent / "vectors"


def made(name: str) -> tuple[bytes, list[Planes]]:
    """A bitstream and its frames."""
    plan = PLANS[name]
    if isinstance(plan, NirvanaPlan):
        return synthesize_nirvana(plan)
    return synthesize_hybrid(plan) if isinstance(plan, HybridPlan) else synthesize(plan)


def frames_digest(pictures: Iterable[Planes]) -> str:
    """SHA-256 of all planes of all frames."""
    frames = hashlib.sha256()
    for planes in pictures:
        for plane in planes:
            frames.update(plane.tobytes())
    return frames.hexdigest()


def digests(name: str) -> tuple[str, str]:
    """SHA-256 of all GRUP payloads, and of all planes of all frames."""
    data, pictures = made(name)
    groups = hashlib.sha256()
    for event in UnitReader(io.BytesIO(data)):
        if isinstance(event, GroupUnit):
            groups.update(event.group.build())
    return groups.hexdigest(), frames_digest(pictures)


@pytest.mark.parametrize("name", PLANS)
def test_groups(name: str) -> None:
    assert digests(name)[0] == GROUPS[name]


@pytest.mark.parametrize("name", PLANS)
def test_frames(name: str) -> None:
    assert digests(name)[1] == FRAMES[name]


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("threads", [1, 3])
def test_vectors(name: str, threads: int) -> None:
    with Decoder(VECTORS / f"{name}.nrv", threads=threads) as decoder:
        assert frames_digest(frame.planes for frame in decoder) == FRAMES[name]


def main() -> None:
    VECTORS.mkdir(exist_ok=True)
    for name in PLANS:
        (VECTORS / f"{name}.nrv").write_bytes(made(name)[0])
    for title, place in (("GROUPS", 0), ("FRAMES", 1)):
        print(f"{title} = {{")
        for name in PLANS:
            print(f'    "{name}": "{digests(name)[place]}",')
        print("}")


if __name__ == "__main__":
    main()
