"""nvinfo: what a `.nrv` file holds, and where its bytes are."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from nvcodec.cli.outcome import EXIT_CODES_HELP, NOT_NVIDIA, ending, print_version, require_input

COMMAND = "nvinfo"


@click.command(
    COMMAND,
    help=f"""{NOT_NVIDIA}

    List header, units, groups and bytes by kind of FILE, a .nrv file or "-" for standard input.
    Nothing is decoded.
    """,
    epilog=EXIT_CODES_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
@print_version(COMMAND)
@click.argument("source", metavar="FILE")
def main(source: str, as_json: bool) -> None:
    with ending(COMMAND):
        require_input(source)
        from contextlib import nullcontext

        opened = nullcontext(sys.stdin.buffer) if source == "-" else open(source, "rb")  # noqa: SIM115
        with opened as file:
            report: dict[str, Any] = {}
            try:
                _read(file, report)
            finally:
                # What stands before damage is listed too.
                if report:
                    click.echo(json.dumps(report) if as_json else _text(report))


def _read(file: Any, report: dict[str, Any]) -> None:
    from nvcodec.format import (
        LEVELS,
        GroupUnit,
        Limits,
        Metadata,
        NetworkDescription,
        UnitReader,
        located,
    )
    from nvcodec.model.shape import NetworkShape

    top = LEVELS[max(LEVELS)]
    reader = UnitReader(
        file,
        # Listing allocates one unit at a time: the highest level will do.
        Limits(
            max_luma_samples=top.luma_samples,
            max_weights=top.weights,
            max_unit_bytes=top.unit_bytes,
            max_multiplications=top.multiplications,
        ),
    )
    report["header"] = asdict(reader.open())
    groups: list[dict[str, Any]] = []
    report |= {"network": None, "metadata": {}, "groups": groups, "complete": False}
    try:
        for event in reader:
            if isinstance(event, NetworkDescription):
                with located("SIRN", event.offset):
                    shape = NetworkShape.from_payload(event.payload)
                reader.group_length = shape.group_frames
                report["network"] = asdict(shape) | {
                    "weights": shape.weights,
                    "multiplications": shape.multiplications,
                }
            elif isinstance(event, Metadata):
                report["metadata"] |= event.members
            elif isinstance(event, GroupUnit):
                group = event.group
                groups.append(
                    {
                        "offset": event.offset,
                        "first_frame": group.first_frame,
                        "frames": group.frame_count,
                        "key": group.key,
                        "pts": group.first_pts,
                        "bytes": len(group.build()) + 12,
                        "tables": len(group.tables),
                        "content": len(group.content),
                        "motion": len(group.motion),
                        "network": len(group.network),
                        "crc": f"{group.crc:08x}",
                    }
                )
            else:
                report["complete"] = True
    finally:
        kinds = ("tables", "content", "motion", "network")
        report["frames"] = sum(group["frames"] for group in groups)
        report["bytes"] = reader.offset
        substreams = {kind: sum(group[kind] for group in groups) for kind in kinds}
        other = reader.offset - sum(substreams.values())
        report["bytes_by_kind"] = substreams | {"container": other}
        report["network_share"] = (substreams["tables"] + substreams["network"]) / max(
            1, reader.offset
        )


def _text(report: dict[str, Any]) -> str:
    header, network = report["header"], report["network"]
    lines = ["header"]
    lines += [f"  {name:20} {value}" for name, value in header.items()]
    if network:
        lines.append("network")
        lines += [f"  {name:20} {value}" for name, value in network.items()]
    if report["metadata"]:
        lines += ["metadata", f"  {json.dumps(report['metadata'])}"]
    lines.append("groups")
    lines.append("      number     offset  first frame  frames  key      bytes    network     tables")
    for number, group in enumerate(report["groups"]):
        lines.append(
            f"  {number:10} {group['offset']:10} {group['first_frame']:12} {group['frames']:7}"
            f"  {'key' if group['key'] else '   '} {group['bytes']:10} {group['network']:10}"
            f" {group['tables']:10}"
        )
    lines.append("bytes")
    total = max(1, report["bytes"])
    for kind, count in report["bytes_by_kind"].items():
        lines.append(f"  {kind:20} {count:10} {count / total:7.2%}")
    pixels = header["width"] * header["height"] * max(1, report["frames"])
    lines.append(
        f"  {'all':20} {report['bytes']:10} {8 * report['bytes'] / pixels:.4f} bpp,"
        f" {report['frames']} frames, network {report['network_share']:.2%}"
    )
    if not report["complete"]:
        lines.append("the file is not complete")
    return "\n".join(lines)
