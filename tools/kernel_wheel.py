"""Add compiled kernels to a wheel: a first use on a common processor then compiles nothing.

    python -m tools.kernel_wheel dist/nvcodec-0.1.0-py3-none-any.whl [--baseline NAME]...

Runs the commands with the wheel's package in usual ways, for each baseline of
`nvcodec/baselines.py`, and writes a second wheel beside the first one, for this platform and
version of Python. Its kernels are used with the versions of Numba and llvmlite that are installed
here; with others, kernels are compiled as they are with the first wheel. Takes minutes of CPU for
each baseline.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np

from nvcodec.baselines import BASELINES, Baseline
from nvcodec.kernel_cache import pack

_WIDTH, _HEIGHT, _FRAMES = 176, 96, 20

WORK = {
    "decode": [
        ["nvenc", "-y", "--preset", "fast", "clip.mkv", "decode.nrv"],
        ["nvdec", "-y", "--verify", "--md5", "decode.nrv", "decode.y4m"],
        ["nvdec", "-y", "--size", "88x48", "decode.nrv", "null"],
        ["nvdec", "-y", "decode.nrv", "decode_%02d.png"],
    ],
    "encode": [
        ["nvenc", "-y", "--preset", "medium", "clip.mkv", "medium.nrv"],
        ["nvenc", "-y", "--preset", "slow", "clip.mkv", "slow.nrv"],
        ["nvdec", "-y", "medium.nrv", "null"],
    ],
    "nirvana": [
        ["nvenc", "-y", "--model", "nirvana", "--preset", "fast", "clip.mkv", "nirvana.nrv"],
        ["nvenc", "-y", "--model", "nirvana", "clip.mkv", "nirvana.nrv"],
        ["nvdec", "-y", "--verify", "nirvana.nrv", "nirvana.y4m"],
    ],
    "more-bits": [
        ["nvenc", "-y", "--preset", "fast", "--format", "yuv420p10", "clip.mkv", "deep.nrv"],
        ["nvdec", "-y", "deep.nrv", "deep.y4m"],
    ],
}
"""Commands by the kind of kernels that they compile; each kind runs beside the others."""


@click.command(help=__doc__)
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--baseline",
    "names",
    multiple=True,
    type=click.Choice([each.name for each in BASELINES]),
    help="Only this baseline.  [default: all]",
)
@click.option("--work", multiple=True, type=click.Choice(list(WORK)), help="Only these commands.")
def main(wheel: Path, names: Sequence[str], work: Sequence[str]) -> None:
    chosen = [each for each in BASELINES if not names or each.name in names]
    click.echo(add_kernels(wheel, chosen, [WORK[kind] for kind in work or WORK]))


def add_kernels(
    wheel: Path, baselines: Sequence[Baseline], work: Sequence[list[list[str]]]
) -> Path:
    """The path of a new wheel with the kernels that lists of commands compile for each baseline.

    The commands find a source, `clip.mkv`, where they run. The lists run beside one another.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = folder / "package"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(package)
        _write_clip(folder / "clip.mkv")
        for baseline in baselines:
            kernels = folder / baseline.name
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                tasks = [
                    pool.submit(_run, commands, package, kernels, baseline, folder)
                    for commands in work
                ]
                for task in tasks:
                    task.result()
            path = package / Path(baseline.path).relative_to(Path(baseline.path).parents[2])
            path.parent.mkdir(exist_ok=True)
            click.echo(f"{baseline.name}: {pack(str(kernels), str(path))} kernels", err=True)
        return _repack(wheel, package)


def _run(
    commands: list[list[str]], package: Path, kernels: Path, baseline: Baseline, folder: Path
) -> None:
    """Run commands with a package; its kernels go to a folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(package),
        "NUMBA_CACHE_DIR": str(kernels),
        "NUMBA_CPU_NAME": baseline.processor,
        "NUMBA_CPU_FEATURES": baseline.feature_list,
    }
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "nvcodec", *command],
            cwd=folder,
            env=environment,
            check=True,
            stderr=subprocess.DEVNULL,
        )


def _write_clip(path: Path) -> None:
    """A moving texture, lossless, with a scene cut."""
    random = np.random.default_rng(1)
    texture = random.integers(0, 256, (_HEIGHT // 8, _WIDTH // 4, 3), np.uint8)
    texture = texture.repeat(8, 0).repeat(8, 1)
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", Fraction(25))
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for number in range(_FRAMES):
            picture = texture[:, 3 * number : 3 * number + _WIDTH]
            picture = picture if number < _FRAMES // 2 else 255 - picture[::-1]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _repack(wheel: Path, package: Path) -> Path:
    """Write a wheel of a folder, named after this platform."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"{python}-{python}-{platform}"
    (info,) = package.glob("*.dist-info")
    text = (info / "WHEEL").read_text()
    text = text.replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    (info / "WHEEL").write_text(text.replace("Tag: py3-none-any", f"Tag: {tag}"))
    record = info / "RECORD"
    files = sorted(path for path in package.rglob("*") if path.is_file() and path != record)
    lines = []
    for path in files:
        data = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(package).as_posix()},sha256={digest},{len(data)}")
    lines.append(f"{record.relative_to(package).as_posix()},,")
    record.write_text("\n".join(lines) + "\n")
    made = wheel.with_name(wheel.name.replace("py3-none-any", tag))
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [*files, record]:
            archive.write(path, path.relative_to(package).as_posix())
    return made


if __name__ == "__main__":
    main()
