"""Helpers of the tool tests: runs of tools, and the tables that they print."""

import json

from click.testing import CliRunner


def run(command, *arguments, code=0):
    """(what a tool printed, rows of its tables as dictionaries of strings, in their order)."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output, tables(result.stdout)


def tables(text):
    """The rows of each markdown table."""
    found = []
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if lines and all(line.startswith("| ") and line.endswith(" |") for line in lines):
            title, rule, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in lines)
            assert set(rule) == {"---"}
            found.append([dict(zip(title, row, strict=True)) for row in rows])
    return found


def loaded(path, command):
    """The JSON that a tool wrote, which says how."""
    data = json.loads(path.read_text())
    assert data["command"].startswith(f"python -m tools.{command} ")
    assert data["environment"]
    return data
