"""Feeds mutated inputs to all that reads them, and keeps those with which something goes wrong.

    python -m tools.fuzz --cases 1000
    python -m tools.fuzz --targets reader,parsers --cases 400000 --processes 2 --findings DIR
    python -m tools.fuzz --targets rebuild,render,differential --bounds --cases 20000
    python -m tools.fuzz --targets reader --replay FILE

An input goes wrong that ends in an error which no command knows, takes more than 2 s or much
memory, loses frames before its damage, or gives other frames by threads, pipes or random access.
The seed and the number of a case decide its bytes.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import click

from tools.fuzz import seeds
from tools.fuzz.processes import replayed, shared
from tools.fuzz.targets import TARGETS, Corpus, Input
from tools.lib import report


@click.command("fuzz", cls=report.Tool, help=__doc__)
@click.option("--targets", default=",".join(TARGETS), show_default=True, help="What to feed.")
@click.option("--cases", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first case.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all cases.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--bounds", is_flag=True, help="Check the bounds of arrays in kernels; it is slow.")
@click.option(
    "--findings",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("findings"),
    show_default=True,
    help="Where to keep inputs that go wrong.",
)
@click.option("--replay", type=click.Path(exists=True, path_type=Path), help="Feed this file.")
def main(
    targets: str,
    cases: int,
    first: int,
    seed: int,
    processes: int,
    bounds: bool,
    findings: Path,
    replay: Path | None,
) -> None:
    names = targets.split(",")
    if unknown := set(names) - set(TARGETS):
        raise click.UsageError(f"no targets: {', '.join(sorted(unknown))}")
    corpus = Corpus(seeds.bitstreams(), seeds.media())
    if bounds:
        # Cases run in processes of their own, which compile for it. Seeds are made without.
        os.environ.update(NUMBA_BOUNDSCHECK="1", NUMBA_OPT="0")
    if replay is not None:
        suffix = replay.suffix
        item = Input(
            replay.read_bytes(),
            suffix if suffix in (".nrv", *seeds.MEDIA_SUFFIXES) else suffix[1:],
        )
        for finding in replayed(names, item, corpus):
            click.echo(f"{finding.target} {finding.number}: {finding.place}\n{finding.details}")
        return
    wrong = 0
    for name in names:
        begun = time.monotonic()
        found = Counter[str]()
        for finding in shared(name, seed, first, cases, processes, corpus):
            found[finding.place] += 1
            if found[finding.place] <= 3:
                findings.mkdir(parents=True, exist_ok=True)
                path = finding.save(findings)
                click.echo(f"{name} {finding.number}: {finding.place}: {path}")
        seconds = time.monotonic() - begun
        wrong += found.total()
        click.echo(f"{name}: {cases} inputs, {found.total()} wrong, {cases / seconds:.0f} a second")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
