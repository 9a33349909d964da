"""Write the list of calls of kernels that a first use makes: `nvcodec/first_calls.json`.

    python -m tools.first_calls

To be run when a kernel that Python calls, or its arguments, have changed; a deep test says so.
Encodes and decodes a synthetic clip, one frame of it and then all, and records each kernel with the
kinds of its arguments. With kept kernels this takes a few seconds.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np

from nvcodec import ahead, compiled
from nvcodec.compiled import Kernel
from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid import group

PATH = Path(ahead.__file__).with_name("first_calls.json")
_WIDTH, _HEIGHT, _FRAMES = 176, 96, 20

Call = tuple[str, list[Any]]


@click.command(help=__doc__)
def main() -> None:
    PATH.write_text(text(recorded()), encoding="ascii")


def recorded() -> dict[str, list[list[Call]]]:
    """The calls of encodes and decodes with the default model; for a process of its own."""
    # What is kept says that tiny canvases need not be coded.
    group.stored = lambda _work, _key, make: make()  # type: ignore[attr-defined]
    calls: dict[str, Call] = {}
    find: Any = Kernel._find

    def finding(kernel: Kernel, kinds: Any, arguments: tuple[Any, ...]) -> Any:
        key = compiled.key_of(kernel, arguments)
        name = _name_of(kernel)
        if key not in calls and name is not None:
            described = [_described(value) for value in arguments]
            example = tuple(map(ahead._example, described))
            if compiled.key_of(kernel, example) != key:
                raise RuntimeError(f"a call of {name} is not described well")
            calls[key] = name, described
        return find(kernel, kinds, arguments)

    Kernel._find = finding  # type: ignore[method-assign]
    made: dict[str, list[list[Call]]] = {"encoder": [], "decoder": []}
    with tempfile.TemporaryDirectory() as folder:
        for work in made:
            before = 0
            calls.clear()
            for count in (1, _FRAMES):
                _forget()
                _run(work, Path(folder), count)
                made[work].append(list(calls.values())[before:])
                before = len(calls)
    return made


def text(made: dict[str, list[list[Call]]]) -> str:
    """The list as the file has it: a call in each line."""
    works = []
    for work, parts in made.items():
        lines = [",\n".join(json.dumps(call, separators=(",", ":")) for call in p) for p in parts]
        works.append(f'"{work}": [\n' + ",\n".join(f"[\n{each}\n]" for each in lines) + "\n]")
    return "{\n" + ",\n".join(works) + "\n}\n"


def _run(work: str, folder: Path, count: int) -> None:
    from nvcodec.decode.decoder import Decoder

    path = folder / f"{count}.nrv"
    if work == "encoder":
        clip = folder / f"{count}.y4m"
        _write_clip(clip, count)
        encode(str(clip), str(path), preset="fast", overwrite=True)
        return
    with Decoder(str(path)) as decoder:
        for _ in decoder.frames():
            pass


def _forget() -> None:
    """Let kernels be looked for again at their next call."""
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()):
            if isinstance(value, Kernel):
                value._functions.clear()


def _write_clip(path: Path, count: int) -> None:
    generator = np.random.default_rng(1)
    big = generator.integers(0, 256, (_HEIGHT // 4 + 8, _WIDTH // 4 + 8)).repeat(4, 0).repeat(4, 1)
    with path.open("wb") as file:
        rate = Fraction(25)
        file.write(b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420\n" % (_WIDTH, _HEIGHT, rate))
        for frame in range(count):
            luma = big[frame : frame + _HEIGHT, frame : frame + _WIDTH].astype(np.uint8)
            chroma = luma[::2, ::2]
            file.write(b"FRAME\n" + b"".join(p.tobytes() for p in (luma, chroma, 255 - chroma)))


def _name_of(kernel: Kernel) -> str | None:
    module, name = kernel.__module__, kernel.__qualname__
    direction, _, syntax = name.partition("_")
    for named in (f"{module}:{name}", f"{module}:{syntax}@{direction}"):
        with contextlib.suppress(AttributeError, ValueError):
            if ahead._named(named) is kernel:
                return named
    return None


def _described(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise RuntimeError("an array is not contiguous")
        described = {"array": _of_dtype(value.dtype), "dimensions": value.ndim}
        return described if value.flags.writeable else described | {"constant": True}
    if isinstance(value, np.void):
        return {"record": _of_dtype(value.dtype)}
    if isinstance(value, tuple):
        values = {"values": [_described(each) for each in value]}
        return values if type(value) is tuple else {"tuple": _name(type(value))} | values
    return {"number": np.dtype(compiled._kind(value)).name}


def _of_dtype(dtype: np.dtype[Any]) -> Any:
    if dtype.fields is None:
        return dtype.name
    return {"type": _name(dtype.type), "fields": list(_fields(dtype))}


def _fields(dtype: np.dtype[Any]) -> Iterator[tuple[str, Any, list[int]]]:
    for name in dtype.names or ():
        of = dtype[name]
        yield name, _of_dtype(of.base), list(of.shape)


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


if __name__ == "__main__":
    main()
