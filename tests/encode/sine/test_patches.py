import numpy as np
import pytest
import torch

from nvcodec.encode.sine.patches import GroupPatches
from nvcodec.model.sine.render import coordinates
from nvcodec.model.sine.shape import NetworkShape
from tests.media.clips import noise


@pytest.mark.parametrize("patch", [4, 6, 8])
@pytest.mark.parametrize(("width", "height"), [(32, 24), (37, 21), (1, 1), (7, 9), (8, 8)])
def test_patches_are_slices_with_the_edge_repeated(patch, width, height):
    shape = NetworkShape(patch, 3, 1, 4, 1, 1)
    frames = noise(2, width, height)
    patches = GroupPatches(shape, frames, torch.device("cpu"))
    rows, columns = shape.patches(height), shape.patches(width)
    assert patches.count == rows * columns
    assert patches.frames == 2
    assert patches.samples == 2 * width * height
    inputs, targets = patches.batch(slice(None))
    half = patch // 2
    assert targets.shape == (2, 6, half, half, patches.count)
    for number in range(patches.count):
        py, px = divmod(number, columns)
        assert inputs[0, number] == coordinates(columns)[px] / 32768
        assert inputs[1, number] == coordinates(rows)[py] / 32768
        for t, planes in enumerate(frames):
            expected = []
            for plane, sub in zip(planes, (1, 2, 2), strict=True):
                y = py * patch // sub + np.arange(patch // sub)
                x = px * patch // sub + np.arange(patch // sub)
                tall, wide = plane.shape
                expected.append(plane[np.minimum(y, tall - 1)][:, np.minimum(x, wide - 1)])
            luma, blue, red = expected
            parts = [luma[dy::2, dx::2] for dy in range(2) for dx in range(2)] + [blue, red]
            got = targets[t, ..., number].numpy() + 128
            np.testing.assert_array_equal(got, np.stack(parts))


def test_batches_pick_patches():
    shape = NetworkShape(8, 3, 1, 4, 1, 1)
    patches = GroupPatches(shape, noise(3, 37, 21), torch.device("cpu"))
    inputs, targets = patches.batch(slice(None))
    index = torch.tensor([3, 0, 3])
    some_inputs, some_targets = patches.batch(index)
    assert torch.equal(some_inputs, inputs[:, index])
    assert torch.equal(some_targets, targets[..., index])
