"""Paths of blocks to bytes and back (spec 11.5)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.coding.nirvana.contexts import MOTION_CONTEXTS
from nvcodec.coding.nirvana.motion import (
    MAX_VECTOR,
    _most_bits,
    decode_motion,
    encode_motion,
    trace_motion,
)
from nvcodec.format import CorruptError
from tests.coding.reference import Decoder, encode
from tests.kernels import KernelBench

from .reference import Motion, Script, contexts

GRIDS = st.tuples(st.integers(1, 4), st.integers(1, 5))
FRAMES = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def random_paths(
    rng: np.random.Generator, rows: int, columns: int, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Paths such as blocks have: those of neighbours, still ones, others, extreme ones."""
    paths = np.zeros((rows, columns, frames, 2), np.int32)
    intra = (rng.random((rows, columns)) < 0.2).astype(np.uint8)
    for y, x in np.ndindex(rows, columns):
        kind = rng.integers(6)
        if kind == 0 and x > 0:
            paths[y, x] = paths[y, x - 1]
        elif kind == 1 and y > 0:
            paths[y, x] = paths[y - 1, x]
        elif kind == 2:
            paths[y, x] = rng.integers(-40, 41, 2) * np.arange(1, frames + 1)[:, None]
        elif kind == 3:
            paths[y, x] = rng.choice([-MAX_VECTOR, MAX_VECTOR], (frames, 2))
        elif kind == 4:
            paths[y, x] = rng.integers(-MAX_VECTOR, MAX_VECTOR + 1, (frames, 2))
    paths[intra != 0] = 0
    return paths, intra


@given(GRIDS, FRAMES, SEEDS)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_round_trip_and_reference(grid: tuple[int, int], frames: int, seed: int) -> None:
    """What is coded is decoded, by the package and by the text."""
    paths, intra = random_paths(np.random.default_rng(seed), *grid, frames)
    given_paths, given_intra = paths.copy(), intra.copy()
    data = encode_motion(paths, intra)
    np.testing.assert_array_equal(paths, given_paths)
    np.testing.assert_array_equal(intra, given_intra)
    assert len(data) <= 2 * _most_bits(paths) // 8 + 64
    slow = Decoder(data)
    motion = Motion(slow, contexts()[0], *grid, frames)
    assert slow.finished()
    for found_paths, found_intra in (
        decode_motion(data, *grid, frames),
        (motion.paths, motion.intra),
    ):
        np.testing.assert_array_equal(found_paths, paths)
        np.testing.assert_array_equal(found_intra, intra)
    record = trace_motion(paths, intra)
    assert (record >> 1 < MOTION_CONTEXTS).all()
    assert len(record) == slow.bits
    assert (record & 1).tolist() == [bit for probability, bit in slow.bins if probability]


@given(GRIDS, FRAMES, SEEDS, st.sampled_from([0.05, 0.5, 0.8, 0.97]))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_any_syntax(grid: tuple[int, int], frames: int, seed: int, share: float) -> None:
    """Also differences that an encoder does not make, such as those that are clipped."""
    script = Script(np.random.default_rng(seed), share)
    motion = Motion(script, contexts()[0], *grid, frames)
    paths, intra = decode_motion(encode(script.bins), *grid, frames)
    np.testing.assert_array_equal(paths, motion.paths)
    np.testing.assert_array_equal(intra, motion.intra)
    assert np.abs(paths).max() <= MAX_VECTOR
    again = decode_motion(encode_motion(paths, intra), *grid, frames)
    np.testing.assert_array_equal(again[0], paths)
    np.testing.assert_array_equal(again[1], intra)


def test_vectors_are_clipped() -> None:
    """A block of its own path whose differences are the largest that the syntax has."""

    class Large(Script):
        def bit(self, context):
            self.share = float(len(self.bins) >= 2)
            return super().bit(context)

    script = Large(np.random.default_rng(1), 0)
    motion = Motion(script, contexts()[0], 1, 1, 4)
    paths, intra = decode_motion(encode(script.bins), 1, 1, 4)
    assert not intra.any()
    assert (np.abs(paths) == MAX_VECTOR).all()
    np.testing.assert_array_equal(paths, motion.paths)


@given(st.binary(max_size=60), GRIDS, FRAMES)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_any_bytes(data: bytes, grid: tuple[int, int], frames: int) -> None:
    """Any bytes are paths, as the text reads them, or more than paths."""
    if data.startswith(b"\xff\xff\xff\xff"):
        return
    slow = Decoder(data)
    Motion(slow, contexts()[0], *grid, frames)
    if not slow.finished():
        with pytest.raises(CorruptError) as error:
            decode_motion(data, *grid, frames)
        assert error.value.rule == "3.2"
    kept = data[: slow.bytes_read].rstrip(b"\0")
    motion = Motion(Decoder(kept), contexts()[0], *grid, frames)
    paths, intra = decode_motion(kept, *grid, frames)
    np.testing.assert_array_equal(paths, motion.paths)
    np.testing.assert_array_equal(intra, motion.intra)


@pytest.mark.parametrize("change", ["goes on", "ends in 0", "begins with FF"])
def test_damage(change: str) -> None:
    data = encode_motion(*random_paths(np.random.default_rng(3), 3, 2, 4))
    decode_motion(data, 3, 2, 4)
    damaged = {
        "goes on": data + bytes(9) + b"\1",
        "ends in 0": data + b"\0",
        "begins with FF": b"\xff" * 4 + data,
    }[change]
    with pytest.raises(CorruptError) as error:
        decode_motion(damaged, 3, 2, 4)
    assert error.value.rule == "3.2"


def test_still_groups_are_tiny() -> None:
    paths, intra = np.zeros((34, 60, 4, 2), np.int32), np.zeros((34, 60), np.uint8)
    assert len(encode_motion(paths, intra)) < 60


def test_group(kernel_bench: KernelBench) -> None:
    rows, columns, frames = 12, 20, 4
    paths, intra = random_paths(np.random.default_rng(0), rows, columns, frames)
    data = encode_motion(paths, intra)
    slow = Decoder(data)
    Motion(slow, contexts()[0], rows, columns, frames)

    def slow_decode() -> tuple[np.ndarray, np.ndarray]:
        motion = Motion(Decoder(data), contexts()[0], rows, columns, frames)
        return motion.paths, motion.intra

    bins = len(slow.bins)
    kernel_bench(
        "decode paths",
        bins,
        lambda: decode_motion(data, rows, columns, frames),
        slow_decode,
        unit="bin",
    )
    kernel_bench(
        "encode paths",
        bins,
        lambda: list(encode_motion(paths, intra)),
        lambda: list(encode(slow.bins)),
        unit="bin",
    )
