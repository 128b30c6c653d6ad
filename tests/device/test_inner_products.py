"""Inner products of two sets of rows, against exact sums one by one."""

from math import fsum

import numpy as np
import pytest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "others", "n"), [(1, 1, 1), (3, 5, 257), (4, 2, 0)])
def test_inner_products(device, rng, rows, others, n, dtype):
    a, b = (rng.standard_normal((count, n)).astype(dtype) for count in (rows, others))
    found = device.inner_products(device.asarray(a), device.asarray(b))
    assert isinstance(found, np.ndarray) and found.dtype == np.float64 and found.shape == (rows, others)
    exact = [[fsum(float(x) * float(y) for x, y in zip(one, other, strict=True)) for other in b] for one in a]
    assert np.abs(found - exact).max() <= max(n, 1) * np.finfo(dtype).eps * 4
