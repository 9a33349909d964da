"""Each dependency has a line in docs/licences.md, none is under the GPL, and each is pinned."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEXT = (ROOT / "docs" / "licences.md").read_text()
PINS = (ROOT / "requirements" / "linux-x86_64-py311.txt").read_text()
OF_OTHERS = ("nvidia-", "cuda-")


def closure(requirements):
    """The installed distributions that requirements lead to, by name."""
    found, seen = {}, set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = ["", *sorted(requirement.extras)]
        if (name, *extras) in seen or name.startswith(OF_OTHERS):
            continue
        seen.add((name, *extras))
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for text in found[name].requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


RUN = closure(PROJECT["dependencies"])
EXTRAS = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
ALL = closure([*PROJECT["dependencies"], *EXTRAS])


def listed(text):
    return set(re.findall(r"^\| ([a-z0-9-]+) \| \S", text, re.MULTILINE)) - {"distribution"}


def test_every_dependency_has_a_licence():
    run, _, rest = TEXT.partition("## To develop")
    assert len(RUN) > 20
    assert set(RUN) <= listed(run)
    assert set(ALL) - set(RUN) <= listed(rest) | listed(run)


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_dependency_is_under_the_gpl(name):
    metadata = ALL[name].metadata
    # Some give the whole text, which speaks of other licences too.
    text = (metadata.get("License") or "").strip()
    said = [metadata.get("License-Expression"), text.partition("\n")[0]]
    said += [text for text in metadata.get_all("Classifier") or () if text.startswith("License")]
    words = " ".join(text for text in said if text)
    assert words
    assert not re.search(r"\b[AL]?GPL|General Public License", words), words


def test_development_requirements_are_pinned_and_hashed():
    lines = [line for line in PINS.splitlines() if not line.startswith("#")]
    form = r"([a-z0-9-]+)==[\w.+!-]+ --hash=sha256:[0-9a-f]{64}"
    matches = [re.fullmatch(form, line) for line in lines]
    assert all(matches), lines
    names = [match[1] for match in matches]
    assert names == sorted(set(names))
    # PyTorch's build, and so its hash, depends on the index.
    assert set(ALL) - {"torch"} <= set(names)
