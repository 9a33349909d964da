"""The hybrid ablation: each switch keeps its tool out of the bitstream; the tables."""

import multiprocessing
from unittest.mock import ANY

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import (
    CHROMA,
    COPY,
    CUT,
    DIRECTION,
    HEIGHT,
    INTRA,
    LINEAR,
    MERGE,
    MODE,
    PALETTE,
    UNIT_HEIGHT,
    UNIT_PLANE,
    UNIT_TRANSFORM,
    UNIT_WIDTH,
    WIDTH,
)
from nvcodec.encode.hybrid import group
from nvcodec.encode.hybrid import video as coder
from nvcodec.encode.hybrid.analysis import repeats
from tests.cli.support import y4m
from tests.tools.support import loaded, run
from tools.ablation import hybrid as hybrid_ablation
from tools.lib.clips import Clip

_SIZE = 128


def pictures(count):
    """A rough and a smooth half; squares that come and move; noise that no reference has."""
    rng = np.random.default_rng(1)
    y, x = np.indices((_SIZE, _SIZE))
    rough = rng.integers(0, 60, (_SIZE, 2 * _SIZE))
    result = []
    for t in range(count):
        luma = 60 + 40 * np.sin((x + 2 * t) / 17) + 30 * np.cos((y - t) / 23)
        luma[: _SIZE // 2] += rough[: _SIZE // 2, 3 * t : 3 * t + _SIZE]
        luma[70 : 70 + 5 * t, 20:60] = 200 - 3 * x[70 : 70 + 5 * t, 20:60]
        luma[72 + t : 96 + t, 80 - 5 * t : 101 - 5 * t] += 60
        luma += rng.normal(0, 1.5, luma.shape)
        luma[96:, 64:] = 80 + np.tile(rough[:16, :16], (2, 4))
        luma = np.clip(luma, 0, 255).astype(np.uint8)
        chroma = luma[::2, ::2] // 2 + 60
        result.append((luma, chroma, 255 - chroma))
    return result


@pytest.fixture(scope="module", autouse=True)
def few_repeats():
    """Copies are searched for in these pictures too, of which only a part repeats."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_LEAST_SHARE", 0.05)
        patch.setattr(repeats, "_LEAST_DRAWN", 0.0)
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.y4m"
    path.write_bytes(y4m(pictures(6)))
    return Clip(path)


def point(clip, row):
    return hybrid_ablation.measure(hybrid_ablation._Case(row, clip, 12.0, "medium"))


@pytest.fixture(scope="module")
def base(clip):
    return point(clip, "")


@pytest.fixture
def coded(monkeypatch):
    """All canvases that go into substreams."""
    canvases = []
    code = group.code_substreams

    def kept(given, settings):
        canvases.extend(given)
        return code(given, settings)

    monkeypatch.setattr(coder, "code_substreams", kept)
    return canvases


def taken(canvases):
    """How often each choice was made, in the canvases of the clip (others warm up)."""

    def units(c, size):
        sides = c.units[:, [UNIT_WIDTH, UNIT_HEIGHT]]
        return ((c.units[:, UNIT_PLANE] == 0) & (sides == size).any(1)).sum()

    inter = [c for c in canvases if c.canvas.step.set and c.canvas.planes[0].shape[0] == _SIZE]
    key = [c for c in canvases if not c.canvas.step.set and c.canvas.planes[0].shape[0] == _SIZE]
    own = [c.leaves[(c.leaves[:, MERGE] == 0) & (c.leaves[:, INTRA] == 0)] for c in inter]
    return {
        "merges": sum(c.leaves[:, MERGE].sum() for c in inter),
        "own vectors of two references": sum((leaves[:, DIRECTION] == 3).sum() for leaves in own),
        "inter blocks of 64": sum((c.leaves[:, [WIDTH, HEIGHT]].max(1) == 64).sum() for c in inter),
        "inter blocks of 8": sum((c.leaves[:, [WIDTH, HEIGHT]].min(1) == 8).sum() for c in inter),
        "rectangular leaves": sum(
            ((c.leaves[:, WIDTH] != c.leaves[:, HEIGHT]) | (c.leaves[:, CUT] > 1)).sum()
            for c in inter + key
        ),
        "transforms of 32, inter canvases": sum(units(c, 32) for c in inter),
        "transforms of 32, key canvases": sum(units(c, 32) for c in key),
        "transforms of 32": sum(units(c, 32) for c in inter + key),
        "luma transforms of 4": sum(units(c, 4) for c in inter + key),
        "chroma from luma": sum(
            ((c.leaves[:, CHROMA] >= LINEAR) & (c.leaves[:, CHROMA] < COPY)).sum()
            for c in inter + key
        ),
        "copied leaves": sum((c.leaves[:, MODE] == COPY).sum() for c in inter + key),
        "palettes": sum((c.leaves[:, MODE] == PALETTE).sum() for c in inter + key),
        "sine transforms": sum((c.units[:, UNIT_TRANSFORM] == 1).sum() for c in inter + key),
        "secondary transforms": sum((c.units[:, UNIT_TRANSFORM] > 2).sum() for c in inter + key),
        "intra leaves in inter canvases": sum(c.leaves[:, INTRA].sum() for c in inter),
        "quantiser deltas": sum(c.varying for c in inter + key),
    }


@pytest.mark.parametrize("row", hybrid_ablation.ROWS)
def test_a_row(clip, base, coded, row):
    found = point(clip, row)
    made = taken(coded)
    assert made.pop(row, 0) == 0
    same = all(found[name] == base[name] for name in ("bytes", "motion_bytes", "psnr"))
    # In so short a clip groups of 8 frames and of more are the same, and too little is inherited
    # for the temporal filter.
    unused = {"temporal filter", *(f"groups of {n}, not by content" for n in (8, 16, 32))}
    assert same == (row in unused)


def test_the_encoder_as_it_is_uses_every_tool(clip, base, coded):
    assert point(clip, "") == base | {"cpu_seconds": ANY}
    assert min(taken(coded).values()) > 0


def test_tables(clip, tmp_path):
    rows = ["--rows", "merges", "--rows", "groups of 1,", "--rows", "trained"]
    options = ["--frames", 4, "--crf", "12,24", *rows, "--json", tmp_path / "a.json"]
    text, (points, table) = run(hybrid_ablation.main, clip.path, *options)
    assert text.startswith(f"    python -m tools.ablation.hybrid {clip.path} --frames 4")
    assert [(p["row"], p["crf"]) for p in points] == [("as it is", "12"), ("as it is", "24")]
    assert [(r["without"], r["of the"]) for r in table] == [
        ("merges", "format"),
        ("trained default contexts", "format"),
        ("groups of 1, not by content", "option"),
    ]
    assert all(r["mean"] == r["clip"] for r in table)
    assert float(table[2]["mean"].split()[0]) > 0
    assert "Worth less than 1 % on the mean and 5 % on every clip: " in text
    data = loaded(tmp_path / "a.json", "ablation.hybrid")
    assert len(data["points"]) == 8
    assert [f"{row['mean']:+.2f} %" for row in data["rows"]] == [row["mean"] for row in table]
    assert [p["bytes"] for p in data["points"][:2]] == [int(p["bytes"]) for p in points]


def test_jobs_do_not_matter(clip, monkeypatch):
    # Processes that begin as this one is, which takes no time.
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(hybrid_ablation.multiprocessing, "get_context", lambda _: fork)
    options = ["--frames", 2, "--crf", "20,30", "--rows", "deblocking"]
    one, two = (
        run(hybrid_ablation.main, clip.path, *options, "--jobs", jobs)[1] for jobs in (1, 2)
    )
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "what"),
    [(["--crf", "a"], "could not convert"), (["--rows", "nothing"], "begins none of")],
)
def test_usage(clip, arguments, what):
    assert what in " ".join(run(hybrid_ablation.main, clip.path, *arguments, code=2)[0].split())
