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
    "sine": "750079c845f914a923a87f5a4b5db43875d3ed84066ecda9597906bcb78963b5",
    "deep": "e169daf07ee3cde10645a819e28d788670068b5bea935da9e91643bad1cfc50b",
    "hybrid": "c6123ca49d338d1f7f1fac03c4bab14c5768e92f2d9de7fba78e95f16fb8f7df",
    "network": "3e97b43066bf6ef658d41db9ac6eafd8561795b3969f5b5528a3a20eff344151",
    "nirvana": "925c2e558cd930dc97db68c554d7fecf081491f2d24575303e46d33ec0343fd8",
}
FRAMES = {
    "sine": "d412517d6c3e45e8ee0e67da0ec19828054d6da26ee060080240de2c73e4d318",
    "deep": "53c2bf7550c95b385c4d9d8c87773cb89878d598f4b570e8d613f945d550a252",
    "hybrid": "4c21a2160a01313f495a742cd0809d426aeb1a9d7b180073175659d817882943",
    "network": "effb5a2412a9ba5a721c0d76e7492e5749e554a942e69c9c46d0af299bb81a9e",
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
