"""The integer network on CUDA devices (spec 5 and 6): weights to planes that stay on the device.

Importing it needs Triton. `kernels` are the kernels, `launch` their use on tensors, `renderer` and
`resample` what decoding calls, `check` their test against NumPy.
"""
