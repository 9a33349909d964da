"""Every tool is a command with a help text, and is listed in the index."""

import importlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

TOOLS = Path(__file__).parents[2] / "tools"
COMMANDS = sorted(
    ".".join(path.relative_to(TOOLS.parent).with_suffix("").parts).removesuffix(".__main__")
    for path in TOOLS.rglob("*.py")
    if '\nif __name__ == "__main__":\n' in path.read_text(encoding="utf-8")
)


def test_index():
    text = (TOOLS / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `python -m (tools[\w.]+)", text, re.M)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    module = importlib.import_module(command)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{command}.__main__")
    result = CliRunner().invoke(module.main, ["--help"])
    assert result.exit_code == 0, result.output
    # One line of the text is a call of it.
    assert f"  python -m {command}" in result.output
