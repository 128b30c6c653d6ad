"""Where values live: the Device protocol, and the choice of one.

A device primitive is a method of Device. It exists in NumPy (`cpu/`, the oracle of every test) and under
the same name on a GPU (`gpu/`: CUDA kernels, cuBLAS, cuFFT). Operators call primitives and never ask which it is.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
from .cpu import CPU
from .decode import FixedWidth
from .node import local_rank


@runtime_checkable
class Device(Protocol):
    """Memory and the primitives that work on arrays in it. Arrays are (a, b, c), float32 or float64."""

    name: str

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """The values on this device (no copy if they are there with that dtype)."""
        ...

    def to_host(self, values: Any) -> NDArray[Any]:
        """The values as a NumPy array."""
        ...

    def empty(self, shape: Any, dtype: Any) -> Any:
        """New memory on this device, in C order, contents undefined; DeviceError where it does not fit."""
        ...

    def uploads(self) -> AbstractContextManager[Callable[[Any], AbstractContextManager[Any]]]:
        """What brings chunks of values here while others are computed with: a context that gives begin(values).

        begin, called by any thread, starts the way up and returns a context: entered, it gives the values on this
        device, in their memory order; when it is left, nothing may look at them any more, as their memory is filled
        again. The outer context ends after all of them. DeviceError from begin where the values do not fit.
        """
        ...

    chunks_pinned: ClassVar[int]
    """Memory of the host that uploads takes for the two chunks of a pass, in chunks."""

    cache_chunk: ClassVar[int]
    """Bytes, in float64, of the planes that several reductions go through before the next; more than any field has
    where launches cost more than reading again."""

    def transport(self, comm: Any) -> Any:
        """How arrays here get from rank to rank: an object with exchange(sent, received), as Comm has it.

        None where the communicator takes them as they are, or by way of the host. Collective; DeviceError on all ranks.
        """
        ...

    def planar_sum(self, values: Any, axis: int) -> NDArray[np.float64]:
        """(n_axis,) sums over each plane normal to an axis, float64, on the host."""
        ...

    def magnitude_sums(self, values: Any, axis: int, axes: Sequence[int]) -> tuple[NDArray[np.float64], ...]:
        """Sums over the planes of one axis, then those of magnitudes over the planes of each of axes; on the host.

        float64; on the CPU the values of a row are added in their own precision.
        """
        ...

    def planar_moments(
        self, values: Any, n_moments: int, centre: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
        """For each axis (n_moments, n_axis) sums, float64, on the host; smallest and largest value: one read on a GPU.

        Row p - 1 holds the sums of (value - centre)^p over each plane normal to the axis, p = 1 … n_moments <= 4. The
        extrema are NaN if a value is; of no value inf, -inf. The centre is rounded to the precision of the values; near
        the mean it keeps the digits of higher moments.
        """
        ...

    def plane_family_sum(self, values: Any, strides: tuple[int, int, int], n_bins: int) -> NDArray[np.float64]:
        """(n_bins,) sums over the points i, j, k with (strides · (i, j, k)) mod n_bins equal, float64, on the host."""
        ...

    def extrema(self, values: Any) -> tuple[float, float]:
        """Smallest and largest value; NaN if there is one."""
        ...

    def contract(self, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
        """Σ_i matrix[o, i] values[.., i, ..] along an axis, in the precision of the values."""
        ...

    def contract_in_order(self, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
        """The same, summed in float64 in the order of the samples: the bits of a line do not depend on other lines."""
        ...

    def window_sum(self, values: Any, axis: int, window: Any, n_out: int) -> Any:
        """Weighted sum over a window (start, step, head, inside, tail, scale) at n_out points of a periodic axis.

        Output j adds head[..], `inside` samples of weight one and tail[..] from sample start + j step on, modulo
        the n_out * step samples of the axis, times scale. Stretches of `step` samples add up in the precision of
        the values, the stretches of a window in float64.
        """
        ...

    sums_in_passes: ClassVar[float]
    """Reads of the field that one window of box_sums takes as long as; inf where matrix products are preferred."""

    def box_sums(self, values: Any, windows: Sequence[Sequence[Any]], n_powers: int = 1, centre: float = 0.0) -> Any:
        """(windows, n_powers, n_a/step_a, n_b/step_b, n_c/step_c): window_sum along all axes of (values - centre)^p.

        p = 1 … n_powers, 1 or 2. Each window is three, one an axis; all have the same step along an axis, which
        divides its samples; None along the first or last axis sums within its planes only. In the precision and
        memory order of the values, which must be finite.
        """
        ...

    def box_filter_in_passes(self, n_values: int, dtype: str) -> float:
        """Reads of the field that box_filter takes as long as, with a window along each axis and so many values."""
        ...

    pass_in_columns: ClassVar[dict[str, float]]
    """By precision, the columns of a matrix product that take as long as one read or write of the field."""
    tap_in_columns: ClassVar[dict[str, float]]
    """By precision, the columns of a matrix product that take as long as one tap of every point."""

    @property
    def scratch_bytes(self) -> int:
        """What all threads together hold for themselves while they filter, beside spectra and results."""
        ...

    pads_one_axis: ClassVar[bool]
    """True if spectra that are held are halved, and padded, along the second axis alone; False if they are halved along
    the third and padded along both."""

    filter_in_columns: ClassVar[dict[str, float]]
    """By precision, the columns of a matrix product that take as long as a filter in Fourier space."""

    odd_product: ClassVar[tuple[float, float]]
    """Product onto an odd number of points, or from one: what a column takes in those of others, and passes on top."""

    def contract_taps(self, values: Any, taps: Sequence[Any], power: int = 1, centre: float = 0.0) -> Any:
        """Σ over t along each axis of weights[t] (values[j d + first + t] - centre)^power, at the n/d points j.

        taps: for each axis weights, first and decimation d, which divides its n samples (averages.line_taps). Axes are
        periodic; power 1 or 2; in the precision of the values.
        """
        ...

    def expand_taps(self, values: Any, taps: Sequence[Any]) -> Any:
        """The transpose of contract_taps: from n/d points along each axis to n samples."""
        ...

    def cylinder_sum(
        self,
        values: Any,
        points: Any,
        disc: tuple[NDArray[np.int32], NDArray[np.float64]],
        step: float,
        own: float,
        *,
        axis: int = 0,
        periodic: bool = True,
        ends: Any = (0.5,),
        source: Any = None,
    ) -> NDArray[np.float64]:
        """(M, 2) sums of value/distance over the grid points of the cylinders about M points, float64, on the host.

        Column 0: planes up to the point's own, 1: planes from it on. points: (M, 3) grid indices (a, b, c). disc:
        in-plane offsets within the radius and their squared distances (potentials.cylinder_table.disc_points); the
        planes along `axis` are a `step` apart, right above one another; `own` stands for 1/0. Planes at distance d
        count by ends[d] (one beyond) and by source[side]; periodic in the plane, or nothing outside.
        """
        ...

    def cylinder_march(self, values: Any, fit: Any, *, axis: int = 0, side: str = "both") -> Any:
        """Σ over planes at and below ("low"), at and above ("high") or both, of the fitted kernel, at all points.

        fit: potentials.cylinder_fit.MarchFit. Periodic in the plane, or with zeros around it where the fit is for more
        points of a plane than the values have. Memory beside the values and the result: their spectrum, zeros
        included, twice that for "both".
        """
        ...

    def cylinder_convolve(self, values: Any, table: Any, *, axis: int = 0, side: str = "both") -> Any:
        """As cylinder_march, with the kernel given at every distance: potentials.cylinder_table.CylinderTable."""
        ...

    def march_modes(
        self,
        spectrum: Any,
        fit: Any,
        side: str = "both",
        *,
        planes: slice = slice(None),
        columns: slice = slice(None),
        incoming: Any = None,
    ) -> Any:
        """cylinder_march between the transforms: spectrum and result as rfft_planes gives them; memory may be reused.

        Of the fit's whole grid the spectrum holds some planes and, of the half spectrum's last axis, some columns.
        incoming: states behind the slabs before this one on each side, as march_incoming gives them; None: nothing.
        """
        ...

    def march_end_states(self, spectrum: Any, fit: Any, side: str = "both", *, planes: slice = slice(None)) -> Any:
        """(sides * fit.n_states, n_1, n_2) states of the march behind the last of these planes of each side.

        A state is the recursions' (own, then two of each section) and the last planes times their weights, the last
        one first; as if nothing were behind the slab on the other end.
        """
        ...

    def march_incoming(
        self, ends: Any, fit: Any, n_planes: Sequence[int], side: str = "both", *, columns: slice = slice(None)
    ) -> Any:
        """End states of all slabs, one below the other, to the states that each slab meets: an affine exclusive scan.

        n_planes: of each slab. Same shape; the memory may be reused.
        """
        ...

    def convolve_modes(self, spectrum: Any, table: Any, side: str = "both", *, columns: slice = slice(None)) -> Any:
        """cylinder_convolve between the transforms, of all planes and some columns, as in march_modes."""
        ...

    def interval_moments(self, values: Any, edges: Any, references: Any, *, axis: int = 2) -> Any:
        """Moments ∫ (x - references[m])^p ν dx, p = 0, 1, 2, from edges[m] to edges[m + 1], of every line of an axis.

        Values are constant in cells [i, i + 1), periodic; x counts cells and edges cut them. (3, a, b, c) float64 with
        the axis as long as there are intervals, on the device; sums compensated where the values are float64.
        """
        ...

    def box_filter(self, values: Any, windows: Sequence[Any]) -> Any:
        """Weighted sum over a window of all three periodic axes at every point, in the precision of the values.

        Each axis has a window (start, head, inside, tail, scale; step 1) of at most nine weights at either end, or
        None where nothing is summed: output j adds head[..], `inside` samples of weight one and tail[..] from sample
        start + j on, modulo the axis, times scale. Nothing drifts; what is not finite spreads along its lines.
        """
        ...

    def running_extrema(self, values: Any, axis: int, start: int, width: int) -> tuple[Any, Any]:
        """Smallest and largest of the `width` values from j + start on, modulo the axis, at every j; NaN passes on."""
        ...

    def window_ranges(
        self,
        values: Any,
        rows: NDArray[np.int64],
        ends: NDArray[np.float64],
        is_open: Sequence[bool],
        every: int = 1,
    ) -> tuple[Any, Any, Any]:
        """Smallest, largest and mean value in a window about every `every`-th point of each axis, from the first on.

        The window is rows (a, b, c, count), `count` neighbours along the last axis from the offset (a, b, c) on, one at
        most for each (a, b), and ends (a, b, c, a', b', c', share), (1 - share) v + share v' of the values at two
        offsets. Axes are periodic, or, if open, go on with their last value. In the precision of the values, which must
        be finite; rows are summed in it, and together in float64. C-ordered.
        """
        ...

    def pad(self, values: Any, axis: int, before: int, n: int) -> Any:
        """Zeros around the values along an axis: `before` of them first, n samples in all."""
        ...

    def copy(self, values: Any) -> Any:
        """A copy in the same memory order."""
        ...

    def compact(self, values: Any) -> Any:
        """The values in memory of their own, without gaps."""
        ...

    def inner_products(self, values: Any, others: Any) -> NDArray[np.float64]:
        """(m, n) Σ_p values[i, p] others[j, p] of two sets of rows, in their precision; float64, on the host."""
        ...

    def squared_deviation(self, values: Any, centre: float) -> Any:
        """(values - centre)^2, float64, in the memory order of values."""
        ...

    def line_power(self, values: Any, axis: int, n_lines: int) -> NDArray[np.float64]:
        """(n_axis//2 + 1,) mean over about n_lines lines along an axis of |Σ v e^{-ikx}|², float64, on the host.

        Modes k and -k together; the mode 0, which is the mean of a line, is given as 0.
        """
        ...

    def rfftn(self, values: Any) -> Any:
        """Spectrum of real values over all axes, unnormalized, the last axis halved."""
        ...

    def filter(self, values: Any, multipliers: Sequence[Any]) -> list[Any]:
        """For each multiplier (see fft.Multiplier) new values whose modes are multiplied; C-ordered values."""
        ...

    def convolve(self, values: Any, multipliers: Sequence[Any]) -> list[Any]:
        """As filter, by multipliers of a larger grid with the same steps: zeros follow the values along each axis."""
        ...

    def filter_slabs(self, planes: Any, multipliers: Sequence[Any], lines: Any, empty: Callable[[], Any]) -> list[Any]:
        """As convolve, of planes (own n_0, n_1, n_2) that ranks share, with multipliers that depend on the first axis.

        lines (parallel.exchange.Lines) turns what is transformed within planes into whole lines across them, and back;
        empty() is memory for a result. What is sent are halved modes of axis 1 with all values of axis 2, whose zeros
        are not, wherever zeros follow within planes, and where pads_one_axis always (fft.slab_order chooses that axis).
        """
        ...

    def rfft_planes(self, values: Any) -> Any:
        """(n_0, n_1, n_2//2 + 1) spectra of the planes of the first axis, unnormalized; values in any memory order."""
        ...

    def irfft_planes(self, spectrum: Any, shape: tuple[int, int, int]) -> Any:
        """Inverse of rfft_planes, normalized by 1/(n_1 n_2); the spectrum's memory may be reused."""
        ...

    def filter_lines(self, spectrum: Any, multiplier: Any, first: int) -> Any:
        """Lines along the first axis transformed, multiplied (see fft.Multiplier) and transformed back.

        spectrum holds rows first … first + rows - 1 of the second axis, transformed along the second and third axes
        only, of the multiplier's whole grid (n_0, n_1, n_2); its memory may be reused.
        """
        ...

    def ifft_lines(self, spectrum: Any) -> Any:
        """Inverse complex transform along the first axis, normalized by 1/n_0; the memory may be reused."""
        ...

    def fft_rows(self, spectrum: Any, inverse: bool = False) -> Any:
        """Complex transform along the second axis, the inverse normalized by 1/n_1; the memory may be reused."""
        ...

    def smooth_sums(
        self,
        values: Any,
        windows: NDArray[np.float64],
        reached: NDArray[np.int64],
        origin: NDArray[np.float64],
        steps: NDArray[np.float64],
        shape: tuple[int, int, int],
        first: Sequence[int] = (0, 0, 0),
    ) -> NDArray[np.float64]:
        """(windows, 4) sums of w v, w v d², w v d⁴ (of a fit: w v, w v (r - centre)) here, float64, on the host.

        windows: rows kind, half, s, rho, centre (3), basis (2, 3); reached: (windows, 3, 2) first and last point along
        each axis, not folded into the whole shape. values are the points from `first` on; r = origin + i · steps. With
        t along the basis and d across it: 0 point, erfc((d - rho)/√2 s)/2; 1 line, that times the difference of
        erfc((t - half)/√2 s)/2 and erfc((t + half)/√2 s)/2; 2 face, that times exp(-t²/2 half²); 3 fit, a Gaussian of
        standard deviation half.
        """
        ...

    def shell_sums(
        self,
        spectrum: Any,
        modes: Sequence[NDArray[np.float64]],
        signed: Sequence[NDArray[np.float64]],
        weights: NDArray[np.float64],
        metric: NDArray[np.float64],
        width: float,
        n_shells: int,
    ) -> NDArray[np.float64]:
        """(3, n_shells) sums of w, w |k| and w |f|² over the modes f with |k| nearest to that many widths.

        For each axis the modes m and signed modes t (0 where one stands for both signs), w along the last axis:
        |k|² = Σ metric_ii m_i² + 2 Σ_{i<j} metric_ij t_i t_j. float64, on the host.
        """
        ...

    decodes_text: bool
    """True where decode_text is faster than the host's cores: text is sent there rather than numbers."""

    def staging(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory of the host from which values and text go to the device fastest."""
        ...

    def decode_text(
        self, text: NDArray[np.uint8], layout: FixedWidth, start: int, out: Any, divisor: float = 1.0
    ) -> NDArray[np.int64]:
        """Decode values start … start + len(out) - 1 of text of fixed width into `out`, a line on the device.

        text is on the host, as decode.decode_fixed_width takes it. Each value is float() of its field, bit for bit,
        divided by divisor in float64, then rounded to the precision of `out`. Returns, on the host, the places in
        `out` left undecided, which are NaN. Raises Misaligned as there.
        """
        ...


ENVIRONMENT = "GPUHOMOG_DEVICE"
"""Environment variable that says what "auto" is."""


@cache
def _cpu() -> CPU:
    return CPU()


@cache
def _gpu(number: int) -> Any:
    from .gpu import GPU, cupy_runtime

    return GPU(cupy_runtime(number))


def same_gpu() -> Callable[[], object]:
    """What makes the GPU last used in this thread, if any, and its stream those of the thread that calls it."""
    gpu = sys.modules.get(f"{__name__}.gpu.runtime")  # nobody has used one before
    return gpu.last_used() if gpu else lambda: None


def _own_gpu() -> int:
    """Number of the GPU of this process: its own number on the node, counted round those there are."""
    from .gpu import n_gpus

    return local_rank() % max(1, n_gpus())


def why_no_gpu() -> str | None:
    """The one reason why no GPU can be used here, with what to do, as part of a sentence; None if one can."""
    from .gpu.runtime import why_no_gpu as reason

    return reason()


def describe_gpus() -> list[dict[str, Any]]:
    """Each GPU that can be used here: name, product, memory, versions, as plain values."""
    from .gpu.runtime import describe_gpus as describe

    return describe()


def compiled_kernels() -> tuple[Path, int]:
    """The folder where compiled CUDA kernels are kept, and how many files are in it (CuPy's own, too)."""
    from .gpu.runtime import compiled_kernels as compiled

    return compiled()


def choose_device(device: str | Device = "auto") -> Device:
    """The device of a name: "auto", "cpu", "gpu" or "gpu:N". Only "auto" may choose.

    "gpu" is the first one; of several processes that were launched together on a node each takes the next, so that
    they are spread over its GPUs. "auto" is what the environment variable GPUHOMOG_DEVICE says; else such a GPU where
    CuPy sees one, else the CPU. The same name gives the same device. A thread computes on one GPU at a time: the one
    chosen last, or that of the last primitive.

    Raises DeviceError for an unknown name, and for a GPU that cannot be used, with the reason; for an unknown name in
    GPUHOMOG_TRANSPORT, too, whether this device would use it or not.

    >>> choose_device("cpu").name
    'cpu'
    """
    if not isinstance(device, str):
        if not hasattr(device, "asarray"):
            raise DeviceError(f'Unknown device {device!r}: choose "auto", "cpu" or "gpu:N".')
        return device
    if "GPUHOMOG_TRANSPORT" in os.environ:
        from .gpu.transports import named_transport

        named_transport()
    if device == "auto":
        named = os.environ.get(ENVIRONMENT, "").strip()
        if named and named != "auto":
            try:
                return choose_device(named)
            except DeviceError as error:
                raise DeviceError(f"The environment variable {ENVIRONMENT} chooses the device: {error}") from None
        return _cpu() if why_no_gpu() else choose_device("gpu")
    if device == "cpu":
        return _cpu()
    named_gpu = re.fullmatch(r"gpu(?::([0-9]{1,4}))?", device)
    if named_gpu is None:
        raise DeviceError(f'Unknown device "{device}": choose "auto", "cpu" or "gpu:N".')
    chosen: Any = _gpu(_own_gpu() if named_gpu[1] is None else int(named_gpu[1]))
    chosen.runtime.use()
    return chosen


__all__ = ["CPU", "Device", "choose_device", "compiled_kernels", "describe_gpus", "same_gpu", "why_no_gpu"]
