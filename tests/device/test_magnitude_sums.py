"""Sums of values and of their magnitudes over planes, against NumPy's of the whole array in float64."""

import numpy as np
import pytest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(5, 4, 3), (40, 33, 35), (0, 3, 2)])
def test_sums_and_magnitudes(device, rng, monkeypatch, shape, order, dtype):
    monkeypatch.setattr("gpuhomog.device.cpu.sums.SHARED_BYTES", 1 << 16)  # several at once, the last ones fewer
    values = np.array(rng.standard_normal(shape), dtype=dtype, order=order)
    for axis in range(3):
        for axes in ((0, 1, 2), (axis,), (2,)):
            found = device.magnitude_sums(device.asarray(values), axis, axes)
            wanted = [values] + [np.abs(values)] * len(axes)
            tolerance = (3e-6 if dtype == np.float32 else 1e-14) * max(1, values.size / max(1, shape[axis]))
            for sums, what, along in zip(found, wanted, (axis, *axes), strict=True):
                others = tuple(i for i in range(3) if i != along)
                assert isinstance(sums, np.ndarray) and sums.dtype == np.float64
                assert np.abs(sums - what.sum(axis=others, dtype=np.float64)).max(initial=0) <= tolerance
