"""Sums of a field times the cylinder's kernel, at all points, on any number of ranks: what potentials are made of.

    Φ[x, k] = Σ_{x' at and below x, or at and above, or both} K(|x - x'|, k) source[x'] field[x', k]         eq. 69

Within planes the modes k are whole on a rank whose slab lies across the normal. Across them, a march (MarchFit) goes on
from slab to slab: each rank finds the states of the recursions behind its own planes, ranks hand them on (an affine
exclusive scan, for which they share the modes), and each marches over its planes from the state that it meets. That
reads the spectrum once more, and sends states, which do not grow with the slabs. Where slabs are thinner than states,
and for a kernel given at every distance (CylinderTable), the half spectrum is transposed, and back; where slabs cut the
planes it is transposed between the transforms along their axes. Then all planes of a mode are on one rank.

The building block of potentials, which add units, end points and the far field; open along the normal, periodic in the
plane, or with zeros around it where the kernel was made for a larger plane.

In   Field on any device, in slabs of any axis, and a kernel made for its grid, the same on every rank.
Out  the sums at the planes of the field's own slab, on its device.

>>> from .cylinder_table import cylinder_table
>>> field = Field.from_array([[[1.0]], [[0.0]], [[0.0]]], [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
>>> kernel = cylinder_table([[3.0, 0.0], [0.0, 3.0]], (1, 1), step=1.0, n=3, radius=2.0)
>>> cylinder_sums(field, kernel, "a", side="low").ravel().round(6).tolist()
[0.25, 0.309017, 0.207107]
"""

from __future__ import annotations

from math import prod
from typing import Any
from zlib import crc32

from ...device import Device
from ...errors import InputError
from ...fft import SLOWEST_FIRST, rescaled
from ...field import Field
from ...grid import axis_index
from ...parallel import Comm, Slab, agree_on, transpose
from ...parallel.model import march_choices
from .cylinder_fit import MarchFit
from .cylinder_table import CylinderTable

N_SIDES = {"low": 1, "high": 1, "both": 2}


def cylinder_sums(field: Field, kernel: MarchFit | CylinderTable, axis: int | str, *, side: str = "both") -> Any:
    """Φ at every point of the field's slab, in the precision of its values and the unit of field × kernel.

    kernel  made for all planes along the axis and for the points of a plane, in the order of the other two axes; of
            more points than the field has, if there are to be zeros around it: by the radius, for an open plane
    axis    normal of the planes
    side    "low": planes at and below each point, "high": at and above, "both": their sum

    Raises InputError for a kernel of another grid, and where the ranks' kernels differ (made on different hosts, say:
    broadcast one).
    """
    normal = axis_index(axis)
    device, comm, slab = field.device, field.comm, field.slab
    _check(field, kernel, normal, side)

    def sums(values: Any) -> list[Any]:
        if comm.size > 1 and slab.axis == normal:
            return [_sums_across_slabs(device, comm, slab, values, kernel, side)]
        if comm.size > 1:
            return [_sums_along_slabs(device, comm, slab, values, kernel, normal, side)]
        if isinstance(kernel, MarchFit):
            return [device.cylinder_march(values, kernel, axis=normal, side=side)]
        return [device.cylinder_convolve(values, kernel, axis=normal, side=side)]

    n = field.grid.shape[normal] * prod(kernel.shape)
    return rescaled(device, field.values, n, sums, comm, field.largest_of(field.values))[0]


def _padded(device: Device, values: Any, axis: int, n: int) -> Any:
    """With zeros behind, n samples in all."""
    return device.pad(values, axis, 0, n) if n > values.shape[axis] else values


def _check(field: Field, kernel: MarchFit | CylinderTable, normal: int, side: str) -> None:
    found, of_plane = kernel.source.shape[1], list(kernel.shape)
    facts = {"axis": normal, "side": side, "planes of the kernel": found, "points of the kernel's planes": of_plane}
    if isinstance(kernel, MarchFit):  # recursions go on as they began: on other hosts their last digits may differ
        facts["checksum of the kernel's exponents"] = crc32(kernel.propagators.tobytes())
    agree_on(field.comm, facts, "sum")
    if side not in N_SIDES:
        raise InputError(f'Unknown side "{side}" of a cylinder: choose "low", "high" or "both".')
    n = field.grid.shape[normal]
    plane = [field.grid.shape[i] for i in range(3) if i != normal]
    if found != n or any(points > most for points, most in zip(plane, of_plane, strict=True)):
        raise InputError(
            f"The kernel of the cylinder is for {found} planes of {of_plane} points, but the field has {n} of {plane} "
            f"along axis {normal}: make it for the grid of the field."
        )


def _sums_across_slabs(
    device: Device, comm: Comm, slab: Slab, values: Any, kernel: MarchFit | CylinderTable, side: str
) -> Any:
    """Of whole planes."""
    order = SLOWEST_FIRST[slab.axis]
    kernel = kernel.exchanged if order[1] > order[2] else kernel
    planes = values.transpose(order)
    _, n_1, n_2 = planes.shape
    planes = _padded(device, _padded(device, planes, 1, kernel.shape[0]), 2, kernel.shape[1])
    spectrum = device.rfft_planes(planes)
    if isinstance(kernel, MarchFit) and _states_send_less(comm, slab, kernel, side):
        potential = _march_from_states(device, comm, slab, spectrum, kernel, side)
    else:
        split = Slab(0, slab.n, slab.start, slab.stop)
        modes, columns = transpose(comm, device, split, spectrum, 2, spectrum.shape[2])
        modes = _sums_of_modes(device, modes, kernel, side, columns)
        potential, _ = transpose(comm, device, columns, modes, 0, slab.n)
    sums = device.irfft_planes(potential, planes.shape)[:, :n_1, :n_2]
    return device.compact(sums.transpose(order))


def _sums_along_slabs(
    device: Device, comm: Comm, slab: Slab, values: Any, kernel: MarchFit | CylinderTable, normal: int, side: str
) -> Any:
    """Of slabs that cut the planes: of two transforms the one along the split axis waits for its lines."""
    whole = 3 - normal - slab.axis
    order = (normal, slab.axis, whole)
    kernel = kernel.exchanged if slab.axis > whole else kernel
    lines = values.transpose(order)
    n, n_local, n_whole = lines.shape
    lines = _padded(device, lines, 2, kernel.shape[1])
    n_lines, n_columns = n * n_local, kernel.shape[1] // 2 + 1
    spectrum = device.rfft_planes(lines.reshape(n_lines, 1, kernel.shape[1])).reshape(n, n_local, n_columns)
    split = Slab(1, slab.n, slab.start, slab.stop)
    rows, columns = transpose(comm, device, split, spectrum, 2, n_columns)
    modes = device.fft_rows(_padded(device, rows, 1, kernel.shape[0]))
    modes = _sums_of_modes(device, modes, kernel, side, columns)
    rows = device.fft_rows(modes, inverse=True)[:, : slab.n]
    back, _ = transpose(comm, device, columns, rows, 1, slab.n)
    sums = device.irfft_planes(back.reshape(n_lines, 1, n_columns), (n_lines, 1, kernel.shape[1]))
    sums = sums.reshape(n, n_local, kernel.shape[1])[:, :, :n_whole]
    return device.compact(sums.transpose(tuple(order.index(i) for i in range(3))))


def _sums_of_modes(device: Device, modes: Any, kernel: MarchFit | CylinderTable, side: str, columns: Slab) -> Any:
    """All planes of some columns of modes."""
    if isinstance(kernel, MarchFit):
        return device.march_modes(modes, kernel, side, columns=columns.planes)
    return device.convolve_modes(modes, kernel, side, columns=columns.planes)


def _states_send_less(comm: Comm, slab: Slab, fit: MarchFit, side: str) -> bool:
    by_states, by_transposes = march_choices((slab.n, *fit.shape), fit.n_states, 1, comm.size, N_SIDES[side])
    return bool(by_states.sum() <= by_transposes.sum())


def _march_from_states(device: Device, comm: Comm, slab: Slab, spectrum: Any, fit: MarchFit, side: str) -> Any:
    """Each rank marches over its own planes from the state behind those before them."""
    ends = device.march_end_states(spectrum, fit, side, planes=slab.planes)
    all_ends = Slab.of(comm.size * ends.shape[0], comm.rank, comm.size)
    of_all, columns = transpose(comm, device, all_ends, ends, 2, spectrum.shape[2], "state")
    n_planes = [Slab.of(slab.n, rank, comm.size).n_local for rank in range(comm.size)]
    met = device.march_incoming(of_all, fit, n_planes, side, columns=columns.planes)
    incoming, _ = transpose(comm, device, columns, met, 0, all_ends.n, "state")
    return device.march_modes(spectrum, fit, side, planes=slab.planes, incoming=incoming)
