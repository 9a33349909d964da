"""All commands as one: `python -m nvcodec nvenc|nvdec|nvinfo|nvplay`."""

from __future__ import annotations

import click

from nvcodec.cli import nvdec, nvenc, nvinfo, nvplay
from nvcodec.cli.outcome import NOT_NVIDIA, print_version


@click.group(help=NOT_NVIDIA, context_settings={"help_option_names": ["-h", "--help"]})
@print_version("nvcodec")
def main() -> None:
    """Choose a command."""


main.add_command(nvenc.main)
main.add_command(nvdec.main)
main.add_command(nvinfo.main)
main.add_command(nvplay.main)
