"""Both decoders pass the conformance vectors of `spec/vectors`, which one command makes anew."""

from __future__ import annotations

import functools
import io
import re
from pathlib import Path
from typing import Any

import pytest

from nvcodec.decode.decoder import Decoder
from nvcodec.format import (
    CorruptError,
    NrvError,
    OverLimitError,
    TruncatedError,
    UnsupportedError,
    VerificationError,
)
from tools.conform import Outcome, judge
from tools.vectors.coverage import UNBROKEN
from tools.vectors.faulty import all_faults
from tools.vectors.manifest import BYTES, VECTORS, frame_digest, read, valid_entry
from tools.vectors.pack import HYBRID
from tools.vectors.reference import SPEC, reference, tables
from tools.vectors.rules import CLASSES, read_rules
from tools.vectors.valid import Case, all_cases
from tools.vectors.walk import replaced

CLASS_OF: dict[type[NrvError], str] = {
    CorruptError: "corrupt",
    TruncatedError: "truncated",
    VerificationError: "mismatch",
    UnsupportedError: "unsupported",
    OverLimitError: "over limit",
}

# Rules that two clauses state; the decoder may name the other one.
ALSO = {
    "2.2-2": "2.11",
    "2.7-11": "11.4",
    "2.7-12": "7.3",
    "2.7-18": "2.9",
    "2.10-1": "2.7",
}
REFERENCE_ALSO = {"2.3-8": "2.2", "2.7-11": "11.4"}


@functools.cache
def manifest() -> dict[str, Any]:
    return read()


def entries(kind: str) -> list[Any]:
    return [pytest.param(entry, id=entry["file"]) for entry in manifest()[kind]]


def decoded(entry: dict[str, Any], **options: Any) -> tuple[Outcome, NrvError | None]:
    """What our decoder makes of a vector."""
    frames: list[str] = []
    try:
        with Decoder(VECTORS / entry["file"], **options) as decoder:
            frames += (frame_digest(frame.planes) for frame in decoder.frames(verify=True))
    except NrvError as error:
        return Outcome(frames, True, frozenset({CLASS_OF[type(error)]})), error
    return Outcome(frames, False), None


EXECUTORS: list[dict[str, Any]] = [
    {"threads": 1},
    {"threads": 3, "batch": 5},
    {"device": "cuda", "threads": 2},
]


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of a decoder; its CUDA device is Triton's interpreter."""
    if request.param.get("device") == "cuda":
        request.getfixturevalue("interpreted_device")
    return request.param


INTERPRETED = """
hybrid-mono-8 hybrid-444-8 hybrid-422-10 hybrid-420-12
hybrid-network-422-8 hybrid-network-mono-12
hybrid-size-1x1 hybrid-size-9x7 hybrid-size-65x33 hybrid-network-1x1
hybrid-second hybrid-keys hybrid-chroma-offset+12
hybrid-last-quantiser-12 hybrid-large-levels hybrid-large-levels-444-12
hybrid-far-vectors hybrid-copy-bounds hybrid-wild-0 hybrid-curious-422
hybrid-network-modes hybrid-network-changes hybrid-empty
nirvana-mono-12 nirvana-420-8 nirvana-422-10 nirvana-444-12
nirvana-size-1x1 nirvana-size-9x17 nirvana-motion nirvana-quantisers nirvana-large-residuals
nirvana-slices nirvana-components nirvana-wild-components nirvana-no-components nirvana-empty
sine-size-17x9 sine-siting-0 sine-deep sine-large-patch sine-channels sine-heads sine-wide
sine-steps sine-curious
walk-hybrid walk-nirvana encoded-nirvana-slow
"""
"""Valid vectors that Triton's interpreter decodes in the main run: it takes seconds for most.

The others have features of these, at other sizes and depths, or features that the decoder reads
before a device has a part. tests/model/cuda compares the kernels in every format, and runs each of
their lines.
"""


def is_deep(entry: dict[str, Any], options: dict[str, Any]) -> bool:
    """Whether an executor decodes a vector in deep tests only: the interpreter most of them.

    Faults of the container are found by the code that the CPU has too.
    """
    if "device" not in options:
        return False
    if "rule" in entry:
        container = entry["rule"].startswith(("1.", "2."))
        return not entry["frames"] or (container and entry["class"] != "mismatch")
    return Path(entry["file"]).stem not in INTERPRETED.split()


def by_executors(kind: str) -> pytest.MarkDecorator:
    """Parameters of a test: all vectors of a kind with all executors.

    Kernels of the hybrid model for more than 8 bits take long to compile.
    """
    cases = []
    for options in EXECUTORS:
        for entry in manifest()[kind]:
            high = entry.get("model") == HYBRID and entry["bit_depth"] > 8
            marks = [pytest.mark.compiles] if high and options == EXECUTORS[0] else []
            marks += [pytest.mark.deep] if is_deep(entry, options) else []
            cases.append(pytest.param(entry, options, id=f"{entry['file']}-{options}", marks=marks))
    return pytest.mark.parametrize(("entry", "executor"), cases, indirect=["executor"])


@by_executors("valid")
def test_valid(entry: dict[str, Any], executor: dict[str, Any]) -> None:
    outcome, error = decoded(entry, **executor)
    assert judge(entry, outcome) is None, error


@pytest.mark.parametrize("entry", entries("valid"))
def test_views_and_random_access(entry: dict[str, Any]) -> None:
    with Decoder(VECTORS / entry["file"], threads=2) as decoder:
        for view in entry["views"]:
            shown = decoder.frames(size=tuple(view["size"]), crop=tuple(view["crop"]))
            assert [frame_digest(frame.planes) for frame in shown] == view["frames"]
        for number in range(len(entry["frames"]) - 1, -1, -2):
            assert frame_digest(decoder[number].planes) == entry["frames"][number]


@by_executors("faulty")
def test_faulty(entry: dict[str, Any], executor: dict[str, Any]) -> None:
    outcome, error = decoded(entry, **executor)
    assert judge(entry, outcome) is None, error
    if error is not None:
        assert error.rule in (entry["clause"], ALSO.get(entry["rule"]))


def of_reference(entry: dict[str, Any]) -> tuple[Outcome, Any]:
    """What the reference decoder makes of a vector."""
    module, frames = reference(), []
    data = io.BytesIO((VECTORS / entry["file"]).read_bytes())
    try:
        for frame in module.Decoder(data, tables()).decode(None, None):
            frames.append(frame_digest(frame))
    except module.NrvError as error:
        return Outcome(frames, True, frozenset({error.kind})), error
    return Outcome(frames, False), None


@pytest.mark.parametrize("entry", entries("valid"))
def test_valid_by_the_reference(entry: dict[str, Any]) -> None:
    outcome, error = of_reference(entry)
    assert judge(entry, outcome) is None, error


@pytest.mark.parametrize("entry", entries("faulty"))
def test_faulty_by_the_reference(entry: dict[str, Any]) -> None:
    outcome, error = of_reference(entry)
    assert judge(entry, outcome) is None, error
    if error is not None:
        assert error.clause in (entry["clause"], REFERENCE_ALSO.get(entry["rule"]))


def test_the_interpreter_decodes_vectors_of_the_manifest() -> None:
    assert {Path(entry["file"]).stem for entry in manifest()["valid"]} > {*INTERPRETED.split()}


def test_files_are_those_of_the_manifest() -> None:
    listed = {entry["file"] for kind in ("valid", "faulty") for entry in manifest()[kind]}
    files = list(VECTORS.glob("*/*.nrv"))
    assert {path.relative_to(VECTORS).as_posix() for path in files} == listed
    assert sum(path.stat().st_size for path in files) <= BYTES
    assert len(manifest()["valid"]) >= 80
    assert len(manifest()["faulty"]) >= 60


def test_faulty_vectors_are_made_anew() -> None:
    for fault in all_faults():
        path = VECTORS / "faulty" / f"{fault.rule}-{fault.name}.nrv"
        assert path.read_bytes() == fault.data, path.name


COMPOSED = [case for case in all_cases() if not case.name.startswith("encoded")]


@pytest.mark.parametrize("case", COMPOSED[::9], ids=lambda case: case.name)
def test_valid_vectors_are_made_anew(case: Case) -> None:
    made = case.make()
    entry = valid_entry(case, made)
    assert entry in manifest()["valid"]
    assert (VECTORS / entry["file"]).read_bytes() == made.data


def test_rules_are_numbered_in_order() -> None:
    rules = read_rules()
    assert {rule.kind for rule in rules.values()} == set(CLASSES)
    keys = [tuple(map(int, re.split(r"[.-]", number))) for number in rules]
    assert keys == sorted(keys)
    for clause in {rule.clause for rule in rules.values()}:
        numbers = [key[2] for key in keys if clause == f"{key[0]}.{key[1]}"]
        assert numbers == list(range(1, len(numbers) + 1)), clause


def test_faults_are_of_the_rules() -> None:
    rules = read_rules()
    broken = {entry["rule"] for entry in manifest()["faulty"]}
    assert set(rules) - broken == set(UNBROKEN)
    for entry in manifest()["faulty"]:
        rule = rules[entry["rule"]]
        assert (entry["class"], entry["breaks"]) == (rule.kind, rule.text)


def test_the_files_of_the_spec_are_decoded_as_it_says() -> None:
    text = (SPEC / "nrv.md").read_text("utf-8")
    assert replaced(text) == text
    assert text.count("| unit | ") > 10
