"""Makes the conformance vectors, `spec/vectors`, anew: the same bytes in each run.

Those that the encoder makes are the same as long as it is.

Appendix E of the spec, which decodes two of them byte by byte, is written anew too.
"""

from __future__ import annotations

from pathlib import Path

import click

from tools.vectors.faulty import all_faults
from tools.vectors.manifest import BYTES, VECTORS, faulty_entry, valid_entry, write
from tools.vectors.rules import read_rules
from tools.vectors.valid import all_cases
from tools.vectors.walk import write_appendix


@click.command(help=__doc__)
@click.option("--folder", type=click.Path(path_type=Path), default=VECTORS, show_default=True)
def main(folder: Path) -> None:
    rules = read_rules()
    files: dict[str, bytes] = {}
    valid, faulty = [], []
    for case in all_cases():
        made = case.make()
        valid.append(valid_entry(case, made))
        files[valid[-1]["file"]] = made.data
        click.echo(f"{len(made.data):8} {case.name}", err=True)
    for fault in all_faults():
        faulty.append(faulty_entry(fault, rules[fault.rule]))
        files[faulty[-1]["file"]] = fault.data
    for names in (valid, faulty):
        if len({entry["file"] for entry in names}) != len(names):
            raise click.ClickException("two vectors have the same name")
    size = sum(map(len, files.values()))
    if size > BYTES:
        raise click.ClickException(f"{size} bytes of vectors, more than {BYTES}")
    write(folder, files, {"format_version": 0, "valid": valid, "faulty": faulty})
    if folder == VECTORS:
        write_appendix()
    click.echo(f"{len(valid)} valid and {len(faulty)} faulty vectors, {size} bytes, in {folder}")


if __name__ == "__main__":
    main()
