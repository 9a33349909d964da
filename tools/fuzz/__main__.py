"""Feeds mutated inputs to all that reads them, and keeps those with which something goes wrong.

    python -m tools.fuzz --cases 1000
    python -m tools.fuzz --targets reader,parsers --cases 400000 --processes 2 --findings DIR
    python -m tools.fuzz --targets reader --replay FILE

An input goes wrong that ends in an error which no command knows, takes more than 2 s or much
memory, loses frames before its damage, or gives other frames by threads, pipes or random access.
The seed and the number of a case decide its bytes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import click

from tools.fuzz import seeds
from tools.fuzz.processes import shared
from tools.fuzz.run import examined
from tools.fuzz.targets import TARGETS, Corpus, Input
from tools.lib import report


@click.command("fuzz", cls=report.Tool, help=__doc__)
@click.option("--targets", default=",".join(TARGETS), show_default=True, help="What to feed.")
@click.option("--cases", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--first", type=int, default=0, show_default=True, help="Number of the first case.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all cases.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True)
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
    findings: Path,
    replay: Path | None,
) -> None:
    names = targets.split(",")
    if unknown := set(names) - set(TARGETS):
        raise click.UsageError(f"no targets: {', '.join(sorted(unknown))}")
    corpus = Corpus(seeds.bitstreams(), seeds.media())
    if replay is not None:
        _replay(names, replay, corpus)
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


def _replay(names: list[str], path: Path, corpus: Corpus) -> None:
    suffix = path.suffix if path.suffix in (".nrv", *seeds.MEDIA_SUFFIXES) else path.suffix[1:]
    for name in names:
        for number in range(20):
            item = Input(path.read_bytes(), suffix)
            finding = examined(name, number, item, random.Random(number), corpus)
            if finding is not None:
                click.echo(f"{name} {number}: {finding.place}\n{finding.details}")


if __name__ == "__main__":
    main()
