"""What the conformance vectors reach of the spec.

    python -m tools.vectors.coverage

The reference decoder decodes all of them while it is watched: which requirements of Appendix A are
broken, which lines it runs, clause by clause, which contexts take both values, and which entries of
the tables are used. It has a line for what is not reached.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import click
import numpy as np

from tools.vectors.compose import numbered, pending
from tools.vectors.manifest import VECTORS, read
from tools.vectors.reference import SPEC, reference, tables
from tools.vectors.rules import read_rules

SOURCE = SPEC / "reference" / "nrvdec.py"

UNBROKEN = {
    "2.7-17": "its file would need groups of four thousand million frames",
}
"""Why a requirement has no faulty vector."""

UNREACHED = {
    "raise AssertionError": "what cannot be",
    "raise ValueError": "a damaged data file of the decoder's own",
    "return 0": "Bucket(1): the prices of table 1 are higher",
}
"""Why a line of the reference decoder is not reached, by how it begins."""

NEVER = {
    "": "a g above that of any weight within its maximum",
    "MotionStream": "SPLIT and HALVED of 64 in Set 0, HALVED of halves of 16 x 8, and a few"
    " that are rare",
    "ContentStream": "LAST above 2 * log2(n) - 2, SIG of the last place of a 4 x 4 unit, 112, and"
    " a few that are rare",
    "Substream": "none",
    "PathStream": "TAKE(2, 0): rare",
    "ResidualStream": "buckets of prices that table 1 does not give, and NUMBER beside more patches"
    " of more slices than random ones have",
    "ComponentStream": "a g above that of any value within -127..127",
}
"""What the contexts of a stream that are never used stand for."""

OUTSIDE = {"main", "integers", "parse", "signed32", "Tables", "Fusion.__init__", "bounded"}
"""Functions of the reference decoder that judge its own tables and options."""


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


class Watch:
    """What a run of the reference decoder reaches."""

    def __init__(self) -> None:
        self.left: dict[tuple[str, int], set[int]] = {}
        self.contexts: set[tuple[str, int, int]] = set()
        self.tables: dict[str, np.ndarray] = {}

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """For `sys.settrace`: notes lines of the reference decoder until none is left."""
        code = frame.f_code
        if code.co_filename != str(SOURCE):
            return None
        key = code.co_qualname, code.co_firstlineno
        if key not in self.left:
            found = {line for _, _, line in code.co_lines() if line}
            self.left[key] = found - {code.co_firstlineno}
        left = self.left[key]
        if not left:
            return None

        def local(frame: FrameType, event: str, argument: object) -> Any:
            left.discard(frame.f_lineno)
            return local if left else None

        return local

    def table(self, name: str, array: np.ndarray) -> np.ndarray:
        """An array that notes which of its rows are read."""
        hits = self.tables.setdefault(name, np.zeros(len(array), np.bool_))

        class Watched(np.ndarray):
            def __getitem__(self, index: Any) -> Any:
                hits[index[0] if isinstance(index, tuple) else index] = True
                return np.asarray(self).__getitem__(index)

        return array.view(Watched)


@contextmanager
def watching(watch: Watch) -> Iterator[Any]:
    """The reference decoder with its contexts and tables watched."""
    module, found = reference(), tables()
    decoder = module.RangeDecoder

    class Watcher(decoder):  # type: ignore[misc, valid-type]
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self.name, self.numbers = "", dict(pending)

        def bit(self, context: list[int]) -> int:
            bit = int(super().bit(context))
            watch.contexts.add((self.name, self.numbers.get(id(context), -1), bit))
            return bit

    own = {"SINE": "sine", "GELU": "gelu", "KERNEL": "kernel", "CUBIC": "cubic"}
    own["BETA_TABLE, TC_TABLE"] = "deblocking"
    kept = {name: getattr(found, name) for name in own.values()}
    constants = {name: getattr(module, name) for name in ("MOVE", "ACTIVITY", "STEP")}
    start = module.NirvanaTable.__init__

    def begin(self: Any, given: Any) -> None:
        start(self, given)
        self.log = watch.table("LOG", self.log)

    for name, attribute in own.items():
        setattr(found, attribute, watch.table(name, kept[attribute]))
    for name, value in constants.items():
        setattr(module, name, watch.table(name, value))
    module.NirvanaTable.__init__ = begin
    try:
        with numbered(Watcher):
            yield module
    finally:
        module.NirvanaTable.__init__ = start
        for name, value in kept.items():
            setattr(found, name, value)
        for name, value in constants.items():
            setattr(module, name, value)


def watch_vectors() -> Watch:
    """Decode all vectors, and the views of valid ones, with the reference decoder."""
    watch, manifest = Watch(), read()
    entries = [*manifest["valid"], *manifest["faulty"]]
    with watching(watch) as module:
        for entry in entries:
            data = (VECTORS / entry["file"]).read_bytes()
            views = [(None, None)]
            views += [(view["size"], view["crop"]) for view in entry.get("views", ())[-1:]]
            for size, crop in views:
                sys.settrace(watch.trace)
                try:
                    for _ in module.Decoder(io.BytesIO(data), tables()).decode(size, crop):
                        pass
                except module.NrvError:
                    pass
                finally:
                    sys.settrace(None)
    return watch


def clauses_of_functions() -> dict[tuple[str, int], str]:
    """The first clause that the docstring of each function names, else that of its class."""
    found: dict[tuple[str, int], str] = {}

    def visit(node: ast.AST, before: str, clause: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                named = re.search(r"\b(\d+\.\d+|clauses? \d+)\b", ast.get_docstring(child) or "")
                own = named.group(1).rpartition(" ")[2] if named else clause
                line = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                if isinstance(child, ast.FunctionDef):
                    found[before + child.name, line] = own
                within = "" if isinstance(child, ast.ClassDef) else "<locals>."
                visit(child, f"{before}{child.name}.{within}", own)
            else:
                visit(child, before, clause)

    visit(ast.parse(SOURCE.read_text("utf-8")), "", "-")
    return found


def line_table(watch: Watch) -> tuple[dict[str, list[int]], list[tuple[str, int, str]]]:
    """Lines reached and there of each clause, and (clause, line, text) of those not reached."""
    text = SOURCE.read_text("utf-8").splitlines()
    clauses = clauses_of_functions()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    missing = []
    whole = compile(SOURCE.read_text("utf-8"), str(SOURCE), "exec")
    for code in code_objects(whole):
        key = code.co_qualname, code.co_firstlineno
        name = code.co_qualname
        if key not in clauses or any(name == o or name.startswith(f"{o}.") for o in OUTSIDE):
            continue
        lines = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
        left = watch.left.get(key, lines)
        counts[clauses[key]][0] += len(lines) - len(left)
        counts[clauses[key]][1] += len(lines)
        missing += [(clauses[key], line, text[line - 1].strip()) for line in sorted(left)]
    return dict(counts), missing


STREAMS = {
    "": "model 1, network",
    "MotionStream": "model 2, motion",
    "ContentStream": "model 2, content",
    "Substream": "model 2, network",
    "PathStream": "model 3, motion",
    "ResidualStream": "model 3, content",
    "ComponentStream": "model 3, network",
}


def sizes_of_streams() -> dict[str, int]:
    """The number of contexts of each stream."""
    found = tables()
    lists = {
        "": found.contexts,
        "MotionStream": found.motion_contexts,
        "ContentStream": found.content_contexts,
        "Substream": found.fusion_contexts,
        "PathStream": found.path_contexts,
        "ResidualStream": found.residual_contexts,
        "ComponentStream": found.component_contexts,
    }
    return {name: len(contexts) for name, contexts in lists.items()}


def ranges(numbers: list[int]) -> str:
    """A list of numbers as ranges."""
    parts: list[str] = []
    for number in numbers:
        if parts and int(parts[-1].rpartition("..")[2]) == number - 1:
            parts[-1] = f"{parts[-1].partition('..')[0]}..{number}"
        else:
            parts.append(str(number))
    return ", ".join(parts) or "none"


def print_rules() -> None:
    """The requirements, and how many faulty vectors break each."""
    broken: dict[str, int] = defaultdict(int)
    for entry in read()["faulty"]:
        broken[entry["rule"]] += 1
    rules = read_rules()
    reached = sum(number in broken for number in rules)
    click.echo(f"Requirements: {reached} of {len(rules)} broken by a faulty vector")
    for number, rule in rules.items():
        why = "" if number in broken else f"  not reached: {UNBROKEN.get(number, 'NO REASON')}"
        click.echo(f"  {number:8} {broken[number]:3} {rule.text}{why}")


@click.command(help=__doc__)
def main() -> None:
    print_rules()
    watch = watch_vectors()
    counts, missing = line_table(watch)
    click.echo("Lines of the reference decoder, by the clause of their function: reached, all")
    for clause, (reached, lines) in sorted(counts.items(), key=lambda item: order(item[0])):
        click.echo(f"  {clause:8} {reached:4} {lines:4}")
    for clause, line, text in missing:
        why = next((why for start, why in UNREACHED.items() if text.startswith(start)), "NO REASON")
        click.echo(f"  not reached, {clause}: line {line}: {text}: {why}")
    click.echo("Contexts: both values, one value, never used")
    for stream, size in sizes_of_streams().items():
        values = [
            {bit for bit in (0, 1) if (stream, k, bit) in watch.contexts} for k in range(size)
        ]
        both, one = (sum(len(v) == n for v in values) for n in (2, 1))
        click.echo(f"  {STREAMS[stream]:18} {both:5} {one:5} {size - both - one:5}")
        never = ranges([k for k, v in enumerate(values) if not v])
        click.echo(f"    never: {never} ({NEVER[stream]})")
        click.echo(f"    one: {ranges([k for k, v in enumerate(values) if len(v) == 1])}")
    click.echo("Tables: entries used, all")
    for name, hits in watch.tables.items():
        click.echo(f"  {name:22} {int(hits.sum()):5} {len(hits):5}")


def order(clause: str) -> list[int]:
    """A key that sorts clauses by number."""
    return [int(number) for number in re.findall(r"\d+", clause)]


if __name__ == "__main__":
    main()
