"""Cases of the GPU measurements: what we compute, how much must move for it, and who else computes it.

`ours` begins with "gpuhomog", the call that targets are set for: a primitive of the device where there is one, else
the operator. Others follow; an operator beside its primitive shows what the host adds.
A case is built when its turn comes: one whose primitive does not exist yet, or that fails, says so and the next runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import gpu_peers as peers
import numpy as np
from bench import RMS, Bench, Parameters
from gpu_peers import CACHED, CACHED_DOUBLED, PLAIN, ZEROS, Call
from scipy.special import erfc

import gpuhomog as gh
from gpuhomog.averaging_kernels import TopHat
from gpuhomog.device import CPU
from gpuhomog.device.decode import PADDING, FixedWidth
from gpuhomog.fft import InverseSquare, Multiplier, filtered, shell_powers
from gpuhomog.operators.averages.line_weights import END_STENCIL, Line, spectral_weights, sum_weights, window_of
from gpuhomog.operators.macroscale.field_intervals import ball_rows
from gpuhomog.operators.potentials.cylinder_fit import march_fit
from gpuhomog.operators.potentials.cylinder_kernel import khat
from gpuhomog.operators.potentials.cylinder_table import disc_points

NARROWEST_BY_TAPS = 6
"""Standard deviation in points below which no short window is exact to float64's rounding."""
FLOOR = "floor"
OURS = "gpuhomog"
OPERATOR = "gpuhomog, gh.average"
THREE_PASSES, THREE_PASSES_FILE = "three 1-D running sums", "ladder/box_steps.cu"


@dataclass(frozen=True)
class Case:
    """One thing to compute.

    ours   what → call, the first is the one compared
    moved  bytes that must be read and written
    peers  what → builder of its call; built, run and dropped one after another
    error  of a result of the first shape; None where there is none
    note   printed with the rows
    """

    ours: dict[str, Call]
    moved: float
    peers: dict[str, Callable[[], Call]] = field(default_factory=dict)
    error: Callable[[Any], float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """A case to come.

    leads  a target is set for it
    once   it does not depend on the field: one group runs it
    """

    name: str
    build: Callable[[Bench], Case]
    leads: bool = False
    once: bool = False


def sparse(call: Call, step: int) -> Call:
    """The coarse points of what a call gives."""
    return lambda: call()[::step, ::step, ::step]


def top_hat(width: float) -> TopHat:
    """Full width in points."""
    return TopHat(width / 3**0.5)


def box_weights(width: float, q: int | None) -> Callable[[Line], Any]:
    """Weights of a box: running sum with an end stencil of 2q + 1, or exact multipliers (q None)."""
    kernel = top_hat(width)
    if q is None:
        return lambda line: spectral_weights(line, kernel.transform)
    return lambda line: sum_weights(line, kernel, q)


def box_peers(bench: Bench, width: float, q: int | None, step: int = 1) -> dict[str, Callable[[], Call]]:
    """Who else averages over a box; the FFT applies our very weights, ndimage takes whole numbers of points."""
    rounded = round(width)
    row = box_weights(width, q)(bench.line([0.0]))[0]
    uniform = peers.ndimage(bench).uniform_filter
    known: dict[str, Callable[[], Call]] = {
        CACHED: lambda: sparse(peers.cached_fft(bench, peers.separable_multiplier(bench, row)), step)
    }
    if not peers.is_hopeless(bench, rounded):
        known[f"CuPy uniform_filter, {rounded} points"] = lambda: sparse(
            lambda: uniform(bench.values, rounded, mode="wrap"), step
        )
    if width == bench.parameters.widths[0]:
        known[f"CuPy fftconvolve, {rounded} points, {ZEROS}"] = lambda: sparse(
            peers.box_by_fftconvolve(bench, rounded), step
        )
    if step > 1 and width == 9:
        known[f"torch avg_pool3d, 9 points, {ZEROS}"] = lambda: peers.pooled_by_torch(bench, 9, step)
    return known


# Floor


def read_kernel(bench: Bench) -> Call:
    """A kernel that only reads: what a reduction can reach at best."""
    import cupy

    kernel = cupy.RawKernel(
        r"""
extern "C" __global__ void read(const float4 *in, float *out, long long n) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  float s = 0.0f;
  for (; i + 3 * stride < n; i += 4 * stride) {
    const float4 a = in[i], b = in[i + stride], c = in[i + 2 * stride], d = in[i + 3 * stride];
    s += a.x + a.y + a.z + a.w + b.x + b.y + b.z + b.w + c.x + c.y + c.z + c.w + d.x + d.y + d.z + d.w;
  }
  for (; i < n; i += stride) s += in[i].x + in[i].y + in[i].z + in[i].w;
  if (s == -1.5f) out[threadIdx.x] = s;
}""",
        "read",
    )
    out = cupy.zeros(1024, np.float32)
    blocks = 8 * bench.device.runtime.n_multiprocessors
    n = np.int64(bench.values.nbytes // 16)
    return lambda: kernel((blocks,), (256,), (bench.values, out, n))


def floor(bench: Bench) -> Case:
    """Copy and read of the array: everything else is compared with them."""
    out = bench.xp.empty_like(bench.values)

    def copy() -> Any:
        bench.xp.copyto(out, bench.values)
        return out

    return Case({"copy of the array": copy}, 2.0 * bench.pass_bytes)


def reads(bench: Bench) -> Case:
    """Reading alone may be faster than copying: the fraction tells by how much."""
    ours = {"sum by the library": lambda: bench.xp.sum(bench.values)}
    if not bench.emulated:
        ours["kernel that only reads"] = read_kernel(bench)
    return Case(ours, bench.pass_bytes)


# Planar averages


def planar(bench: Bench) -> Case:
    """All three axes, moments up to 4, smallest and largest value."""
    xp, values, device = bench.xp, bench.values, bench.device
    others = ((1, 2), (0, 2), (0, 1))
    at = bench.chosen(bench.n)

    def error(result: Any) -> float:
        worst = 0.0
        for axis in range(3):
            for k in at:
                place = [slice(None)] * 3
                place[axis] = int(k)
                plane, stats = values[tuple(place)], result[axis][:, k]
                deviation = plane.astype(np.float64) - 1.0
                exact = [float(xp.mean(deviation**p)) for p in range(1, 5)]
                worst = max(worst, *np.abs(stats / bench.n**2 - exact))
        return worst / RMS if result[3:] == (float(xp.min(values)), float(xp.max(values))) else float("inf")

    return Case(
        {OURS: lambda: device.planar_moments(values, 4, 1.0)},
        bench.pass_bytes,
        {
            "CuPy mean x3": lambda: lambda: [xp.mean(values, axis=axes) for axes in others],
            "CuPy mean, min, max x3": lambda: (
                lambda: [reduce(values, axis=axes) for reduce in (xp.mean, xp.min, xp.max) for axes in others]
            ),
        },
        error,
    )


def planar_average(bench: Bench) -> Case:
    """One axis, as a user asks for it."""
    xp, values, field_, planar_average_ = bench.xp, bench.values, bench.field, gh.planar_average
    at = bench.chosen(bench.n)

    def error(result: Any) -> float:
        return max(abs(result[k] - float(xp.mean(values[:, :, k], dtype=np.float64))) for k in at) / RMS

    return Case(
        {OURS: lambda: planar_average_(field_, 2).values},
        bench.pass_bytes,
        {"CuPy mean": lambda: lambda: xp.mean(values, axis=(0, 1))},
        error,
    )


# Boxes


def coarse_box(width: float, step: int, q: int) -> Callable[[Bench], Case]:
    """Box at every step-th point by running sums; q = 4 band-limited, q = 0 cell averages."""

    def build(bench: Bench) -> Case:
        sampling = "bandlimited" if q else "cell"
        box, spacing = gh.Box(width), float(step)
        window = window_of(width, 0.0, step, q)
        device, average = bench.device, gh.average
        ours: dict[str, Call] = {}
        if window is not None:
            ours[OURS] = lambda: device.box_sums(bench.values, [[window] * 3])[0, 0]
        ours[OPERATOR] = lambda: average(bench.field, box, spacing=spacing, method="sums", sampling=sampling).values
        return Case(
            ours,
            bench.pass_bytes * (1 + step**-3),
            box_peers(bench, width, q, step),
            bench.separable_error(box_weights(width, q), step),
        )

    return build


def coarse_boxes(n_windows: int, n_powers: int, step: int) -> Callable[[Bench], Case]:
    """Several windows, and squares about 1, from one call."""

    def build(bench: Bench) -> Case:
        widths = bench.parameters.widths[:n_windows]
        windows = [[window_of(width, 0.0, step, END_STENCIL)] * 3 for width in widths]
        exact = [
            [bench.separable_error(box_weights(width, END_STENCIL), step, 1.0, p) for p in range(1, n_powers + 1)]
            for width in widths
        ]

        def error(result: Any) -> float:
            return max(one(result[w, p]) for w, errors in enumerate(exact) for p, one in enumerate(errors))

        outputs = len(widths) * n_powers
        return Case(
            {OURS: lambda: bench.device.box_sums(bench.values, windows, n_powers, 1.0)},
            bench.pass_bytes * (1 + outputs * step**-3),
            error=error,
        )

    return build


def full_box(width: float, q: int) -> Callable[[Bench], Case]:
    """Box at every point by running sums; q = 4 band-limited, q = 0 cell averages."""

    def build(bench: Bench) -> Case:
        device, average, box = bench.device, gh.average, gh.Box(width)
        sampling = "bandlimited" if q else "cell"
        window = window_of(width, 0.0, 1, q)
        ours: dict[str, Call] = {}
        if window is not None:
            ours[OURS] = lambda: device.box_filter(bench.values, [window] * 3)
        ours[OPERATOR] = lambda: average(bench.field, box, method="sums", sampling=sampling).values
        known = box_peers(bench, width, q)
        if hasattr(device, "_box_in_passes"):
            known = {THREE_PASSES: lambda: three_passes(bench, window), **known}
        return Case(ours, 2.0 * bench.pass_bytes, known, bench.separable_error(box_weights(width, q)))

    return build


def three_passes(bench: Bench, window: Any) -> Call:
    """The first rung of box_steps.cu: one axis a launch."""
    device, windows = bench.device, [window] * 3
    ends = 1 if len(window.head) <= 1 else 9

    def run() -> Any:
        tables = device._tables_of(bench.values, windows, ends)
        return device._box_in_passes(bench.values, windows, ends, tables)

    return run


def extrema(axis: int) -> Callable[[Bench], Case]:
    """Smallest and largest value of a sliding window along an axis."""

    def build(bench: Bench) -> Case:
        values, device, n = bench.values, bench.device, bench.n
        width = int(bench.parameters.widths[0])
        at = bench.chosen(n)
        known = peers.ndimage(bench)

        def error(result: Any) -> float:
            for k in at:
                part = bench.xp.take(values, bench.xp.asarray((k - width // 2 + np.arange(width)) % n), axis=axis)
                for found, reduced in zip(result, (part.min(axis=axis), part.max(axis=axis)), strict=True):
                    if not bool((bench.xp.take(found, int(k), axis=axis) == reduced).all()):
                        return float("inf")
            return 0.0

        return Case(
            {OURS: lambda: device.running_extrema(values, axis, -(width // 2) % n, width)},
            3.0 * bench.pass_bytes,
            {
                f"CuPy minimum_filter1d, maximum_filter1d, {width} points, axis {axis}": lambda: (
                    lambda: tuple(
                        one(values, width, axis=axis, mode="wrap")
                        for one in (known.minimum_filter1d, known.maximum_filter1d)
                    )
                )
            },
            error,
        )

    return build


# Gaussians


def gaussian(std: float, step: int, known_methods: tuple[str, ...]) -> Callable[[Bench], Case]:
    """Gaussian at every step-th point, by each method."""

    def build(bench: Bench) -> Case:
        too_narrow = bench.dtype == np.float64 and std < NARROWEST_BY_TAPS
        methods = [method for method in known_methods if method != "taps" or not too_narrow]
        kernel, average = gh.Gaussian(2.0 * std), gh.average
        spacing = None if step == 1 else float(step)
        weights = lambda line: spectral_weights(line, kernel.transform)  # noqa: E731
        row = weights(bench.line([0.0]))[0]
        ndimage_gaussian = peers.ndimage(bench).gaussian_filter
        known: dict[str, Callable[[], Call]] = {
            CACHED: lambda: sparse(peers.cached_fft(bench, peers.separable_multiplier(bench, row)), step)
        }
        if not peers.is_hopeless(bench, 8 * std):
            known[f"CuPy gaussian_filter, std {std:g}"] = lambda: sparse(
                lambda: ndimage_gaussian(bench.values, std, mode="wrap"), step
            )
        if std == bench.parameters.stds[0]:
            known[f"CuPy fftconvolve, std {std:g}, {ZEROS}"] = lambda: sparse(
                peers.gaussian_by_fftconvolve(bench, std), step
            )
        one = lambda method: lambda: average(bench.field, kernel, spacing=spacing, method=method).values  # noqa: E731
        return Case(
            {OURS if method == methods[0] else f"{OURS}, {method}": one(method) for method in methods},
            bench.pass_bytes * (1 + step**-3),
            known,
            bench.separable_error(weights, step),
            note=f"{OURS} by {methods[0]}",
        )

    return build


# Filters


def wave_number(bench: Bench) -> Callable[[Any, Any, Any], Any]:
    """|k| of integer modes, radians a sample."""
    return lambda a, b, c: 2 * np.pi / bench.n * np.sqrt(np.asarray(a) ** 2 + b**2 + c**2)


def ball(bench: Bench) -> Case:
    """Ball by all modes."""
    kernel, average = gh.Ball(float(bench.parameters.radius)), gh.average
    xp = bench.xp
    radius = kernel.full_width / 2
    length = wave_number(bench)

    def transform(k: Any) -> Any:
        z = xp.where(k == 0, 1.0, k * radius)
        return xp.where(k == 0, 1.0, 3 * (xp.sin(z) - z * xp.cos(z)) / z**3)

    return Case(
        {OURS: lambda: average(bench.field, kernel, method="all modes").values},
        2.0 * bench.pass_bytes,
        {
            CACHED: lambda: peers.cached_fft(bench, peers.isotropic_multiplier(bench, transform)),
            PLAIN: lambda: peers.plain_fft(bench, peers.isotropic_multiplier(bench, transform)),
        },
        bench.spectral_error(lambda a, b, c: kernel.transform(length(a, b, c))),
    )


def poisson(bench: Bench) -> Case:
    """1/k² on every mode but the mean."""
    n, xp = bench.n, bench.xp
    length = wave_number(bench)

    def of(k: Any, where: Any = np) -> Any:
        return where.where(k == 0, 0.0, 1 / where.where(k == 0, 1.0, k) ** 2)

    multiplier = Multiplier((n, n, n), [InverseSquare(np.eye(3) * 2 * np.pi / n)])
    return Case(
        {OURS: lambda: filtered(bench.device, bench.values, multiplier)[0]},
        2.0 * bench.pass_bytes,
        {
            CACHED: lambda: peers.cached_fft(bench, peers.isotropic_multiplier(bench, lambda k: of(k, xp))),
            PLAIN: lambda: peers.plain_fft(bench, peers.isotropic_multiplier(bench, lambda k: of(k, xp))),
        },
        bench.spectral_error(lambda a, b, c: of(length(a, b, c)), relative=True),
    )


def disc(bench: Bench) -> Case:
    """Disc average in every plane of the first axis."""
    kernel, average = gh.Disc(float(bench.parameters.radius), 0), gh.average
    n, xp = bench.n, bench.xp
    line = 2 * np.pi * np.fft.fftfreq(n)
    multiplier = kernel.transform(np.hypot(line[:, None], 2 * np.pi * np.arange(n // 2 + 1) / n)).astype(bench.dtype)
    return Case(
        {OURS: lambda: average(bench.field, kernel).values},
        2.0 * bench.pass_bytes,
        {
            CACHED: lambda: peers.cached_fft(bench, xp.asarray(multiplier), (1, 2)),
            PLAIN: lambda: peers.plain_fft(bench, xp.asarray(multiplier), (1, 2)),
        },
        bench.spectral_error(lambda a, b, c: kernel.transform(2 * np.pi / n * np.hypot(b, c))),
    )


# Text


def text(bench: Bench) -> Case:
    """Values of a CHGCAR's block: text on the host to float64 on the device, and with the text there already."""
    device, n = bench.device, 4000 if bench.emulated else 32_000_000
    layout = FixedWidth(5, 18, 91, n, 2, 2, 11, ord("E"))
    numbers = np.random.default_rng(7).lognormal(0.0, 4.0, 1000)
    rows = np.frombuffer("".join(_chgcar_rows(numbers)).encode(), np.uint8)
    n_bytes = layout.row_end(n)
    staged = device.staging(n_bytes + PADDING)
    staged[:n_bytes] = np.resize(rows, n_bytes)
    staged[n_bytes:] = ord(" ")
    expected = np.array([float(word) for word in "".join(_chgcar_rows(numbers)).split()])
    xp = bench.xp
    out = xp.empty(n, np.float64)

    def error(result: Any) -> float:
        whole = result[: n // 1000 * 1000].reshape(-1, 1000)
        return float(xp.abs(whole / xp.asarray(expected) - 1).max())

    def decoded() -> Any:
        device.decode_text(staged, layout, 0, out)
        return out

    def by_host() -> Call:
        values = np.empty(n)

        def decode() -> Any:
            CPU().decode_text(staged, layout, 0, values)
            return xp.asarray(values)

        return decode

    def upload() -> Call:
        there = xp.empty(n_bytes, np.uint8)
        return lambda: there.set(staged[:n_bytes]) if hasattr(there, "set") else np.copyto(there, staged[:n_bytes])

    ours: dict[str, Call] = {OURS: decoded}
    if hasattr(device, "_upload"):
        ours["gpuhomog, text on the device"] = _without_upload(device, decoded)
    return Case(
        ours,
        float(n_bytes + 8 * n),
        {"decoded by the host's cores, then uploaded": by_host, "upload of the text alone": upload},
        error,
        note=f"{n} values, error relative to each",
    )


def _without_upload(device: Any, decode: Call) -> Call:
    """The call, uploading only when the memory of the text is another than last time."""
    original, known = device._upload, [0]

    def upload(host: Any, target: Any) -> None:
        at = None if isinstance(target, np.ndarray) else target.data.ptr
        if at is None or at != known[0]:
            original(host, target)
        known[0] = at

    def run() -> Any:
        device._upload = upload
        try:
            return decode()
        finally:
            del device._upload

    return run


def _chgcar_rows(numbers: Any) -> Iterator[str]:
    """Rows of five positive numbers, each 18 characters, as VASP writes them."""
    for i in range(0, len(numbers), 5):
        words = []
        for number in numbers[i : i + 5]:
            mantissa, power = f"{number:.10E}".split("E")
            words.append(f" 0.{mantissa.replace('.', '')}E{int(power) + 1:+03d}")
        yield "".join(words) + "\n"


@lru_cache(maxsize=2)
def cylinder_fit(n: int, radius: int, dtype: str) -> Any:
    """The kernel as recursions; the host takes seconds for it."""
    if n > 1024:
        raise MemoryError("the fit of its kernel takes too long on the host for this size")
    tolerance = 5e-7 if dtype == "float32" else 1e-11
    return march_fit(np.eye(2) * n, (n, n), 1.0, n, radius, tolerance=tolerance)


def cylinder(bench: Bench) -> Case:
    """Potential of the charge below every point within the radius."""
    radius, device = bench.parameters.radius, bench.device
    fit = cylinder_fit(bench.n, radius, bench.dtype.name)

    def response(distance: Any, length: Any) -> Any:
        table = khat(length, distance[:, None], radius)
        table[0] *= 0.5
        return table

    return Case(
        {OURS: lambda: device.cylinder_march(bench.values, fit, axis=0, side="low")},
        2.0 * bench.pass_bytes,
        {
            CACHED_DOUBLED: lambda: peers.cached_causal_fft(bench),
            f"CuPy fftconvolve, {bench.parameters.height} planes, {ZEROS}": lambda: peers.cylinder_by_fftconvolve(
                bench
            ),
        },
        bench.line_error(response, causal=True),
        note=f"fit {fit.error:.0e}",
    )


def cylinder_both(bench: Bench) -> Case:
    """From below and from above, added."""
    fit = cylinder_fit(bench.n, bench.parameters.radius, bench.dtype.name)
    return Case(
        {OURS: lambda: bench.device.cylinder_march(bench.values, fit, axis=0, side="both")}, 2.0 * bench.pass_bytes
    )


def cylinder_points(bench: Bench) -> Case:
    """Direct sums at a few points, both sides."""
    n, radius, device = bench.n, float(bench.parameters.radius), bench.device
    xp, values, own, n_points = bench.xp, bench.values, 2.38, 64
    disc = disc_points(np.eye(2), radius)
    points = np.random.default_rng(3).integers(0, n, (n_points, 3))
    reach = int(radius)

    def error(result: Any) -> float:
        offset = np.arange(-reach, reach + 1)
        inside = offset[:, None] ** 2 + offset**2 <= radius**2 * (1 + 1e-12)
        worst = 0.0
        for point, (low, _) in zip(points[:4], result[:4], strict=True):
            distance = (point[0] - np.arange(point[0] + 1))[:, None, None]
            squared = distance**2 + offset[:, None] ** 2 + offset**2
            weight = np.where(squared > 0, 1 / np.sqrt(np.maximum(squared, 1)), own) * inside
            weight[-1] *= 0.5
            weight[0] *= 0.5 if point[0] else 1.0
            rows, columns = (xp.asarray((c + offset) % n) for c in point[1:])
            near = values[: point[0] + 1][:, rows][:, :, columns].astype(np.float64)
            exact = float((near * xp.asarray(weight)).sum())
            worst = max(worst, abs(low - exact) / abs(exact))
        return worst

    read = n_points * n * len(disc[0]) * bench.dtype.itemsize
    return Case(
        {OURS: lambda: device.cylinder_sum(values, points, disc, 1.0, own, axis=0, ends=(0.5,), source=_trapezoid(n))},
        float(min(read, bench.pass_bytes)),
        error=error,
        note=f"{n_points} points",
    )


def _trapezoid(n: int) -> Any:
    """(2, n) weights of the planes in the sums from below and from above: half at the far end."""
    weights = np.ones((2, n))
    weights[0, 0] = weights[1, -1] = 0.5
    return weights


def padded_filter(bench: Bench) -> Case:
    """1/k² where zeros follow along the first axis, which doubles it: what the potential of a slab takes."""
    n, device = bench.n, bench.device
    multiplier = Multiplier((2 * n, n, n), [InverseSquare(np.diag([np.pi, 2 * np.pi, 2 * np.pi]) / n)])
    across = np.pi / n * np.arange(2 * n)
    across[n:] -= 2 * np.pi

    def response(distance: Any, length: Any) -> Any:
        k = across[:, None] ** 2 + length**2
        inverse = np.divide(1.0, k, out=np.zeros_like(k), where=k > 0)
        return np.fft.ifft(inverse, axis=0).real[distance]

    return Case(
        {OURS: lambda: device.convolve(bench.values, [multiplier])[0]},
        2.0 * bench.pass_bytes,
        {CACHED_DOUBLED: lambda: peers.cached_causal_fft(bench)},
        bench.line_error(response),
    )


# Scales


def shells(bench: Bench) -> Case:
    """Power by |k|: the transform, and its sums over shells."""
    n, device = bench.n, bench.device
    rows, width = np.eye(3) * 2 * np.pi / n, 2 * np.pi / n
    variance = float(bench.xp.var(bench.values, dtype=np.float64))

    def error(result: Any) -> float:  # Parseval's theorem
        return abs(float(result[2].sum()) / variance - 1)

    return Case(
        {OURS: lambda: shell_powers(device, bench.values, rows, width)},
        float(bench.pass_bytes),
        {"CuPy rfftn, bincount": lambda: peers.binned_power(bench)},
        error,
    )


def ranges(radius: float) -> Callable[[Bench], Case]:
    """Smallest, largest and mean value in a ball about every fourth point."""

    def build(bench: Bench) -> Case:
        n, device, every = bench.n, bench.device, 4
        rows = ball_rows(np.eye(3), (n, n, n), radius)
        taps, at = int(rows[:, 3].sum()), bench.chosen(n // every)

        def error(result: Any) -> float:
            inside = [(a, b, c + i) for a, b, c, count in rows.tolist() for i in range(count)]
            worst = 0.0
            for point in at:
                places = (point * every + np.array(inside)) % n
                near = bench.host(bench.values[tuple(bench.xp.asarray(axis) for axis in places.T)]).astype(np.float64)
                found = [float(part[point, point, point]) for part in result]
                exact = [near.min(), near.max(), near.mean()][: len(found)]
                worst = max(worst, *np.abs(np.array(found) - exact))
            return worst / RMS

        known: dict[str, Callable[[], Call]] = {}
        if not peers.is_hopeless(bench, taps):
            known[f"CuPy minimum_filter, maximum_filter, {taps} points"] = lambda: peers.filtered_extrema(
                bench, rows, every
            )
        return Case(
            {OURS: lambda: device.window_ranges(bench.values, rows, np.zeros((0, 7)), [False] * 3, every)},
            bench.pass_bytes * (1 + 3 / every**3),
            known,
            error,
            note=f"{taps} points",
        )

    return build


def magnitudes(bench: Bench) -> Case:
    """Sums over the planes of one axis, and of magnitudes over those of the others: what a potential checks first."""
    xp, values, device = bench.xp, bench.values, bench.device
    at = bench.chosen(bench.n)

    def error(result: Any) -> float:
        exact = [[float(xp.sum(values[k], dtype=np.float64)) for k in at]]
        exact += [[float(xp.sum(abs(values.take(k, axis)), dtype=np.float64)) for k in at] for axis in (1, 2)]
        return max(float(np.abs(part[at] - e).max()) for part, e in zip(result, exact, strict=True)) / bench.n**2 / RMS

    return Case(
        {OURS: lambda: device.magnitude_sums(values, 0, (1, 2))},
        float(bench.pass_bytes),
        {
            "CuPy sum of abs x2, sum": lambda: (
                lambda: [xp.sum(values, (1, 2)), *(xp.sum(abs(values), axes) for axes in ((0, 2), (0, 1)))]
            )
        },
        error,
    )


def smooth_window(bench: Bench) -> Case:
    """Sum of the values in one ball with a smooth edge, as charges of corners are taken."""
    n, device = bench.n, bench.device
    radius, edge = n / 4, n / 64
    reach = int(radius + 7 * edge)
    low, high = n // 2 - reach, n // 2 + reach
    window = np.array([[0.0, 1.0, edge, radius, *[n / 2] * 3, *np.eye(3)[:2].ravel()]])
    reached = np.array([[[low, high]] * 3])
    part = bench.values[low : high + 1, low : high + 1, low : high + 1]

    def error(result: Any) -> float:
        offset = np.arange(low, high + 1) - n / 2
        total = size = 0.0
        for i, plane in zip(offset, part, strict=True):
            weight = erfc((np.sqrt(i**2 + offset[:, None] ** 2 + offset**2) - radius) / (np.sqrt(2) * edge)) / 2
            total += float((bench.host(plane).astype(np.float64) * weight).sum())
            size += float(weight.sum())
        return abs(float(result[0, 0]) - total) / size / RMS

    return Case(
        {
            OURS: lambda: device.smooth_sums(
                bench.values, window, reached, np.zeros(3), np.eye(3), bench.values.shape, (0, 0, 0)
            )
        },
        float(part.nbytes),
        error=error,
    )


# Intervals


def intervals(bench: Bench) -> Case:
    """Charge and its first two moments in 16 intervals of the slow axis, for every line along it."""
    n, device, xp = bench.n, bench.device, bench.xp
    edges = np.linspace(0.3, n - 0.4, 17)
    references = (edges[:-1] + edges[1:]) / 2
    at = bench.chosen(n)

    def error(result: Any) -> float:
        worst = 0.0
        for m in (0, 7):
            low, high, reference = edges[m], edges[m + 1], references[m]
            cells = np.arange(int(low), int(np.ceil(high)))
            start, stop = np.maximum(cells, low) - reference, np.minimum(cells + 1, high) - reference
            part = bench.host(bench.values[cells[0] : cells[-1] + 1][:, xp.asarray(at)][:, :, xp.asarray(at)])
            for p in range(3):
                weight = (stop ** (p + 1) - start ** (p + 1)) / (p + 1)
                exact = np.einsum("i,ijk->jk", weight, part.astype(np.float64))
                found = bench.host(xp.asarray(result[p])[m][xp.asarray(at)][:, xp.asarray(at)])
                worst = max(worst, float(np.abs(found - exact).max() / np.abs(weight).sum()))
        return worst

    written = 3 * 16 * n * n * 8
    return Case(
        {OURS: lambda: device.interval_moments(bench.values, edges, references, axis=0)},
        float(bench.pass_bytes + written),
        error=error,
    )


def cases(of: Parameters) -> list[Entry]:
    """All cases, the most important first."""
    width, std, step, n_windows = of.widths[0], of.stds[0], of.steps[0], len(of.widths)
    return [
        Entry(FLOOR, floor, leads=True),
        Entry("read of the array", reads, leads=True),
        Entry("planar averages x3, moments to 4, extrema", planar, leads=True),
        *(Entry(f"coarse box, w {w:g}, step {step}", coarse_box(w, step, END_STENCIL), leads=True) for w in of.widths),
        Entry(f"coarse box, w {width:g}, step {step}, cells", coarse_box(width, step, 0), leads=True),
        Entry(f"coarse box, {n_windows} windows, step {step}", coarse_boxes(n_windows, 1, step), leads=True),
        Entry(
            f"coarse box, {n_windows} windows, values and squares, step {step}",
            coarse_boxes(n_windows, 2, step),
            leads=True,
        ),
        Entry(f"box, full grid, w {width:g}", full_box(width, END_STENCIL), leads=True),
        Entry(f"box, full grid, w {width:g}, cells", full_box(width, 0), leads=True),
        Entry(f"gaussian, full grid, std {std:g}", gaussian(std, 1, ("taps", "low modes")), leads=True),
        Entry(f"ball, full grid, radius {of.radius}", ball, leads=True),
        Entry("poisson", poisson, leads=True),
        Entry(f"disc average, radius {of.radius}", disc, leads=True),
        Entry("cylinder potential, all points", cylinder, leads=True),
        Entry("planar average, one axis", planar_average),
        *(Entry(f"coarse box, w {width:g}, step {d}", coarse_box(width, d, END_STENCIL)) for d in of.steps[1:]),
        *(Entry(f"box, full grid, w {w:g}", full_box(w, END_STENCIL)) for w in of.widths[1:]),
        *(Entry(f"gaussian, full grid, std {s:g}", gaussian(s, 1, ("taps", "low modes"))) for s in of.stds[1:]),
        Entry(f"gaussian, std {std:g}, step {step}", gaussian(std, step, ("lines", "low modes"))),
        Entry("cylinder potential, all points, both sides", cylinder_both),
        Entry("cylinder potential, 64 points", cylinder_points),
        Entry("moments of 16 intervals", intervals),
        Entry("filter, zeros beyond one axis", padded_filter),
        Entry("power by shells of |k|", shells),
        Entry("ranges in a ball of radius 4, step 4", ranges(4.0)),
        Entry("sums of magnitudes x3", magnitudes),
        Entry("sum in a smooth ball", smooth_window),
        *(Entry(f"running extrema, w {width:g}, axis {axis}", extrema(axis)) for axis in (0, 2)),
        Entry("text of a CHGCAR", text, once=True),
        Entry(f"{FLOOR}, again", floor),
    ]
