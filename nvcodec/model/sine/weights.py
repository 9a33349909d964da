"""The weights of a group (spec 4.3 to 4.5): from substreams and the group before it, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from construct import ConstructError, Int8ul, Int16ul, Struct

from nvcodec.coding.sine.weights import Matrix, decode_differences, encode_differences
from nvcodec.format.errors import CorruptError
from nvcodec.model.sine.shape import MAX_BIAS, Layer, NetworkShape

T6 = (16384, 18390, 20643, 23170, 26008, 29193)
MAX_STEP = 143
MAX_BIAS_SHIFT = 20
BIAS_KIND = 0

Tensor = npt.NDArray[np.int32]

_RECORD = Struct(
    "step" / Int8ul,
    "bias_shift" / Int8ul,
    "weight_bound" / Int16ul,
    "bias_bound" / Int16ul,
)


@dataclass(frozen=True)
class LayerParameters:
    """The parameters of one layer (spec 4.3), constant from one key group to the next."""

    step: int
    bias_shift: int
    weight_bound: int
    bias_bound: int

    @property
    def scale(self) -> int:
        """`Scale` of spec 4.3, below 2^38."""
        return T6[self.step % 6] << (self.step // 6)

    def check(self, layer: Layer) -> None:
        """Raise CorruptError when a field breaks its rule for this layer."""
        for name, value, most in (
            ("step", self.step, MAX_STEP),
            ("bias_shift", self.bias_shift, MAX_BIAS_SHIFT),
            ("weight_bound", self.weight_bound, layer.max_weight),
            ("bias_bound", self.bias_bound, MAX_BIAS),
        ):
            if not 0 <= value <= most:
                raise CorruptError(f"{name} {value} is outside 0..{most}", rule="4.3")


@dataclass(frozen=True)
class GroupWeights:
    """Integer weights of one group: `tensors` holds weights and bias of each layer in turn.

    Weight tensors are int32 (rows, columns), biases int32 (rows,).
    """

    shape: NetworkShape
    parameters: tuple[LayerParameters, ...]
    tensors: tuple[Tensor, ...]

    def shifted_bias(self, number: int) -> npt.NDArray[np.int64]:
        """`bias << bias_shift` of layer `number` (spec 5.2 to 5.4): int64 (rows,)."""
        bias: npt.NDArray[np.int64] = self.tensors[2 * number + 1].astype(np.int64)
        return bias << self.parameters[number].bias_shift


def default_tensor(index: int, shape: tuple[int, ...], bound: int) -> Tensor:
    """The default tensor number `index` (spec 4.3): int32 values in -bound..bound."""
    count = int(np.prod(shape))
    x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9)
    x = (x + np.uint64((index * 0x85EBCA6B + 1) & 0xFFFFFFFF)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    spread = ((x >> np.uint64(16)) * np.uint64(2 * bound + 1)) >> np.uint64(16)
    return (spread.astype(np.int32) - np.int32(bound)).reshape(shape)


def default_weights(
    shape: NetworkShape, parameters: tuple[LayerParameters, ...]
) -> tuple[Tensor, ...]:
    """The tensors that a key group of these parameters starts from (spec 4.3)."""
    tensors = []
    for number, (layer, record) in enumerate(zip(shape.layers, parameters, strict=True)):
        size = (layer.rows, layer.columns)
        tensors.append(default_tensor(2 * number, size, record.weight_bound))
        tensors.append(default_tensor(2 * number + 1, size[:1], record.bias_bound))
    return tuple(tensors)


def check_weights(weights: GroupWeights) -> None:
    """Raise CorruptError when a weight breaks its range (spec 4.4) or a row its bound (4.5)."""
    for number, layer in enumerate(weights.shape.layers):
        matrix, bias = weights.tensors[2 * number : 2 * number + 2]
        if int(np.abs(matrix).max()) > layer.max_weight or int(np.abs(bias).max()) > MAX_BIAS:
            raise CorruptError(f"a weight of layer {number} is out of range", rule="4.4")
        if row_sums(weights, number).max() >= layer.bound:
            raise CorruptError(f"layer {number} exceeds its bound", rule="4.5")


def row_sums(weights: GroupWeights, number: int) -> npt.NDArray[np.int64]:
    """The sum that spec 4.5 bounds, for each row of layer `number`."""
    layer = weights.shape.layers[number]
    shifted = np.abs(weights.shifted_bias(number))
    if number == 0:
        return shifted
    sums: npt.NDArray[np.int64] = np.abs(weights.tensors[2 * number]).sum(axis=1, dtype=np.int64)
    return sums * layer.max_input + shifted


def _start(
    shape: NetworkShape,
    previous: GroupWeights | None,
    parameters: tuple[LayerParameters, ...] | None,
) -> tuple[tuple[LayerParameters, ...], tuple[Tensor, ...]]:
    if parameters is not None:
        return parameters, default_weights(shape, parameters)
    if previous is None:
        raise CorruptError("a group that is not a key group has no group before it", rule="2.7")
    return previous.parameters, previous.tensors


def rebuild_weights(
    shape: NetworkShape,
    previous: GroupWeights | None,
    key: bool,
    tables: bytes,
    network: bytes,
) -> GroupWeights:
    """Decode a group's weights (spec 4.4) from its substreams and the group before it.

    `previous` is ignored for a key group. Raises CorruptError.
    """
    parameters = None
    if key:
        length = _RECORD.sizeof()
        records = []
        for number, layer in enumerate(shape.layers):
            try:
                fields = _RECORD.parse(network[number * length : (number + 1) * length])
            except ConstructError as error:
                raise CorruptError("network substream too short", rule="4.3") from error
            record = LayerParameters(
                fields.step, fields.bias_shift, fields.weight_bound, fields.bias_bound
            )
            record.check(layer)
            records.append(record)
        parameters = tuple(records)
        network = network[length * len(records) :]
    parameters, start = _start(shape, previous, parameters)
    zeros = tuple(np.zeros_like(tensor) for tensor in start)
    matrices = _matrices(shape, zeros)
    decode_differences(tables, network, matrices)
    tensors = tuple(
        base + matrix.reshape(base.shape) for base, (_, matrix) in zip(start, matrices, strict=True)
    )
    weights = GroupWeights(shape, parameters, tensors)
    check_weights(weights)
    return weights


def code_weights(weights: GroupWeights, previous: GroupWeights | None) -> tuple[bytes, bytes]:
    """Code a group's weights; returns its tables and network substreams (spec 4.4).

    `previous` None makes it a key group. Raises CorruptError when the weights do not conform.
    """
    check_weights(weights)
    shape = weights.shape
    head = b""
    if previous is None:
        for layer, record in zip(shape.layers, weights.parameters, strict=True):
            record.check(layer)
            head += _RECORD.build(vars(record))
    elif previous.parameters != weights.parameters:
        raise ValueError("layer parameters change in key groups only")
    parameters = weights.parameters if previous is None else None
    _, start = _start(shape, previous, parameters)
    tables, coded = encode_differences(differences(weights, start))
    return tables, head + coded


def differences(weights: GroupWeights, start: tuple[Tensor, ...]) -> list[tuple[int, Matrix]]:
    """The differences `weights` - `start`, with their kinds and in the order of coding."""
    tensors = tuple(new - old for new, old in zip(weights.tensors, start, strict=True))
    return _matrices(weights.shape, tensors)


def _matrices(shape: NetworkShape, tensors: tuple[Tensor, ...]) -> list[tuple[int, Matrix]]:
    """Tensors as matrices with their kinds; a bias is a matrix of one row."""
    kinds = (kind for layer in shape.layers for kind in (layer.kind, BIAS_KIND))
    return [
        (kind, np.ascontiguousarray(np.atleast_2d(tensor)))
        for kind, tensor in zip(kinds, tensors, strict=True)
    ]
