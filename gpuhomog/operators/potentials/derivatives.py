"""Derivatives of a field along its axes: exact on periodic ones, of eighth order on open ones.

    ∂f/∂s_i      s_i the fraction of lattice vector i: modes times 2πi n_i, or differences of nine points, error O(h^8)
    ∇f = Σ_i (B_i/2π) ∂f/∂s_i,   ∇²f = Σ_ij (B_i·B_j/4π²) ∂²f/∂s_i∂s_j          on any cell

Nothing is assumed beyond an open axis: the differences near its ends lean inwards.

In   Field in memory, any device, whole or slab.
Out  arrays of its shape on its device.

>>> np.round(difference_matrix(4, 2), 12).tolist()[1]
[16.0, -32.0, 16.0, 0.0]
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...fft import Derivative, Multiplier, Part, filtered
from ...field import Field
from ...grid import OPEN
from ...parallel.exchange import contract_planes

POINTS = 9
"""Of a difference; fewer where the axis has fewer."""


def difference_matrix(n: int, order: int) -> NDArray[np.float64]:
    """(n, n) weights of the order-th derivative by the fraction of an axis of n points, not periodic."""
    points = min(POINTS, n) if min(POINTS, n) % 2 or n < POINTS else POINTS - 1
    matrix = np.zeros((n, n))
    for i in range(n):
        first = min(max(0, i - points // 2), n - points)
        offsets = np.arange(first, first + points) - float(i)
        powers = np.vander(offsets, increasing=True).T
        wanted = np.zeros(points)
        if order < points:
            wanted[order] = factorial(order) * float(n) ** order
        matrix[i, first : first + points] = np.linalg.solve(powers, wanted)
    return matrix


def derivative(field: Field, values: Any, axes: tuple[int, ...]) -> Any:
    """∂/∂s of some values of the field's shape, along one axis or two, which may be the same."""
    grid = field.grid
    spectral = [axis for axis in axes if grid.boundary[axis] != OPEN]
    if spectral:
        parts: list[Part] = [Derivative(2 * np.pi * np.eye(3), np.eye(3)[axis]) for axis in spectral]
        multiplier = Multiplier(grid.shape, parts, is_complex=len(parts) % 2 == 1)
        if len(parts) == 2:
            multiplier = Multiplier(grid.shape, [lambda a, b, c: (parts[0](a, b, c) * parts[1](a, b, c)).real])
        values = filtered(field.device, values, multiplier, slab=field.slab, comm=field.comm)[0]
    for axis in {axis for axis in axes if axis not in spectral}:
        matrix = difference_matrix(grid.shape[axis], axes.count(axis))
        if axis == field.slab.axis:
            values, _ = contract_planes(field.comm, field.device, field.slab, values, matrix)
        else:
            values = field.device.contract(values, matrix, axis)
    return values


def gradient(field: Field) -> list[Any]:
    """Values of the three Cartesian components of ∇f [unit/Å]."""
    grid, rows = field.grid, field.grid.reciprocal
    if OPEN not in grid.boundary:
        parts = [Multiplier(grid.shape, [Derivative(rows, np.eye(3)[i])], is_complex=True) for i in range(3)]
        return field.filtered(parts, [f"component {x} of the gradient" for x in "xyz"])
    along = [derivative(field, field.values, (axis,)) for axis in range(3)]
    return [_combined(field, rows[:, i] / (2 * np.pi), along) for i in range(3)]


def laplacian(field: Field) -> Any:
    """Values of ∇²f [unit/Å²] of a field with an open axis, by differences along it."""
    metric = field.grid.reciprocal @ field.grid.reciprocal.T / (4 * np.pi**2)
    pairs = [(i, j) for i in range(3) for j in range(i, 3) if abs(metric[i, j]) > 1e-14 * metric.max()]
    weights = [metric[pair] * (1 if pair[0] == pair[1] else 2) for pair in pairs]
    return _combined(field, weights, [derivative(field, field.values, pair) for pair in pairs])


def _combined(field: Field, weights: Any, parts: list[Any]) -> Any:
    """Sum of arrays times numbers, in the field's precision, without those that are only rounding."""
    largest, kind, total = np.abs(weights).max(), field.values.dtype.type, None
    for weight, part in zip(weights, parts, strict=True):
        if abs(weight) > 1e-14 * largest:
            term = part * kind(weight)
            total = term if total is None else total + term
    return total
