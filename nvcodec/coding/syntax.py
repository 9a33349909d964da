"""One description of a substream's syntax, compiled into an encoder, a decoder and a tracer.

A syntax is a plain function whose first three parameters are `coder, contexts, buffer` and whose
body holds statements of two forms beside ordinary numba-compatible Python:

    name = bit(context_number, value)      # a bit with a context (spec 3.1)
    name = bypass(value)                   # a bypass bit

and, for a syntax that is part of several others, a function decorated with `part`:

    name = part_name(arguments)            # its statements in place, its last one `return value`

`value` is what an encoder codes; a decoder ignores it and sets `name` to what it reads. Blocks
under `if ENCODING:` exist in the encoder and the tracer only. `compile_syntax` replaces each such
statement by the range coder of spec 3.2 with its state in local variables, which numba keeps in
registers: calling a function for each bit is an order of magnitude slower.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from nvcodec.coding.adaptation import FAST_SHIFT, NEXT_COUNT, SLOW_SHIFT
from nvcodec.coding.carry import shift_low
from nvcodec.compiled import allocating


class Direction(Enum):
    """What a syntax is compiled into."""

    ENCODE = "encode"
    DECODE = "decode"
    TRACE = "trace"


# State of the coder between calls: [low or code, range, cache, pending, position].
STATE_SIZE = 5

_LOAD = """
_low = coder[0]; _range = coder[1]; _cache = coder[2]; _pending = coder[3]; _position = coder[4]
"""
_STORE = """
coder[0] = _low; coder[1] = _range; coder[2] = _cache; coder[3] = _pending; coder[4] = _position
"""

_CONTEXT = """
_context = CONTEXT
_fast = np.int64(contexts[_context, 0])
_slow = np.int64(contexts[_context, 1])
_count = np.int64(contexts[_context, 2])
_bound = (_range >> 16) * ((_fast + _slow) >> 1)
contexts[_context, 2] = _NEXT_COUNT[_count]
"""
_ADAPT_ONE = """
contexts[_context, 0] = _fast + ((65536 - _fast) >> _FAST_SHIFT[_count])
contexts[_context, 1] = _slow + ((65536 - _slow) >> _SLOW_SHIFT[_count])
"""
_ADAPT_ZERO = """
contexts[_context, 0] = _fast - (_fast >> _FAST_SHIFT[_count])
contexts[_context, 1] = _slow - (_slow >> _SLOW_SHIFT[_count])
"""
_ENCODE_NORMALISE = """
while _range < 16777216:
    _range <<= 8
    _low, _cache, _pending, _position = _shift_low(buffer, _low, _cache, _pending, _position)
"""
_DECODE_NORMALISE = """
while _range < 16777216:
    _range <<= 8
    _low = _low << 8
    if _position < buffer.size:
        _low |= np.int64(buffer[_position])
    _position += 1
"""


def _indent(block: str) -> str:
    return textwrap.indent(block.strip("\n"), "    ")


_BIT = {
    Direction.ENCODE: f"""
NAME = VALUE
{_CONTEXT}
if NAME != 0:
    _range = _bound
{_indent(_ADAPT_ONE)}
else:
    _low += _bound
    _range -= _bound
{_indent(_ADAPT_ZERO)}
{_ENCODE_NORMALISE}
""",
    Direction.DECODE: f"""
{_CONTEXT}
if _low < _bound:
    NAME = 1
    _range = _bound
{_indent(_ADAPT_ONE)}
else:
    NAME = 0
    _low -= _bound
    _range -= _bound
{_indent(_ADAPT_ZERO)}
{_DECODE_NORMALISE}
""",
    Direction.TRACE: """
NAME = VALUE
if _position < buffer.size:
    buffer[_position] = 2 * (CONTEXT) + NAME
_position += 1
""",
}
_BYPASS = {
    Direction.ENCODE: f"""
NAME = VALUE
_bound = _range >> 1
if NAME != 0:
    _low += _bound
    _range -= _bound
else:
    _range = _bound
{_ENCODE_NORMALISE}
""",
    Direction.DECODE: f"""
_bound = _range >> 1
if _low >= _bound:
    NAME = 1
    _low -= _bound
    _range -= _bound
else:
    NAME = 0
    _range = _bound
{_DECODE_NORMALISE}
""",
    Direction.TRACE: """
NAME = VALUE
""",
}


class _Substitute(ast.NodeTransformer):
    def __init__(self, names: dict[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.names:
            return node
        replacement = self.names[node.id]
        if isinstance(replacement, ast.Name):
            return ast.Name(replacement.id, node.ctx)
        return replacement


class _Rename(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(f"_part_{node.id}", node.ctx) if node.id in self.names else node


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The parsed source of a function at the top of its file, with the lines of the file."""
    # Not inspect.getsource, which takes tens of milliseconds to find the end of a long function.
    lines, _ = inspect.findsource(function)
    body = ast.parse("".join(lines)).body
    return next(
        node
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    )


class _Expand(ast.NodeTransformer):
    def __init__(self, direction: Direction, names: dict[str, Any]) -> None:
        self.direction = direction
        self.names = names

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "ENCODING":
            return node.orelse if self.direction is Direction.DECODE else node.body
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        raise SyntaxError("a syntax function ends at its last statement: it has no return")

    def visit_Assign(self, node: ast.Assign) -> Any:
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            return node
        target = node.targets[0]
        if call.func.id == "bit":
            template, (context, value) = _BIT[self.direction], call.args
            names = {"NAME": target, "CONTEXT": context, "VALUE": value}
        elif call.func.id == "bypass":
            template, (value,) = _BYPASS[self.direction], call.args
            names = {"NAME": target, "VALUE": value}
        elif getattr(self.names.get(call.func.id), "is_syntax_part", False):
            return self._expand_part(node, call, self.names[call.func.id])
        else:
            return node
        expanded = _Substitute(names).visit(ast.parse(template))
        for statement in expanded.body:
            for child in ast.walk(statement):
                ast.copy_location(child, node)
        return expanded.body

    def _expand_part(
        self, node: ast.Assign, call: ast.Call, function: Callable[..., Any]
    ) -> list[ast.stmt]:
        """The statements of a part in place of `target = part(arguments)`; its locals get names
        of their own.
        """
        definition = _definition(function)
        *body, last = definition.body[1:]
        if not isinstance(last, ast.Return) or last.value is None:
            raise SyntaxError("a part of a syntax has a docstring first and a return last")
        parameters = [argument.arg for argument in definition.args.args]
        assigned = {
            child.id
            for child in ast.walk(definition)
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
        }
        rename = _Rename(assigned | set(parameters))
        statements: list[ast.stmt] = [
            ast.Assign([ast.Name(f"_part_{name}", ast.Store())], argument)
            for name, argument in zip(parameters, call.args, strict=True)
        ]
        statements += [rename.visit(statement) for statement in body]
        statements.append(ast.Assign(node.targets, rename.visit(last.value)))
        expanded = []
        for statement in statements:
            for child in ast.walk(statement):
                ast.copy_location(child, node)
            result = self.visit(statement)
            expanded += result if isinstance(result, list) else [result]
        return expanded


@functools.cache
def compile_syntax(function: Callable[..., None], direction: Direction) -> Callable[..., None]:
    """Compile a syntax function, which is at the top of its file, for one direction.

    The result takes `coder` (int64, STATE_SIZE), `contexts` (int32, n x 3: fast, slow, count),
    `buffer` (uint8 bytes; for TRACE int32, receiving 2 * context + bit) and the syntax's own
    arguments. It is named after the function and the direction, and its code is kept with that of
    the module that defines the function. It takes some hundredths of a second the first time.
    """
    definition = _Expand(direction, function.__globals__).visit(_definition(function))
    definition.name = f"{direction.value}_{function.__name__}"
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    definition.body = [*ast.parse(_LOAD).body, *definition.body, *ast.parse(_STORE).body]
    tree = ast.Module([definition], [])
    namespace = dict(function.__globals__)
    namespace |= {
        "np": np,
        "_shift_low": shift_low,
        "_FAST_SHIFT": FAST_SHIFT,
        "_SLOW_SHIFT": SLOW_SHIFT,
        "_NEXT_COUNT": NEXT_COUNT,
    }
    # Kernels are kept by the file that their code object names.
    exec(compile(tree, inspect.getsourcefile(function) or "<syntax>", "exec"), namespace)
    compiled: Callable[..., None] = allocating(namespace[definition.name])
    return compiled


def part(function: Callable[..., int]) -> Callable[..., int]:
    """Mark a function as part of syntaxes, which have its statements in place of a call."""
    function.is_syntax_part = True  # type: ignore[attr-defined]
    return function


def bit(context: int, value: int) -> int:
    """Stand for a bit with a context inside a syntax function; never called."""
    raise NotImplementedError("only meaningful inside a function given to compile_syntax")


def bypass(value: int) -> int:
    """Stand for a bypass bit inside a syntax function; never called."""
    raise NotImplementedError("only meaningful inside a function given to compile_syntax")


ENCODING = True
"""Stands for 'this is the encoder or the tracer' inside a syntax function."""
