"""nvplay: a page on this machine that plays a `.nrv` file."""

from __future__ import annotations

import contextlib
import threading
import webbrowser

import click

from nvcodec.cli.outcome import (
    EXIT_CODES_HELP,
    NOT_NVIDIA,
    Console,
    ending,
    print_version,
    require_input,
)

COMMAND = "nvplay"


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Play FILE, a .nrv file or the URL of one, in the browser. The page and the file are served to
    this machine alone, until Ctrl-C.
    """,
    short_help="Play a .nrv file in the browser.",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--no-browser", is_flag=True, help="Print the address; open no browser.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to serve at; a free one if not given.",
)
@print_version(COMMAND)
@click.argument("source", metavar="FILE")
def main(source: str, no_browser: bool, port: int) -> None:
    """Serve the page of the player."""
    console = Console(COMMAND)
    with ending(console, source):
        from nvcodec.play.content import open_content
        from nvcodec.play.server import PlayServer

        if "://" not in source:
            require_input(source)
        with PlayServer(open_content(source), port) as server:
            console.result(server.url)
            console.say("nvplay: Ctrl-C ends it")
            if not no_browser:
                # Some browsers run until they are closed, and need the server before.
                opening = threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True)
                opening.start()
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
