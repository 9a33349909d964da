"""`python -m nvcodec nvenc|nvdec|nvinfo|nvplay`: the commands without their scripts."""

from __future__ import annotations

from nvcodec.cli import start

if __name__ == "__main__":
    start.module()
