"""Triton's interpreter as a CUDA device, made fast enough to decode all vectors."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

CHECKS = (
    "require_equal",
    "require_exact_canvases",
    "require_exact_fusion",
    "require_exact_synthesis",
)
"""What tests a device before it renders."""


@pytest.fixture(scope="module")
def quick_interpreter() -> Iterator[None]:
    """Kernels do without what the interpreter does again and again.

    At each launch, and at each call inside a kernel, it prepares all of Triton's language, which
    takes longer than the arithmetic. Here it does so once. It also finds out, in 64 bits, whether
    each sum of 32 bits is too large, and then drops the answer. The rest of its time goes into
    types: see `_quick_types`.
    """
    interpreter = pytest.importorskip("triton.runtime.interpreter")
    language, prepare = interpreter.tl, interpreter._patch_lang
    prepared: dict[frozenset[str], Any] = {}

    def once(function: Any) -> Any:
        seen = function.__globals__.values()
        modules = (language, language.core)
        names = frozenset(m.__name__ for m in modules if any(value is m for value in seen))
        if names not in prepared:
            prepared[names] = prepare(function)
        return SimpleNamespace(restore=lambda: None)

    called, known = interpreter.InterpretedFunction, set[Any]()

    def call(self: Any, *args: Any, **named: Any) -> Any:
        if self.fn not in known:
            known.add(self.fn)
            once(self.fn)
        return self.rewrite()(*args, **named)

    builder = interpreter.interpreter_builder
    with pytest.MonkeyPatch.context() as patch:
        options = dataclasses.replace(builder.options, sanitize_overflow=False)
        patch.setattr(builder, "options", options)
        patch.setattr(interpreter, "_patch_lang", once)
        patch.setattr(called, "__call__", call)
        _quick_types(interpreter, patch)
        yield
    for scope in reversed(prepared.values()):
        scope.restore()


def _quick_types(interpreter: Any, patch: pytest.MonkeyPatch) -> None:
    """Types, shapes and constants are made once; operands that agree are not looked at closely."""
    language, semantic = interpreter.tl, interpreter.TritonSemantic
    tensor, block = language.tensor, language.core.block_type
    of_numpy, of_tensor, of_block = (
        interpreter._get_np_dtype,
        tensor.__init__,
        block.with_element_ty,
    )
    of_operands, of_shapes = semantic.binary_op_type_checking_impl, semantic.broadcast_impl_value
    dtypes: dict[str, Any] = {}
    shapes: dict[str, Any] = {}
    blocks: dict[tuple[str, str], Any] = {}
    constants: dict[tuple[int, str], Any] = {}

    def get_dtype(kind: Any) -> Any:
        if kind.name not in dtypes:
            dtypes[kind.name] = of_numpy(kind)
        return dtypes[kind.name]

    def make_tensor(self: Any, handle: Any, type: Any) -> None:
        if type.name not in shapes:
            of_tensor(self, handle, type)
            shapes[type.name] = self.shape, self.numel
        self.handle, self.type, self.dtype = handle, type, type.scalar
        self.shape, self.numel = shapes[type.name]

    def with_element(self: Any, kind: Any) -> Any:
        key = self.name, kind.name
        if key not in blocks:
            blocks[key] = of_block(self, kind)
        return blocks[key]

    def constant(self: Any, value: int, like: Any) -> Any:
        key = value, like.type.name
        if key not in constants:
            constants[key] = of_operands(self, like, value)[1]
        return constants[key]

    def operands(self: Any, left: Any, right: Any, *args: Any, **named: Any) -> tuple[Any, Any]:
        if isinstance(left, tensor):
            if left.dtype.is_int():
                if isinstance(right, tensor):
                    if right.type.name == left.type.name:
                        return left, right
                elif isinstance(right, int):
                    return left, constant(self, right, left)
        elif isinstance(left, int) and isinstance(right, tensor) and right.dtype.is_int():
            return constant(self, left, right), right
        return of_operands(self, left, right, *args, **named)

    def broadcast(self: Any, left: Any, right: Any) -> tuple[Any, Any]:
        both = left.type.is_block() and right.type.is_block()
        if both and left.handle.data.shape == right.handle.data.shape:
            return left, right
        return of_shapes(self, left, right)

    patch.setattr(interpreter, "_get_np_dtype", get_dtype)
    patch.setattr(tensor, "__init__", make_tensor)
    patch.setattr(block, "with_element_ty", with_element)
    patch.setattr(block, "to_ir", lambda self, _: self)
    patch.setattr(semantic, "binary_op_type_checking_impl", operands)
    patch.setattr(semantic, "broadcast_impl_value", broadcast)


@pytest.fixture
def large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tile for all elements of a launch, and no larger: a program takes long, an element not.

    Tiles of matrices have all units, and few patches.
    """
    pytest.importorskip("triton", reason="Triton is not installed")
    from nvcodec.model.cuda import canvas, fusion, launch, motion, synthesis, units

    def in_one_tile(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: int) -> None:
        if "BLOCK" in constants:
            constants["BLOCK"] = 1 << (grid[0] * constants["BLOCK"] - 1).bit_length()
            grid = (1, *grid[1:])
        launch.run(kernel, grid, *arguments, **constants)

    for module, name in (
        (canvas, "_SAMPLES"),
        (motion, "_SAMPLES"),
        (units, "_ELEMENTS"),
        (fusion, "_SITES"),
        (synthesis, "_INPUTS"),
    ):
        monkeypatch.setattr(module, name, 16)
        monkeypatch.setattr(module, "run", in_one_tile)
    monkeypatch.setattr(canvas, "_INTRA", 256)
    monkeypatch.setitem(synthesis._TILE, "BLOCK_M", 32)
    monkeypatch.setitem(synthesis._TILE, "BLOCK_N", 256)


@pytest.fixture
def device_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The checks of a device before it renders that were made, which are not.

    tests/model/cuda has their tests.
    """
    pytest.importorskip("triton", reason="Triton is not installed")
    from nvcodec.decode import cuda

    made: list[str] = []
    for name in CHECKS:
        monkeypatch.setattr(cuda, name, lambda *_, name=name: made.append(name))
    return made


@pytest.fixture
def interpreted_device(
    monkeypatch: pytest.MonkeyPatch,
    quick_interpreter: None,
    large_tiles: None,
    device_checks: list[str],
) -> None:
    """Decoders with `device="cuda"` have a `CudaDevice` with tensors on the host."""
    import torch

    from nvcodec.decode import decoder
    from nvcodec.decode.cuda import CudaDevice

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())

    def make(_: str, threads: int | None, batch: int | None, tensors: bool) -> CudaDevice:
        device = CudaDevice(batch, tensors, threads)
        device._device = torch.device("cpu")
        return device

    monkeypatch.setattr(decoder, "make_device", make)
