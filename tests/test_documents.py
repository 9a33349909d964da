"""The documents name what exists: files, headings, modules, commands and targets."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "spec").glob("*.md"))
)
CHANGES = "CHANGELOG.md"
"""It names what is no more."""


def anchors(path):
    """The fragments that code hosts give to the headings of a document."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in kept}


@pytest.fixture(params=DOCUMENTS)
def document(request):
    """(path of a document, its text)."""
    path = ROOT / request.param
    return path, path.read_text("utf-8")


def test_relative_links(document):
    path, text = document
    broken = []
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        found = path.parent / name if name else path
        if not found.exists() or (fragment and fragment not in anchors(found)):
            broken.append(target)
    assert not broken


def test_commands_of_tools(document):
    path, text = document
    names = set(re.findall(r"python -m (tools\.[\w.]*\w)", text))
    if path.name == CHANGES:
        names.discard("tools.rd")
    assert not [name for name in sorted(names) if importlib.util.find_spec(name) is None]


def test_source_files(document):
    names = re.findall(r"`((?:nvcodec|spec|tests|tools)/[\w/.-]*)`", document[1])
    assert not [name for name in names if not (ROOT / name).exists()]


def test_targets_of_make(document):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"^    make (\w+)(?!\w*=)", document[1], re.MULTILINE)) <= {*targets}


def test_all_decisions_are_listed():
    folder = ROOT / "docs" / "decisions"
    text = (folder / "README.md").read_text("utf-8")
    assert not [p.name for p in folder.glob("0*.md") if f"({p.name})" not in text]
