"""Rendering and resampling on CUDA devices (spec 5, 6, 9): planes stay on the device.

Importing it needs Triton. For the sine model, `kernels` are the kernels, `launch` runs them on
tensors, `renderer` renders groups, and `check` tests the kernels against NumPy. `fusion_kernels`,
`fusion` and `fusion_check` do the same for the fusion network. `resample` serves both.
"""
