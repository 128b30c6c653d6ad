"""Every kernel once on small odd sizes, on a GPU, for NVIDIA's checker to look at:

    compute-sanitizer --tool memcheck --error-exitcode 1 python tests/kernels/sanitize.py
    compute-sanitizer --tool racecheck --error-exitcode 1 python tests/kernels/sanitize.py taps modes

The words are families below; without any, all of them. What the kernels compute is the other tests' business. Run it
once without the checker before, so that compiling is not part of it. Fails if a kernel of a source was not launched, or
an instance where these differ in how threads share memory, unless families were chosen; `ladder/` is not asked for.
"""

import re
import sys
import time

import numpy as np

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.device.decode import PADDING, FixedWidth
from gpuhomog.device.gpu.sources import instances, kernel_files
from gpuhomog.device.gpu.spectral import fixed_lengths
from gpuhomog.device.gpu.taps import VECTORS, WINDOWS
from gpuhomog.fft import AlongAxes, Derivative, Multiplier, OfWavevector
from gpuhomog.operators.averages.line_weights import Window
from gpuhomog.operators.potentials import cylinder_fit, cylinder_table

OBLIQUE = np.array([[3.0, 0.0], [0.8, 2.6]])
METRIC = np.diag([0.7, 0.6, 0.9])
EVERY_INSTANCE = {"planar_moments.cu", "taps.cu", "fft_lines.cu", "box_rings.cu", "box_together.cu"}
"""Sources whose instances differ in how threads share memory."""


def noise(shape, dtype):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


class Taps:
    """A window of taps along one axis."""

    def __init__(self, n, first, decimation):
        self.weights, self.first, self.decimation = np.full(n, 1 / n), first, decimation


def sums(gpu, dtype):
    values = gpu.asarray(noise((7, 5, 131), dtype))
    for some in (values, gpu.asarray(noise((3, 5, 128), dtype))):
        gpu.planar_sum(some, 1)
        gpu.planar_moments(some, 4, 0.5)
    gpu.plane_family_sum(values, (1, 2, 3), 35)
    gpu.extrema(values)


def windows(gpu, dtype):
    values = gpu.asarray(noise((12, 16, 24), dtype))
    box = Window(-3, 4, (0.3,), 5, (0.7,), 1 / 6)
    gpu.window_sum(values, 1, box, 4)
    for powers in (1, 2):
        gpu.box_sums(values, [(box, box, box)], powers, 0.5)
    for step in (8, 16):
        some = gpu.asarray(noise((16, 2 * step, 3 * step), dtype))
        for kinds in range(1, 5):
            coarse = [Window(-3, step, (0.3,), 3 + k, (0.7,), 1 / 6) for k in range(kinds)]
            coarse += [Window(-3 - step, step, (0.3,), 3 + 2 * step, (0.7,), 1 / 6)]  # with the ends of the first
            for powers in (1, 2):
                gpu.box_sums(some, [[box] * 3 for box in coarse], powers, 0.5)
    ends = tuple(np.linspace(0.1, 0.9, 9))
    for shape in ((9, 7, 35), (6, 5, 32)):
        some = gpu.asarray(noise(shape, dtype))
        for head, tail in (((0.3,), (0.7,)), (ends, ends[::-1]), (ends, ends)):
            one = Window(-7, 1, head, 3, tail, 0.1)
            gpu.box_filter(some, (one, one, one))
            gpu._box_by_rings(some, gpu._rings(some, (one, one, one), len(head)), (one, one, one), len(head))
    odd = gpu.asarray(noise((9, 7, 35), dtype))
    for axis in range(3):
        gpu.running_extrema(odd, axis, -2, 5)


def taps(gpu, dtype):
    for n, d in ((11, 2), (5, 1)):
        line = Taps(n, -3, d)
        values = gpu.asarray(noise((6, 10, 14), dtype))
        gpu.expand_taps(gpu.contract_taps(values, (line, line, line)), (line, line, line))
    one, vector = Taps(1, 0, 1), VECTORS[np.dtype(dtype).name]
    for shape, cells in [((2, 32, 32), cells) for cells in WINDOWS[vector]] + [((1, 8, 2304), 4)]:
        values = gpu.asarray(noise(shape, dtype))
        for first in (-4, -3):  # rows that end with a step, and that do not
            line = Taps(2 * cells, first, 2)
            gpu.expand_taps(gpu.contract_taps(values, (one, line, line)), (one, line, line))
    for shape in ((6, 27, 35), (6, 103, 20)):  # planes in parts, the last one shorter
        slow = Taps(7, -2, 3), one, one
        gpu.expand_taps(gpu.contract_taps(gpu.asarray(noise(shape, dtype)), slow), slow)


def modes(gpu, dtype):
    for shape in ((5, 7, 9), (12, 6, 8), (96, 3, 5), (256, 2, 3)):
        values = gpu.asarray(noise(shape, dtype))
        parts = [OfWavevector(METRIC, gh.Gaussian(2.0).transform), Derivative(METRIC, np.array([0.3, -0.5, 0.8]))]
        tables = [AlongAxes([lambda n: np.exp(-0.1 * n * n), None, lambda n: np.sinc(n / 5)])]
        gpu.filter(values, [Multiplier(shape, parts, True), Multiplier(shape, tables)])
        gpu._multiply(gpu.rfftn(values), Multiplier(shape, parts, True), 1.0)
        slab, wide = gpu.rfft_planes(values), (shape[0], 3 * shape[1], shape[2])
        gpu.irfft_planes(gpu.filter_lines(slab, Multiplier(wide, parts, True), shape[1]), shape)
    for n in fixed_lengths("float" if dtype == np.float32 else "double"):
        values = gpu.asarray(noise((n, 2, 3), dtype))
        gpu.filter(values, [Multiplier(values.shape, parts, True)])


def cylinders(gpu, dtype):
    values = gpu.asarray(noise((13, 6, 9), dtype))
    for section in (4, 6) if dtype == np.float32 else (6, 8, 10):
        fit = cylinder_fit.march_fit(OBLIQUE, (6, 9), 0.4, 13, 1.9, sections=[section])
        gpu.cylinder_march(values, fit)
        slab = gpu.rfft_planes(values[3:10])
        ends = gpu.march_end_states(slab, fit, planes=slice(3, 10))
        gpu.march_modes(slab, fit, planes=slice(3, 10), incoming=gpu.march_incoming(ends, fit, [7]))
    gpu.cylinder_convolve(values, cylinder_table.cylinder_table(OBLIQUE, (6, 9), 0.4, 13, 1.9))
    disc = cylinder_table.disc_points(OBLIQUE / 6, 1.1)
    gpu.cylinder_sum(values, np.array([[0, 0, 0], [12, 5, 8], [6, 3, 4]]), disc, 0.4, 3.0)


def intervals(gpu, dtype):
    values = gpu.asarray(noise((5, 7, 9), dtype))
    for axis in range(3):
        gpu.interval_moments(values, [-0.5, 2.25, 4.0, 4.75], [0.0, 3.0, 4.5], axis=axis)


def ranges(gpu, dtype):
    values = gpu.asarray(noise((5, 7, 35), dtype))
    ball = np.array([(a, b, -w, 2 * w + 1) for a, b, w in ((0, 0, 2), (1, 0, 1), (-1, 0, 1), (0, 1, 2), (0, -1, 1))])
    ends = np.array([(-1, 0, 0, -2, 0, 0, 0.25), (0, 0, 3, 0, 0, 4, 0.6)])
    for every in (1, 3):
        gpu.window_ranges(values, ball, ends, (True, False, False), every)


def features(gpu, dtype):
    values = gpu.asarray(noise((5, 7, 11), dtype))
    none, along, aside = [0.0] * 3, [0.6, 0.0, 0.8], [0.0, 1.0, 0.0]
    kinds = ((0.0, none, none), (1.0, along, none), (2.0, along, aside), (3.0, none, none))
    rows = np.array([[kind, 0.8, 0.2, 0.5, 0.7, 1.0, 1.6, *first, *second] for kind, first, second in kinds])
    reached = np.array([[[0, 4], [-3, 3], [2, 10]]] * len(rows))
    steps = np.array([[0.5, 0.05, 0.0], [-0.1, 0.4, 0.02], [0.03, 0.0, 0.45]])
    gpu.smooth_sums(values, rows, reached, np.zeros(3), steps, (5, 7, 11))


def shells(gpu, dtype):
    shape = (5, 7, 9)
    modes = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [np.arange(shape[2] // 2 + 1.0)]
    weights = np.where(modes[2] > 0, 2.0, 1.0)
    gpu.shell_sums(gpu.rfftn(gpu.asarray(noise(shape, dtype))), modes, modes, weights, METRIC, 1.0, 6)


def text(gpu, dtype):
    layout = FixedWidth(5, 18, 91, 333, 2, 2, 11, ord("E"))
    rows = b"".join(b" 0.12345678901E+01" * min(5, 333 - at) + b"\n" for at in range(0, 333, 5))
    staged = gpu.staging(len(rows) + PADDING)
    staged[:] = np.frombuffer(rows + b" " * PADDING, np.uint8)
    gpu.decode_text(staged, layout, 0, gpu.empty(333, dtype), 3.0)


FAMILIES = (sums, windows, taps, modes, cylinders, intervals, ranges, features, shells, text)


def kernels_of(file):
    """Names of the kernels that a source declares instances of."""
    return {re.split("<", name)[0] for name in instances(file)}


def run(gpu, families=FAMILIES, say=print):
    """Launch everything; the (file, kernel) and (file, instance) that were not launched."""
    launched, launch = set(), gpu.runtime.launch

    def noted(file, instance, *arguments, **options):
        launched.update({(file, instance.split("<")[0]), (file, instance)})
        return launch(file, instance, *arguments, **options)

    gpu.runtime.launch = noted
    try:
        for family in families:
            began = time.monotonic()
            for dtype in (np.float32, np.float64):
                family(gpu, dtype)
                gpu.runtime.synchronize()
            say(f"{family.__name__:10} {time.monotonic() - began:6.1f} s")
    finally:
        del gpu.runtime.launch
    promoted = [file for file in kernel_files() if not file.startswith("ladder/")]
    wanted = {(file, kernel) for file in promoted for kernel in kernels_of(file)}
    wanted |= {(file, instance) for file in EVERY_INSTANCE for instance in instances(file)}
    return wanted - launched


def main(names):
    known = {family.__name__: family for family in FAMILIES}
    missing = run(choose_device("gpu:0"), [known[name] for name in names or known])
    if names:
        return 0
    for file, kernel in sorted(missing):
        print(f"not launched: {kernel} of {file}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
