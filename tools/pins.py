"""Writes the development requirements: the versions of this environment and hashes of their files.

    python -m tools.pins

pip resolves each version anew and says which file it takes for this platform, and the hash of it.
PyTorch is left out: its build, and so its hash, depend on the index and the device.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

import click
from packaging.utils import canonicalize_name

from tools.lib import report

ROOT = Path(__file__).parents[1]
OTHERS = {"nvcodec", "pip", "torch"}
"""Distributions that are not pinned; nor are NVIDIA's libraries, which come with PyTorch."""


@click.command("pins", cls=report.Tool, help=__doc__)
def main() -> None:
    versions = {
        canonicalize_name(found.name): found.version for found in importlib.metadata.distributions()
    }
    pins = [
        f"{name}=={version}"
        for name, version in sorted(versions.items())
        if name not in OTHERS and not name.startswith("nvidia-")
    ]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--report", "-", *pins]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    lines = {}
    for item in found["install"]:
        name = canonicalize_name(item["metadata"]["name"])
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        lines[name] = f"{name}=={item['metadata']['version']} --hash=sha256:{digest}\n"
    version = "".join(platform.python_version_tuple()[:2])
    where = f"{platform.system()}-{platform.machine()}-py{version}".lower()
    path = ROOT / "requirements" / f"{where}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "# What nvcodec is developed with; `make install LOCKED=1` installs it. See SECURITY.md.\n"
        "# Written by `python -m tools.pins`.\n"
        + "\n".join(lines[name] for name in sorted(lines))
        + "\n"
    )
    click.echo(f"{path.relative_to(ROOT)}: {len(lines)} distributions")


if __name__ == "__main__":
    main()
