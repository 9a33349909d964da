"""Each kernel in Triton's interpreter against NumPy; the device test detects errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.format import UnsupportedError
from nvcodec.model.sine.shape import NetworkShape
from tests.synthetic import DEEP, SMALL

pytest.importorskip("triton", reason="Triton is not installed")

from nvcodec.model.cuda import check, launch
from nvcodec.model.cuda.check import CHECKS, require_equal, used_by

pytestmark = pytest.mark.usefixtures("quick_interpreter")

CPU = torch.device("cpu")


@st.composite
def shapes(draw: st.DrawFn) -> NetworkShape:
    return NetworkShape(
        2 * draw(st.integers(2, 5)),
        draw(st.integers(1, 32)),
        draw(st.integers(1, 3)),
        draw(st.one_of(st.integers(1, 150), st.just(1024))),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 17)),
    )


def compare(name: str, shape: NetworkShape, seed: int, exact: bool) -> None:
    got, expected = CHECKS[name](shape, CPU, np.random.default_rng(seed), exact)
    np.testing.assert_array_equal(got, expected)


@given(shapes(), st.data(), st.integers(0, 2**32), st.booleans())
@settings(max_examples=6, derandomize=True, deadline=None)
def test_random_shapes(shape: NetworkShape, data: st.DataObject, seed: int, exact: bool) -> None:
    compare(data.draw(st.sampled_from(used_by(shape))), shape, seed, exact)


LARGEST = {
    "channels": NetworkShape(8, 2, 2, 1024, 64, 64),
    "patch": NetworkShape(64, 1, 1, 3, 2, 1),
}


@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=pytest.mark.deep)])
@pytest.mark.parametrize("shape", LARGEST.values(), ids=LARGEST)
def test_great_shapes(shape: NetworkShape, exact: bool) -> None:
    for name in used_by(shape):
        compare(name, shape, 1, exact)


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 200, 1030])
def test_any_number_of_inputs_of_the_expanding_layer(columns: int) -> None:
    rng = np.random.default_rng(columns)
    layer, inputs, acc = check.dense(rng, (54, columns), 130, CPU, 1 << 32)
    codes = torch.zeros((1, 6), dtype=torch.int32)
    sources = torch.zeros((130, 1, 3, 3, 6), dtype=torch.float16)
    launch.expand_sources(layer, codes, inputs, 130, 0, sources)
    np.testing.assert_array_equal(sources.reshape(130, 54).numpy(), np.clip(acc, -2047, 2047))
    assert (np.abs(acc) < 2048).sum() > 40


@pytest.mark.parametrize("shape", [SMALL, pytest.param(DEEP, marks=pytest.mark.deep)])
def test_a_device_that_computes_exactly_passes(shape: NetworkShape) -> None:
    require_equal.__wrapped__(shape, CPU)


WRONG = {
    "a sum rounded to 23 bits": lambda sums: np.where(
        np.abs(sums) >= 1 << 23, np.trunc(sums / 2) * 2, sums
    ),
    "a sum off by one above 2^22": lambda sums: sums + (np.abs(sums) > 1 << 22),
    "a bias of rounding": lambda sums: sums + 1,
}


@pytest.mark.parametrize("kind", ["float32", pytest.param("int32", marks=pytest.mark.deep)])
@pytest.mark.parametrize("error", WRONG.values(), ids=WRONG)
def test_a_device_that_does_not_fails(
    error: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    right = InterpreterBuilder.create_dot

    def wrong(self: Any, a: Any, b: Any, acc: Any, *options: Any) -> Any:
        result = right(self, a, b, acc, *options)
        if result.data.dtype != kind:
            return result
        return TensorHandle(error(result.data).astype(kind), result.dtype.scalar)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", wrong)
    # The paper's layers, whose sums come near the bound in many ways.
    shape = NetworkShape(8, 3, 2, 1024, 16, 8)
    with pytest.raises(UnsupportedError, match="does not compute exactly"):
        require_equal.__wrapped__(shape, CPU)
