"""What the box filter is compared with: matrices of whole windows, in float64."""

import numpy as np

from gpuhomog.operators.averages.line_weights import window_of

SHAPES = [(5, 7, 11), (13, 6, 32), (1, 1, 1), (2, 19, 3), (67, 3, 4), (3, 2, 131), (11, 70, 1)]
WIDTHS = [(3.0, 1.0, 2.5), (4.37, 12.2, 5.0), (30.5, 17.25, 64.5)]


def field(shape, dtype, order="C"):
    values = 1.0 + np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.array(values, dtype=dtype, order=order)


def matrix(window, n):
    """(n, n) weights of a window on a periodic axis, one sample after another."""
    weights = np.zeros((n, n))
    for i, w in enumerate([*window.head, *[1.0] * window.inside, *window.tail]):
        weights[np.arange(n), (np.arange(n) + window.start + i) % n] += w * window.scale
    return weights


def dense(values, windows):
    """The filter by matrix products, float64."""
    out = values.astype(np.float64)
    for axis, window in enumerate(windows):
        if window is not None:
            out = np.moveaxis(np.tensordot(matrix(window, out.shape[axis]), out, (1, axis)), 0, axis)
    return out


def tolerance(values, windows):
    """Two roundings an axis at the size of the sum, and those of the ends' weights and of their partial sums."""
    gain = np.prod([1.0 if w is None else np.abs([*w.head, *w.tail]).sum() * w.scale + 1.0 for w in windows])
    return 12 * np.finfo(values.dtype).eps * np.abs(values).max() * gain


def assert_is_filtered(found, values, windows):
    assert np.abs(found - dense(values, windows)).max() <= tolerance(values, windows)


def windows_of(widths, q):
    """Windows centred at each point; None where the ends would overlap."""
    return tuple(window_of(w, 0.0, 1, q) for w in widths)
