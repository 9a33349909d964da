"""Integer arithmetic that Triton kernels of several networks share."""

import triton
import triton.language as tl


@triton.jit
def clip(value, most):
    """Clip(-most, most, value)."""
    return tl.minimum(tl.maximum(value, -most), most)


@triton.jit
def hidden_unit(acc, shift):
    """Hidden (spec 9.4) of sums that have half of 2^shift added, for rounding."""
    value = acc >> shift
    return clip(tl.maximum(value, value >> 3), 4095)
