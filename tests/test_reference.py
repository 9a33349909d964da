"""The reference decoder, written from the text of the spec alone, gives the same samples."""

import contextlib
import hashlib
import io
import sys
import zlib
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

import nvcodec
import nvcodec.format
from nvcodec.coding.sine import weights
from nvcodec.model.description import CanvasShape
from nvcodec.model.resample import View, resample
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import SAMPLE_FORMATS, SampleFormat
from nvcodec.tables import load_table
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tests.synthetic import DEEP, Plan, synthesize
from tools.vectors.reference import reference as load_reference

WIDE = NetworkShape(
    patch=16,
    group_frames=4,
    depth=3,
    width=48,
    stem_channels=4,
    head_channels=4,
)
PLANS = {
    "small": Plan(),
    "deep": Plan(shape=DEEP, frames=(2, 2, 1, 2), durations=(1, 2)),
    "one sample": Plan(width=1, height=1, frames=(1,), keys=(0,)),
    "dense changes": Plan(shape=WIDE, width=60, height=50, frames=(4, 4), change=0.9, seed=3),
    "few changes": Plan(width=64, height=33, frames=(3,) * 5, keys=(0,), change=0.002, seed=4),
    "bottom siting": Plan(width=33, height=17, frames=(2,), chroma_location=5, seed=5),
}

HYBRID_PLANS = {
    "random canvases": HybridPlan(),
    "fine chroma": HybridPlan(CanvasShape(16, -12), 70, 50, frames=(1, 11), keys=(0,), seed=1),
    "coarse chroma": HybridPlan(CanvasShape(3, 12), 130, 66, frames=(1, 3, 2), keys=(0,), seed=2),
    "one cell": HybridPlan(CanvasShape(2), 1, 1, frames=(1, 2), keys=(0,), seed=3),
    "network": HybridPlan(CanvasShape(8, 5, 1), 83, 50, seed=5),
    "network, one cell": HybridPlan(CanvasShape(2, 0, 1), 1, 1, frames=(1, 2), keys=(0,), seed=6),
    "keys only": HybridPlan(CanvasShape(1, 3), 97, 40, frames=(1, 1), keys=(0, 1), seed=4),
}

NIRVANA_PLANS = {
    "random features": NirvanaPlan(),
    "one sample": NirvanaPlan(1, 1, frames=(1, 2), keys=(0,), seed=1),
    "wide": NirvanaPlan(83, 19, frames=(4, 3, 4), keys=(0,), seed=2),
    "wild components": NirvanaPlan(30, 19, frames=(4, 1, 2, 1), keys=(0,), seed=3, wild=True),
    "monochrome": NirvanaPlan(30, 45, seed=4, samples=SampleFormat(8, 0)),
    "12-bit 4:2:2": NirvanaPlan(51, 38, seed=5, samples=SampleFormat(12, 2)),
    "10-bit 4:4:4": NirvanaPlan(45, 21, seed=6, wild=True, samples=SampleFormat(10, 3)),
}


def reference(path, *options):
    """Run the reference decoder in this process: (exit code, what it prints).

    tests/tools/test_conform.py runs it as a program.
    """
    arguments = ["nrvdec.py", str(path), "--md5", *options]
    shown = io.StringIO()
    with (
        mock.patch.object(sys, "argv", arguments),
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = load_reference().main()
    return code, shown.getvalue()


def digest(frames):
    md5 = hashlib.md5()
    for frame in frames:
        for plane in frame.planes:
            md5.update(plane.tobytes())
    return md5.hexdigest()


def assert_equal_frames(data, tmp_path):
    path = tmp_path / "a.nrv"
    path.write_bytes(data)
    with nvcodec.Decoder(path) as decoder:
        assert reference(path) == (0, f"{digest(decoder)}\n")


@pytest.mark.parametrize("name", HYBRID_PLANS)
def test_hybrid_frames_are_equal(name, tmp_path):
    assert_equal_frames(synthesize_hybrid(HYBRID_PLANS[name])[0], tmp_path)


@pytest.mark.parametrize("name", NIRVANA_PLANS)
def test_nirvana_frames_are_equal(name, tmp_path):
    assert_equal_frames(synthesize_nirvana(NIRVANA_PLANS[name])[0], tmp_path)


@pytest.mark.parametrize("name", PLANS)
def test_frames_are_equal(name, tmp_path):
    assert_equal_frames(synthesize(PLANS[name])[0], tmp_path)


@pytest.mark.parametrize(
    ("size", "crop"), [((61, 31), None), ((19, 40), (7, 9, 4, 2)), (None, (11, 5, 8, 6))]
)
@pytest.mark.parametrize("location", [0, 2, 5])
def test_sizes_and_regions_are_equal(size, crop, location, tmp_path):
    path = tmp_path / "a.nrv"
    path.write_bytes(synthesize(replace(Plan(frames=(2,)), chroma_location=location))[0])
    options = [] if size is None else ["--size", "{}x{}".format(*size)]
    options += [] if crop is None else ["--crop", "{}:{}:{}:{}".format(*crop)]
    with nvcodec.Decoder(path) as decoder:
        ours = digest(decoder.frames(size=size, crop=crop))
    assert reference(path, *options) == (0, f"{ours}\n")


@pytest.mark.parametrize("samples", SAMPLE_FORMATS, ids=lambda samples: samples.name)
@pytest.mark.parametrize("size", [(29, 40), None])
def test_other_formats_are_resampled_alike(samples, size):
    nrvdec = load_reference()
    width, height, location, crop = 37, 22, 3, (11, 5, 8, 6)
    random = np.random.default_rng(0)
    planes = tuple(
        random.integers(0, samples.peak + 1, shape, samples.dtype)
        for shape in samples.plane_shapes(width, height)
    )
    head = nrvdec.Head(
        None, 1, samples.chroma_format, samples.bit_depth, width, height, location, 1
    )
    kernel = load_table("resampling_kernel.txt").astype(np.int64)
    expected = nrvdec.Output(head, size, crop, kernel)(planes)
    view = View.of(width, height, size, crop, samples)
    got = resample(planes, (0, 0), width, height, view, location)
    for plane, reference_plane in zip(got, expected, strict=True):
        assert plane.dtype == reference_plane.dtype
        np.testing.assert_array_equal(plane, reference_plane)


def test_it_refuses_what_we_refuse(tmp_path):
    data, _ = synthesize(Plan(frames=(1,), keys=(0,)))
    path = tmp_path / "a.nrv"
    for damaged in (data[:-1], data[:300], data + b"x", data[:150] + b"?" + data[151:]):
        path.write_bytes(damaged)
        with nvcodec.Decoder(path) as decoder, pytest.raises(nvcodec.format.NrvError):
            list(decoder)
        assert reference(path)[0] == 3
    changed = bytearray(data)
    changed[8 + 8 + 7] = 10  # bit_depth of HEAD
    changed[64:68] = zlib.crc32(changed[8:12] + changed[16:64]).to_bytes(4, "little")
    path.write_bytes(changed)
    with pytest.raises(nvcodec.format.UnsupportedError):
        nvcodec.Decoder(path)
    assert reference(path)[0] == 4


def test_it_knows_the_order_of_units_beside_the_video(tmp_path):
    data, _ = synthesize(Plan(frames=(1,), keys=(0,)))
    place = data.index(b"GRUP")
    units = {
        name: name + bytes(4) + zlib.crc32(name).to_bytes(4, "little")
        for name in (b"hDRm", b"cHAP", b"aTRK", b"aPKt")
    }
    path = tmp_path / "a.nrv"
    for order in ((b"aTRK", b"hDRm"), (b"aPKt", b"aTRK"), (b"cHAP", b"cHAP")):
        path.write_bytes(data[:place] + b"".join(units[name] for name in order) + data[place:])
        assert reference(path)[0] == 3
        with (
            nvcodec.Decoder(path) as decoder,
            pytest.raises(nvcodec.format.NrvError, match=r"2\.3"),
        ):
            list(decoder)


def test_tables_substreams_are_read_alike(tmp_path, monkeypatch):
    def with_tables(differences):
        entries = np.full(weights.CONTEXTS, -1, np.int32)
        entries[::3] = np.arange(0, 256)[: len(entries[::3])]
        contexts = weights.default_contexts()
        weights._apply_entries(contexts, entries)
        return weights._encode_tables(entries), weights._encode_network(differences, contexts)

    monkeypatch.setattr("nvcodec.model.sine.weights.encode_differences", with_tables)
    path = tmp_path / "a.nrv"
    path.write_bytes(synthesize(Plan(change=0.8))[0])
    with path.open("rb") as file:
        groups = [e.group for e in nvcodec.format.UnitReader(file) if hasattr(e, "group")]
    assert all(len(group.tables) > 50 for group in groups)
    with nvcodec.Decoder(path) as decoder:
        assert reference(path) == (0, f"{digest(decoder)}\n")
