"""Rendering and resampling on CUDA devices (spec 5, 6, 8, 9, 13): planes stay on the device.

Importing it needs Triton. For the sine model, `kernels` are the kernels, `launch` runs them on
tensors, `renderer` renders groups, and `check` tests the kernels against NumPy. `fusion_kernels`,
`fusion` and `fusion_check` do the same for the fusion network, `synthesis_kernels`, `synthesis` and
`synthesis_check` for the synthesis network of the nirvana model. `planes` and `resample` serve all.

Canvases of the hybrid model: `canvas` makes them, of `units` (`transform_kernels`), `motion`
(`motion_kernels`), `waves` (`intra_kernels`) and filters (`filter_kernels`); `packed` is how they
lie in memory, `canvas_check` their test.
"""
