"""nvenc: a video in, a `.nrv` file out."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from nvcodec.cli import arguments, batch
from nvcodec.cli.outcome import (
    EXIT_CODES_HELP,
    NOT_NVIDIA,
    Console,
    compilation_told,
    ending,
    print_version,
    require_memory,
    require_output,
    require_video,
    standard_input,
)
from nvcodec.options import (
    CRF_RANGE,
    DEFAULTS,
    DEVICES,
    FORMATS,
    GROUP_SIZES,
    HYBRID_GROUP,
    METRICS,
    MODELS,
    NETWORKS,
    PRESETS,
    TUNES,
)
from nvcodec.words import counted

COMMAND = "nvenc"

LEAST_MEMORY = 768
"""MiB that the libraries alone take, most of it reserved and not used."""

_MOST_FILES = 8
"""Most files that are read at the same time, with jobs; all jobs have segments then."""


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    Encode the video IN to OUT, a .nrv file. IN is anything FFmpeg's libraries read: a file, a URL,
    images such as img_%04d.png, or "-" for Y4M on standard input; OUT is a path or "-". After
    Ctrl-C, OUT holds the groups that were finished. With --output-dir, each IN becomes a file of
    that folder.
    """,
    short_help="Encode a video.",
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default=DEFAULTS.model,
    show_default=True,
    help="hybrid: coded pictures and motion, with a small trained network on top. nirvana:"
    " features of patches, rendered by a trained network of the format.",
)
@click.option(
    "--crf",
    type=click.FloatRange(*CRF_RANGE),
    callback=arguments.finite,
    default=DEFAULTS.crf,
    show_default=True,
    help="Quality; lower is better and bigger.",
)
@click.option(
    "--bitrate",
    metavar="BITS",
    callback=arguments.amount,
    help="Bits per second of the file, such as 500k, in place of --crf; two passes.",
)
@click.option(
    "--size",
    metavar="BYTES",
    callback=arguments.whole_amount,
    help="Most bytes of the file, such as 8M, in place of --crf; two passes.",
)
@click.option(
    "--target",
    metavar="METRIC=VALUE",
    callback=arguments.target,
    help="Quality, psnr=38 or ssim=0.98, in place of --crf; searched on samples of the video.",
)
@click.option(
    "--max-bitrate",
    metavar="BITS",
    callback=arguments.amount,
    help="Most bits per second in any 2 seconds of the video; quality falls where it must.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default=DEFAULTS.preset,
    show_default=True,
    help="Effort; paper is the recipe of arXiv 2212.14593, for nirvana with --network paper.",
)
@click.option(
    "--tune",
    type=click.Choice(TUNES),
    default=DEFAULTS.tune,
    show_default=True,
    help="What quality is: the least squared error, or what the eye sees (hybrid).",
)
@click.option(
    "--network",
    type=click.Choice(NETWORKS),
    default=DEFAULTS.network,
    show_default=True,
    help="Fusion network of hybrid: trained for each group (auto too), fixed, or off. nirvana:"
    " that of the format (auto), or paper, that of arXiv 2212.14593, trained anew.",
)
@click.option(
    "--group-size",
    type=click.IntRange(*GROUP_SIZES),
    help=f"Frames of a group.  [default: up to {HYBRID_GROUP}, by content; nirvana: 4]",
)
@click.option(
    "--key-interval",
    type=click.FloatRange(min=0, min_open=True),
    callback=arguments.finite,
    default=DEFAULTS.key_interval,
    show_default=True,
    help="Seconds between key groups.",
)
@click.option(
    "--format",
    "format_",
    metavar="NAME",
    help=f"Samples to code, of the formats of the model: {', '.join(FORMATS)}. With --raw the"
    " format of IN, any that FFmpeg names.  [default: what keeps most of IN; --raw: yuv420p]",
)
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    default=DEFAULTS.skip,
    help="Frames to leave out first.",
)
@click.option("--frames", type=click.IntRange(min=1), help="Frames to encode.  [default: all]")
@click.option("--strict", is_flag=True, help="Exit with 3 if IN ends early; else nvenc says so.")
@click.option("--deinterlace", is_flag=True, help="Make interlaced frames progressive (bwdif).")
@click.option(
    "--raw",
    metavar="WxH",
    callback=arguments.picture_size,
    help="IN is raw video of this size, without a header.",
)
@click.option(
    "--fps",
    metavar="N[/D]",
    callback=arguments.rate,
    help="Frames per second of --raw or of an image sequence.  [default: 25]",
)
@click.option(
    "--tracks",
    metavar="WHICH",
    callback=arguments.tracks,
    default=DEFAULTS.tracks,
    show_default=True,
    help="Tracks to carry beside the video: all, none, or kinds (audio, subtitle, data) and"
    " stream numbers of IN, with commas between them.",
)
@click.option("--no-audio", "audio", flag_value=False, default=DEFAULTS.audio, help="No audio.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=DEFAULTS.jobs,
    show_default=True,
    help="Processes that encode segments, from key group to key group, side by side; the bytes are"
    " the same.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    callback=arguments.address,
    help="Cluster of dask.distributed whose workers encode segments, such as tcp://host:8786.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of each job; the bytes do not depend on them, but with --network paper, where"
    " another number may give others.  [default: the cores shared by the jobs; paper: 1]",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default=DEFAULTS.device,
    show_default=True,
    help="Where networks are trained.",
)
@click.option(
    "--metrics",
    metavar="M[,M...]",
    callback=arguments.metrics,
    default=",".join(DEFAULTS.metrics),
    show_default=True,
    help=f"Qualities to report: {', '.join(METRICS)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on standard output.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a stopped encode from its finished segments; keep them if this encode stops"
    " too.",
)
@click.option("-y", "--yes", is_flag=True, help="Overwrite OUT; without --resume, start over.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@print_version(COMMAND)
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Encode many IN to DIR/NAME.nrv; without IN, those that standard input lists.",
)
@click.argument("paths", nargs=-1, metavar="IN OUT")
def main(
    paths: tuple[str, ...],
    output_dir: Path | None,
    as_json: bool,
    yes: bool,
    quiet: bool,
    format_: str | None,
    **options: Any,
) -> None:
    """Encode with these arguments."""
    if options["raw"] is not None:
        options["pixel_format"] = format_
    elif format_ in (None, *FORMATS):
        options["sample_format"] = format_
    else:
        raise click.UsageError(f"--format {format_!r} is not one of {', '.join(FORMATS)}")
    if output_dir is not None:
        console = Console(COMMAND, quiet=quiet, as_json=as_json)
        with ending(console, str(output_dir)):
            require_memory(LEAST_MEMORY)
            code = _encode_many(paths, output_dir, options, yes, console)
        sys.exit(code)
    source, output = arguments.two_paths(paths)
    if as_json and output == "-":
        raise click.UsageError("--json and OUT '-' both want standard output")
    console = Console(COMMAND, quiet=quiet, as_json=as_json)
    with ending(console, source):
        require_memory(LEAST_MEMORY)
        require_output(source, output, (".nrv",), "'-'")
        require_video(source)
        from nvcodec.cli.encode_report import EncodeReport
        from nvcodec.encode.encoder import encode

        report = EncodeReport(console, output)
        complete = False
        try:
            with compilation_told(
                console,
                "encoder",
                report.clear,
                threads=options["threads"],
                usual=options["model"] == DEFAULTS.model,
            ):
                encode(
                    standard_input() if source == "-" else source,
                    output,
                    overwrite=yes,
                    observer=report,
                    **options,
                )
            complete = True
        finally:
            report.close(complete)


def _encode_many(
    sources: Sequence[str],
    folder: Path,
    options: dict[str, Any],
    overwrite: bool,
    console: Console,
) -> int:
    """Encode all sources to a folder; gives the exit code."""
    queue = batch.items(sources, folder, ".nrv")
    from nvcodec.encode.encoder import encode_video
    from nvcodec.encode.result import Observer
    from nvcodec.encode.segments.workers import Pool
    from nvcodec.options import EncodeOptions, validate
    from nvcodec.version import fingerprint

    resume = options["resume"]
    asked = EncodeOptions(**options)._replace(overwrite=True)
    validate(asked)
    # What no byte depends on.
    free = ("threads", "jobs", "scheduler", "resume", "overwrite", "strict")
    basis = {k: v for k, v in asked._asdict().items() if k not in free and v is not None}
    basis |= {k: str(v) for k, v in basis.items() if isinstance(v, Fraction)}
    basis["nvcodec"] = fingerprint()
    with contextlib.ExitStack() as stack:
        pool = None
        if asked.jobs > 1 or asked.scheduler is not None:
            pool = stack.enter_context(Pool(asked.jobs, asked.scheduler))

        def encode(source: str, output: str) -> tuple[dict[str, Any], str]:
            require_video(source)
            result = encode_video(source, output, asked, Observer(), pool)
            notes = [note.record() for note in result.notes]
            made = {"frames": result.frames, "bytes": result.bytes, "notes": notes}
            return made, f"{counted(result.frames, 'frame')}, {result.bytes} bytes"

        with compilation_told(console, "encoder", lambda: None):
            return batch.run(
                queue,
                folder,
                basis,
                encode,
                console,
                verb="encoded",
                resume=resume,
                overwrite=overwrite,
                at_once=1 if pool is None else min(pool.capacity, _MOST_FILES),
                stop=lambda: None if pool is None else pool.stop(),
            )
