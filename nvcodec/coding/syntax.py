"""One description of a substream's syntax, compiled into an encoder, a decoder and a tracer.

A syntax is a plain function whose first three parameters are `coder, contexts, buffer`. Its body is
ordinary Numba-compatible Python, with statements of two more forms:

    name = bit(context_number, value)      # a bit with a context (spec 3.1)
    name = bypass(value)                   # a bypass bit

An encoder codes `value`; a decoder ignores it and sets `name` to the bit that it reads. Blocks
under `if ENCODING:` or `if ENCODING and ...:` exist in the encoder and the tracer only.
`compile_syntax` replaces each such statement by a call into the range coder (`bits`), which becomes
part of the compiled code. The coder's state is in local variables, which Numba keeps in registers.

A section of a long syntax, or one that several syntaxes share, is a module-level function with the
decorator `part`. A syntax or another part uses it in one of the statements

    name = part_name(arguments)            # its last statement is `return value`
    name, other = part_name(arguments)     # ... `return value, other_value`
    part_name(arguments)                   # it has no return

`compile_syntax` replaces the statement by the part's statements, so that the compiled code is one
function. Parameters are passed by value, but arrays are shared as in any call. Variables that a
part assigns are local to it. A `return` is allowed at the end only; so a part cannot leave a loop
of its caller, and the caller tests the part's result instead.
"""

from __future__ import annotations

import ast
import functools
import inspect
import marshal
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import CodeType
from typing import Any, TypeVar

from nvcodec.coding.bits import decode_bit, decode_bypass, encode_bit, encode_bypass
from nvcodec.compiled import kernel, stored

_Function = TypeVar("_Function", bound=Callable[..., Any])


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

# The code of one bit: `_context` is its context, `NAME` the coded or decoded bit.
_BIT = {
    Direction.ENCODE: """
_low, _range, _cache, _pending, _position = _encode_bit(
    buffer, contexts, _context, NAME, _low, _range, _cache, _pending, _position
)
""",
    Direction.DECODE: """
NAME, _low, _range, _position = _decode_bit(buffer, contexts, _context, _low, _range, _position)
""",
    Direction.TRACE: """
if _position < buffer.size:
    buffer[_position] = 2 * _context + NAME
_position += 1
""",
}
_BYPASS = {
    Direction.ENCODE: """
_low, _range, _cache, _pending, _position = _encode_bypass(
    buffer, NAME, _low, _range, _cache, _pending, _position
)
""",
    Direction.DECODE: """
NAME, _low, _range, _position = _decode_bypass(buffer, _low, _range, _position)
""",
    Direction.TRACE: "",
}


_CODER = {
    "_encode_bit": encode_bit,
    "_encode_bypass": encode_bypass,
    "_decode_bit": decode_bit,
    "_decode_bypass": decode_bypass,
}
"""Globals of compiled syntaxes."""


@functools.cache
def _statements(text: str) -> list[ast.stmt]:
    """The statements of one of the texts above. Trees share them, so they must not be modified."""
    return ast.parse(text).body


def _assign(targets: list[ast.expr], value: ast.expr) -> ast.stmt:
    return ast.copy_location(ast.Assign(targets, value), value)


def _set(name: str, value: ast.expr) -> ast.stmt:
    return _assign([ast.copy_location(ast.Name(name, ast.Store()), value)], value)


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The parsed source of a module-level function, with the line numbers of its file."""
    # inspect.getsource would take tens of milliseconds to find the end of a long function.
    lines, start = inspect.findsource(function)
    start += next(k for k, line in enumerate(lines[start:]) if line.startswith("def "))
    end = start + 1
    while end < len(lines) and lines[end][0] in " \n)":
        end += 1
    definition = ast.parse("\n" * start + "".join(lines[start:end])).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if documented else body


class _Expansion:
    """Expands statements for one direction.

    Adds the globals of parts to `namespace`, and to `of_parts` the modules that they are from.
    """

    def __init__(self, direction: Direction, namespace: dict[str, Any]) -> None:
        self.direction = direction
        self.namespace = namespace
        self.of_parts: dict[str, str] = {}

    def expand(self, body: list[ast.stmt], names: dict[str, Any]) -> list[ast.stmt]:
        """The expanded statements of `body`, whose function has the globals `names`."""
        return [made for statement in body for made in self._one(statement, names)]

    def _one(self, statement: ast.stmt, names: dict[str, Any]) -> list[ast.stmt]:
        if isinstance(statement, ast.Return):
            raise SyntaxError("only the last statement of a part is a return")
        if isinstance(statement, ast.If) and _of_encoder(statement.test):
            if self.direction is Direction.DECODE:
                return self.expand(statement.orelse, names)
            if not isinstance(statement.test, ast.BoolOp):
                return self.expand(statement.body, names)
            del statement.test.values[0]
            if len(statement.test.values) == 1:
                statement.test = statement.test.values[0]
        if isinstance(statement, ast.If | ast.For | ast.While):
            statement.body = self.expand(statement.body, names) or _statements("pass")
            statement.orelse = self.expand(statement.orelse, names)
            return [statement]
        if not isinstance(statement, ast.Assign | ast.Expr):
            return [statement]
        call = statement.value
        if not isinstance(call, ast.Call):
            return [statement]
        name = _identifier(call.func)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if name == "bit":
            context, value = call.args
            before = [_set("_context", context)]
            return self._bit(_BIT[self.direction], before, value, targets)
        if name == "bypass":
            (value,) = call.args
            return self._bit(_BYPASS[self.direction], [], value, targets)
        if getattr(names.get(name), "is_syntax_part", False):
            return self._part(names[name], call.args, targets)
        return [statement]

    def _bit(
        self, text: str, before: list[ast.stmt], value: ast.expr, targets: list[ast.expr]
    ) -> list[ast.stmt]:
        name = _identifier(targets[0]) if targets else ""
        if not name:
            raise SyntaxError("a bit has a name")
        if self.direction is not Direction.DECODE:
            before = [_set(name, value), *before]
        return [*before, *_statements(text.replace("NAME", name))]

    def _part(
        self, function: Callable[..., Any], arguments: list[ast.expr], targets: list[ast.expr]
    ) -> list[ast.stmt]:
        definition = _definition(function)
        body = _without_docstring(definition.body)
        result = None
        if isinstance(last := body[-1], ast.Return):
            body, result = body[:-1], last.value
        if (result is None) != (not targets):
            raise SyntaxError(f"{function.__name__}: a part with names to set has a return last")
        used = [
            node for line in definition.body for node in ast.walk(line) if type(node) is ast.Name
        ]
        assigned = {node.id for node in used if isinstance(node.ctx, ast.Store)}
        new = {name: f"_{function.__name__}_{name}" for name in assigned}
        statements: list[ast.stmt] = []
        for parameter, argument in zip(definition.args.args, arguments, strict=True):
            name = parameter.arg
            if isinstance(argument, ast.Name) and name not in assigned:
                # Reuse the name: a second one for an array would add reference counting.
                new[name] = argument.id
            else:
                new[name] = f"_{function.__name__}_{name}"
                statements.append(_set(new[name], argument))
        for node in used:
            if node.id in new:
                node.id = new[node.id]
            elif node.id in function.__globals__:
                self._share(node.id, function)
        statements += self.expand(body, function.__globals__)
        if result is not None:
            statements.append(_assign(targets, result))
        return statements

    def _share(self, name: str, function: Callable[..., Any]) -> None:
        value = function.__globals__[name]
        if name not in self.namespace:
            self.of_parts[name] = function.__module__
        if self.namespace.setdefault(name, value) is not value:
            raise SyntaxError(f"{name} is one thing in a syntax and another in a part of it")


def _identifier(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _of_encoder(test: ast.expr) -> bool:
    """Whether a test is `ENCODING`, or `ENCODING and` others."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        test = test.values[0]
    return _identifier(test) == "ENCODING"


@functools.cache
def compile_syntax(function: Callable[..., None], direction: Direction) -> Callable[..., None]:
    """Compile a syntax, which is a module-level function, for one direction.

    The result takes `coder` (int64, STATE_SIZE), `contexts` (int32, n x 3: fast, slow, count),
    `buffer` (uint8 bytes; for TRACE int32, receiving 2 * context + bit) and the syntax's own
    arguments. Like every `kernel` it makes no arrays. It is named after the function and the
    direction, and its code is kept with that of the module that defines the function, its bytecode
    too.
    """
    key = f"syntax {direction.value}"
    code, of_parts = marshal.loads(stored(function, key, partial(_expanded, function, direction)))
    namespace = function.__globals__ | _CODER
    for name, module in of_parts.items():
        namespace[name] = vars(sys.modules[module])[name]
    # Kernels are cached by the file name in their code object.
    exec(_in_file(code, inspect.getsourcefile(function) or "<syntax>"), namespace)
    compiled: Callable[..., None] = kernel(namespace[_name(function, direction)])
    return compiled


def _name(function: Callable[..., None], direction: Direction) -> str:
    return f"{direction.value}_{function.__name__}"


def _expanded(function: Callable[..., None], direction: Direction) -> bytes:
    """The bytecode of a syntax, and the modules of the globals that its parts add, by name."""
    expansion = _Expansion(direction, function.__globals__ | _CODER)
    definition = _definition(function)
    body = expansion.expand(_without_docstring(definition.body), function.__globals__)
    definition.name = _name(function, direction)
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    definition.body = [*_statements(_LOAD), *body, *_statements(_STORE)]
    tree = ast.Module([definition], [])
    return marshal.dumps((compile(tree, "<syntax>", "exec"), expansion.of_parts))


def _in_file(code: CodeType, path: str) -> CodeType:
    """Code, and what is in it, with the name of a file."""
    constants = [_in_file(c, path) if isinstance(c, CodeType) else c for c in code.co_consts]
    return code.replace(co_filename=path, co_consts=tuple(constants))


def part(function: _Function) -> _Function:
    """Mark a function as part of syntaxes: its statements are expanded in place of a call."""
    function.is_syntax_part = True  # type: ignore[attr-defined]
    return function


def bit(context: int, value: int) -> int:
    """Placeholder of a bit with a context in a syntax function; never called."""
    raise NotImplementedError("only meaningful inside a function given to compile_syntax")


def bypass(value: int) -> int:
    """Placeholder of a bypass bit in a syntax function; never called."""
    raise NotImplementedError("only meaningful inside a function given to compile_syntax")


ENCODING = True
"""Placeholder in a syntax function: true in the encoder and the tracer, false in the decoder."""
