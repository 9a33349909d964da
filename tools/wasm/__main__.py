"""Writes the WebAssembly module of the player from the decoder in C.

    python -m tools.wasm

See the package for what it needs.
"""

from __future__ import annotations

from pathlib import Path

import click

from tools.wasm import CLANG, MODULE, build, clang_version


@click.command(help=__doc__)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=MODULE)
def main(out: Path) -> None:
    version = clang_version()
    if version is None:
        raise click.ClickException("clang and lld are needed: apt-get install clang lld")
    if version != CLANG:
        click.echo(
            f"clang {version} gives other bytes than clang {CLANG}, that of the tree's module"
        )
    build(out)
    click.echo(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
