"""The stand-in for CuPy refuses what CuPy refuses."""

import numpy as np
import pytest
from cupy_like import CuPyLike, DeviceArray

xp = CuPyLike()
there, here = xp.asarray(np.ones((2, 3))), np.ones((2, 3))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: there + here,
        lambda: here + there,
        lambda: np.add(there, here),
        lambda: np.asarray(there),
        lambda: np.concatenate([there, here]),
        lambda: xp.concatenate([there, here]),
        lambda: xp.sum(here),
        lambda: there[np.array([0, 1])],
        lambda: there.__setitem__(slice(None), here),
        lambda: there.tolist(),
        lambda: xp.errstate(over="ignore"),
    ],
)
def test_refused(wrong):
    with pytest.raises((TypeError, AttributeError)):
        wrong()


def test_allowed():
    assert isinstance(there.sum(), DeviceArray) and float(there.sum()) == 6
    assert isinstance(np.float64(2) * there, DeviceArray) and isinstance(np.sqrt(there), DeviceArray)
    assert isinstance(there[0, 0], DeviceArray) and isinstance(xp.fft.rfftn(there), DeviceArray)
    there[1] = there[0] * 2.0
    assert there.get().tolist() == [[1, 1, 1], [2, 2, 2]] and there.flags.c_contiguous
    there[...] = 1.0
    assert isinstance(abs(-there) > 0, DeviceArray) and bool(xp.isnan(there).any()) is False
