"""Vector operations in LLVM IR: kernels work on several neighbouring elements at once.

`Vectors` emits the instructions of one Numba intrinsic. `operation` makes a vector intrinsic from a
function that uses them. The IR is the same for any processor. It is written by hand because LLVM
hardly ever vectorises loops over short rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from nvcodec.compiled import intrinsic_of_literals, types
from nvcodec.target import option

WORD = ir.IntType(32)
INDEX = ir.IntType(64)

PLACE = "int64"
NUMBER = "int32"
REAL = "float32"
"""Numba's types of numbers, by name."""


def check_places(context: Any, builder: Any, array: Any, first: Any, count: int) -> None:
    """With NUMBA_BOUNDSCHECK, raise IndexError unless an array has `count` elements from `first`.

    `array` is what Numba's `make_array` gives. Without that setting nothing is emitted.
    """
    if option("BOUNDSCHECK"):
        from numba.core import cgutils

        for place in (first, builder.add(first, constant(count - 1))):
            cgutils.do_boundscheck(  # type: ignore[no-untyped-call]
                context, builder, place, array.nitems
            )


def constant(value: int, element: Any = INDEX) -> Any:
    """A single integer that is known at compile time."""
    return ir.Constant(element, value)


class Vectors:
    """Emits code for vectors of `lanes` elements; integers have 32 bits unless said otherwise."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes

    def vector(self, element: Any = WORD) -> Any:
        """The vector type of an element type."""
        return ir.VectorType(element, self.lanes)

    def same(self, value: float, element: Any = WORD) -> Any:
        """A constant in all elements."""
        return ir.Constant(self.vector(element), [value] * self.lanes)

    def splat(self, value: Any) -> Any:
        """A value in all elements."""
        blank = ir.Constant(self.vector(value.type), ir.Undefined)
        single = self.builder.insert_element(blank, value, ir.Constant(WORD, 0))
        return self.builder.shuffle_vector(single, blank, self.same(0))

    def read(self, pointer: Any, element: Any = WORD) -> Any:
        """Load `lanes` elements from a pointer."""
        pointer = self.builder.bitcast(pointer, self.vector(element).as_pointer())
        return self.builder.load(pointer, align=_bytes(element))

    def write(self, value: Any, pointer: Any) -> None:
        """Store `lanes` elements at a pointer."""
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, pointer, align=_bytes(value.type.element))

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an LLVM function that returns type `result`."""
        function = self.builder.module.globals.get(name) or ir.Function(
            self.builder.module,
            ir.FunctionType(result, [argument.type for argument in arguments]),
            name,
        )
        return self.builder.call(function, arguments)

    def clip(self, value: Any, low: int, high: int) -> Any:
        """Elements clipped to low..high."""
        return self.between(value, self.same(low), self.same(high))

    def between(self, value: Any, least: Any, most: Any) -> Any:
        """Elements clipped to those of two vectors."""
        value = self.builder.select(self.builder.icmp_signed("<", value, least), least, value)
        return self.builder.select(self.builder.icmp_signed(">", value, most), most, value)

    def word(self, low: Any, high: Any) -> Any:
        """32-bit words of the low 16 bits of `low` (in the low half) and of `high`."""
        low = self.builder.and_(low, self.same(0xFFFF))
        return self.builder.or_(low, self.builder.shl(high, self.same(16)))

    def part(self, value: Any, numbers: Sequence[int]) -> Any:
        """The elements of these numbers of a vector, in their order."""
        order = ir.Constant(ir.VectorType(WORD, len(numbers)), list(numbers))
        return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)

    def sum(self, value: Any) -> Any:
        """The sum of all elements, by adding halves; their number is a power of two."""
        real = isinstance(value.type.element, ir.FloatType)
        add = self.builder.fadd if real else self.builder.add
        lanes = value.type.count
        while lanes > 1:
            lanes //= 2
            value = add(*(self.part(value, range(k, k + lanes)) for k in (0, lanes)))
        return self.builder.extract_element(value, constant(0, WORD))


class Operands(Vectors):
    """The arguments of an `operation`, by name, and vectors from its arrays.

    The argument after an array is its place: the number of the element that loads and stores begin
    at, unless another place is given.
    """

    def __init__(
        self, context: Any, builder: Any, names: list[str], signature: Any, args: Any
    ) -> None:
        super().__init__(builder, signature.args[0].literal_value)
        self._context = context
        self._types = dict(zip(names, signature.args, strict=True))
        self._args = dict(zip(names, args, strict=True))
        self._places = dict(zip(names, args[1:], strict=False))

    def __getitem__(self, name: str) -> Any:
        return self._args[name]

    def type(self, name: str) -> Any:
        """Numba's type of an argument."""
        return self._types[name]

    def element(self, array: str) -> Any:
        """The type of an array's elements, which are integers."""
        return ir.IntType(self._types[array].dtype.bitwidth)

    def pointer(self, array: str, place: Any = None, count: int = 1) -> Any:
        """A pointer to `count` elements of an array."""
        made = self._context.make_array(self._types[array])(
            self._context, self.builder, self._args[array]
        )
        data = self.builder.bitcast(made.data, self.element(array).as_pointer())
        place = self._places[array] if place is None else place
        check_places(self._context, self.builder, made, place, count)
        return self.builder.gep(data, [place])

    def load(self, array: str, bits: int = 32, place: Any = None, offset: int = 0) -> Any:
        """Elements from place + offset on; those of fewer than `bits` bits are widened to that."""
        if offset:
            place = self.builder.add(self._places[array], constant(offset))
        own = self.element(array)
        value = self.read(self.pointer(array, place, self.lanes), own)
        if own.width == bits:
            return value
        widen = self.builder.sext if self._types[array].dtype.signed else self.builder.zext
        return widen(value, self.vector(ir.IntType(bits)))

    def store(self, value: Any, array: str) -> None:
        """Store elements at an array's place, truncated to the type of its elements."""
        own = self.element(array)
        if value.type != self.vector(own):
            value = self.builder.trunc(value, self.vector(own))
        self.write(value, self.pointer(array, count=self.lanes))

    def number(self, value: Any, bits: int = 32) -> Any:
        """A vector of `bits`-bit integers that all equal `value`."""
        element = ir.IntType(bits)
        if value.type.width > bits:
            value = self.builder.trunc(value, element)
        elif value.type.width < bits:
            value = self.builder.sext(value, element)
        return self.splat(value)

    def rounded(self, value: Any, shift: Any) -> Any:
        """RShift(value, shift); shift > 0 is a Python integer or a 32-bit value of the code."""
        if isinstance(shift, int):
            half, shift = self.same(1 << (shift - 1)), self.same(shift)
        else:
            one = constant(1, WORD)
            half = self.splat(self.builder.shl(one, self.builder.sub(shift, one)))
            shift = self.splat(shift)
        return self.builder.ashr(self.builder.add(value, half), shift)


def operation(generate: Callable[[Operands], None], **kinds: Any) -> Any:
    """A function that kernels can call; `generate` emits its code.

    Its first argument is the number of elements, a literal. `kinds` are the other arguments, in
    order: None for an array or tuple, which is passed as it is, else the Numba type, by name, that
    a number is cast to. It returns nothing and checks places with NUMBA_BOUNDSCHECK only.
    """
    names = ["width", *kinds]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        generate(Operands(context, builder, names, signature, args))
        return context.get_dummy_value()

    def typed(context: Any, width: Any, *arguments: Any) -> tuple[Any, Callable[..., Any]]:
        given = zip(arguments, kinds.values(), strict=True)
        cast = (a if kind is None else getattr(types, kind) for a, kind in given)
        return types.void(width, *cast), code

    typed.__name__ = generate.__name__
    # Numba reads the argument names and does not accept *arguments.
    typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("context", *names)]
    )
    return intrinsic_of_literals(typed)


def _bytes(element: Any) -> int:
    return 4 if isinstance(element, ir.FloatType) else element.width // 8
