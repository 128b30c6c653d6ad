"""Figures of fields: three planes of a 3D field in true geometry, one colour scale.

Voxels are centred on their grid points.

In   Field.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import InputError
from ..field import Field
from ..grid import Grid
from ..structure import SYMBOLS
from .along import ELEMENT_COLOURS
from .style import BLACK, NAMES, WIDTHS, axis_label, new_figure, styled

Scale = tuple[str, float, float, str]
"""Colour map, limits, and which ends are cut."""


def colour_scale(values: NDArray[Any]) -> Scale:
    """Colour map, limits and which ends are cut: diverging about zero where both signs matter, else sequential.

    Limits are the extremes, unless these stand 5 times beyond 99.5 % of the values (bare nuclei): then the ends
    are cut there, and the colour bar shows it by an arrow.

    >>> colour_scale(np.array([-1.0, 2.0]))
    ('RdBu_r', -2.0, 2.0, 'neither')
    """
    lowest, highest = float(values.min()), float(values.max())
    inner_low, inner_high = (float(q) for q in np.quantile(values, (0.005, 0.995)))
    middle = float(np.median(values))
    low = inner_low if middle - lowest > 5 * (middle - inner_low) > 0 else lowest
    high = inner_high if highest - middle > 5 * (inner_high - middle) > 0 else highest
    name = "cividis"
    if low < 0 < high and min(-low, high) > 0.02 * max(-low, high):
        name, high = "RdBu_r", max(-low, high)
        low = -high
    elif low == high:
        pad = 0.5 * (abs(low) or 1.0)
        low, high = low - pad, high + pad
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return name, low, high, extend[lowest < low, highest > high]


def in_plane(cell: NDArray[np.float64], across: int, along: int) -> NDArray[np.float64]:
    """(2, 2) in-plane coordinates of the two lattice vectors (across, along), rows; the first lies along x."""
    u, v = cell[across], cell[along]
    e1 = u / np.linalg.norm(u)
    rest = v - (v @ e1) * e1
    return np.array([[np.linalg.norm(u), 0.0], [v @ e1, np.linalg.norm(rest)]])


def draw_plane(
    axes: Any,
    plane: NDArray[Any],
    shape: tuple[int, int],
    vectors: NDArray[np.float64],
    outline: NDArray[np.float64],
    scale: Scale,
    names: tuple[str, str],
) -> Any:
    """Values of a lattice plane in true geometry, framed; the mesh, for its colour bar.

    plane    (n_u, n_v), closed along periodic vectors
    shape    points of the two lattice vectors
    vectors  (2, 2) of in_plane
    outline  (5, 2) the frame, closed [Å]
    scale    of colour_scale
    names    of the two vectors
    """
    colours, low, high, _ = scale
    u = np.arange(plane.shape[0])[:, None] / shape[0]
    v = np.arange(plane.shape[1])[None, :] / shape[1]
    x, y = (u * vectors[0, i] + v * vectors[1, i] for i in (0, 1))
    mesh = axes.pcolormesh(x, y, plane, cmap=colours, vmin=low, vmax=high, shading="gouraud", rasterized=True)
    axes.plot(outline[:, 0], outline[:, 1], color=BLACK, lw=0.6, clip_on=False)
    axes.set_xlim(outline[:, 0].min(), outline[:, 0].max())
    axes.set_ylim(outline[:, 1].min(), outline[:, 1].max())
    skewed = abs(vectors[1, 0]) > 1e-6 * vectors[1, 1]
    axes.set_xlabel(f"{names[0]} (Å)", labelpad=2)
    axes.set_ylabel(f"⊥ {names[0]} (Å)" if skewed else f"{names[1]} (Å)", labelpad=2)
    axes.minorticks_off()
    axes.tick_params(direction="out", top=False, right=False)
    if skewed:
        axes.spines[:].set_visible(False)
    return mesh


@styled
def plot_slices(
    field: Field,
    *,
    through: Sequence[float] | None = None,
    width: str = "page",
    name: str | None = None,
) -> Figure:
    """Three lattice planes of a 3D field in true geometry, in one colour scale.

    field  a whole Field on any device; its atoms within 0.6 Å of a plane are drawn as circles
    through  fractional position of the point through which the planes go, the nearest grid point is taken; by default
           the point where the field differs most from its mean
    width  "page" (7 inches) or "column" (3.4 inches)
    name   of the values, beside the colour bar; that of the quantity by default

    Raises InputError for a field of which only a slab is here.
    """
    if not field.slab.is_whole:
        raise InputError("Slices need the whole field in one place: draw what field.on_first_rank() gives there.")
    if through is not None and (len(through) != 3 or not np.isfinite(np.asarray(through, dtype=np.float64)).all()):
        raise InputError("Slices go through one point: give three fractional coordinates, such as 0.5,0.5,0.5.")
    values = field.to_host()
    grid = field.grid
    if through is None:
        most = np.argmax(np.abs(values - values.mean(dtype=np.float64)))
        index = [int(i) for i in np.unravel_index(most, values.shape)]
    else:
        index = [round(float(x) * n) % n for x, n in zip(through, grid.shape, strict=True)]
    scale = colour_scale(values)
    planes = [_Plane.of(grid, normal, index[normal]) for normal in range(3)]
    frames, bar, height = arrange([np.ptp(plane.outline, axis=0) for plane in planes], WIDTHS[width])
    page = WIDTHS[width], height
    figure = new_figure(width, height)
    marks: dict[str, Any] = {}
    for plane, frame in zip(planes, frames, strict=True):
        axes = _axes_at(figure, frame, page)
        mesh = plane.draw(axes, values, scale)
        marks |= _draw_atoms_near(axes, field, plane)
        for axis, inches in ((axes.xaxis, frame[2]), (axes.yaxis, frame[3])):
            axis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=max(2, int(3 * inches)), steps=[1, 2, 5, 10]))
    label = axis_label(name or NAMES.get(field.quantity, field.quantity), field.unit)
    _draw_colour_bar(figure, mesh, _axes_at(figure, bar, page), bar[2] > bar[3], scale, label)
    if marks:
        figure.legend(
            marks.values(),
            marks.keys(),
            loc="lower center",
            bbox_to_anchor=((bar[0] + bar[2] / 2) / page[0], (bar[1] + bar[3] + 0.08) / height),
            ncols=len(marks),
            handletextpad=0.1,
            columnspacing=0.7,
            borderpad=0,
            borderaxespad=0,
        )
    return figure


@dataclass(frozen=True, eq=False)
class _Plane:
    """A lattice plane of grid points.

    normal, index  axis of which it holds one point, and which
    first, second  axes that lie in it, the longer one first
    vectors        (2, 2) of in_plane
    outline        (5, 2) the frame, closed [Å]: over the period of a periodic axis, up to the last point of an open one
    """

    grid: Grid
    normal: int
    index: int
    first: int
    second: int
    vectors: NDArray[np.float64]
    outline: NDArray[np.float64]

    @classmethod
    def of(cls, grid: Grid, normal: int, index: int) -> _Plane:
        first, second = sorted((axis for axis in range(3) if axis != normal), key=lambda axis: -grid.lengths[axis])
        vectors = in_plane(grid.cell, first, second)
        ends = [1.0 if b == "periodic" else (n - 1) / n for b, n in zip(grid.boundary, grid.shape, strict=True)]
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
        return cls(grid, normal, index, first, second, vectors, corners * [ends[first], ends[second]] @ vectors)

    def draw(self, axes: Any, values: NDArray[Any], scale: Scale) -> Any:
        """The mesh, under a title that says where the plane lies."""
        plane = np.take(values, self.index, axis=self.normal)
        if self.first > self.second:
            plane = plane.T  # rows along `first`
        for row, axis in enumerate((self.first, self.second)):  # a periodic axis is closed by its first points
            if self.grid.boundary[axis] == "periodic":
                plane = np.concatenate([plane, np.take(plane, [0], axis=row)], axis=row)
        shape = self.grid.shape[self.first], self.grid.shape[self.second]
        names = "abc"[self.first], "abc"[self.second]
        distance = self.index * self.grid.plane_spacing(self.normal)
        axes.set_title(f"{', '.join(sorted(names))} plane at {distance:.2f} Å", pad=3, fontsize=7.5)
        return draw_plane(axes, plane, shape, self.vectors, self.outline, scale, names)


def _axes_at(figure: Figure, frame: Sequence[float], page: tuple[float, float]) -> Any:
    """Axes whose frame is given in inches."""
    x, y, w, h = frame
    width, height = page
    return figure.add_axes((x / width, y / height, w / width, h / height))


def _draw_colour_bar(figure: Figure, mesh: Any, axes: Any, flat: bool, scale: Scale, label: str) -> None:
    figure.colorbar(mesh, cax=axes, extend=scale[3], orientation="horizontal" if flat else "vertical")
    axes.minorticks_off()
    (axes.xaxis if flat else axes.yaxis).set_major_locator(matplotlib.ticker.MaxNLocator(4 if flat else 8))
    if flat:
        axes.set_xlabel(label, labelpad=2)
    else:
        axes.set_ylabel(label, labelpad=3)


Frame = tuple[float, float, float, float]


def arrange(extents: Sequence[NDArray[np.float64]], page: float) -> tuple[list[Frame], Frame, float]:
    """Frames (x, y, width, height) in inches of panels and colour bar, and the height of the figure.

    The panels share one scale: the largest that keeps the figure below 4.6 inches. They stand in one, two or
    three rows; the colour bar lies in the last row where room is left there, else it stands on the right.
    """
    left, right, bottom, top, bar_width, flat_bar, tallest = 0.5, 0.14, 0.4, 0.24, 0.75, 1.9, 4.6
    best: tuple[float, list[list[int]], bool] | None = None
    chosen = 0.0
    for rows in ([[0], [1], [2]], [[0, 1], [2]], [[0], [1, 2]], [[0, 1, 2]]):
        for lying in (True, False):
            scale = (tallest - len(rows) * (bottom + top)) / sum(max(extents[i][1] for i in row) for row in rows)
            for row in rows:
                room = page - len(row) * (left + right) - (0 if lying else bar_width)
                if lying and row is rows[-1]:
                    room -= flat_bar
                scale = min(scale, room / sum(extents[i][0] for i in row))
            merit = float(scale) / len(rows) ** 0.3  # fewer rows leave less of the page white
            if best is None or merit > best[0]:
                best, chosen = (merit, rows, lying), float(scale)
    assert best is not None
    scale, (_, rows, lying) = chosen, best
    heights = [bottom + top + float(max(extents[i][1] for i in row)) * scale for row in rows]
    total = sum(heights)
    frames: list[Frame] = [(0.0, 0.0, 0.0, 0.0)] * len(extents)
    y, x = total, left
    for row, height in zip(rows, heights, strict=True):
        y -= height
        x = left
        for i in row:
            w, h = float(extents[i][0]) * scale, float(extents[i][1]) * scale
            frames[i] = (x, y + bottom, w, h)
            x += w + right + left
    if lying:
        bar = (x - 0.1, y + bottom + 0.05, min(page - x - 0.1, 3.0), 0.1)
    else:
        tall = min(2.2, total - 0.9)
        bar = (page - bar_width + 0.02, (total - tall) / 2, 0.1, tall)
    return frames, bar, total


def _draw_atoms_near(axes: Any, field: Field, plane: _Plane) -> dict[str, Any]:
    """Atoms within 0.6 Å of a lattice plane as circles at the foot of their perpendicular; by symbol."""
    structure, grid, normal = field.structure, field.grid, plane.normal
    in_it = [plane.first, plane.second]
    marks: dict[str, Any] = {}
    if structure is None:
        return marks
    inverse = np.linalg.inv(grid.cell)
    fractional = (structure.positions - grid.origin) @ inverse
    offset = fractional[:, normal] - plane.index / grid.shape[normal]
    if grid.boundary[normal] == "periodic":
        offset -= np.round(offset)
    distance = offset * grid.height(normal)
    near = np.abs(distance) < 0.6
    foot = (structure.positions - np.outer(distance, grid.normal(normal)) - grid.origin) @ inverse
    for axis in in_it:
        if grid.boundary[axis] == "periodic":
            foot[:, axis] -= np.floor(foot[:, axis] + 1e-6)
    numbers = sorted(set(structure.numbers.tolist()), reverse=True)
    for row, number in enumerate(numbers):
        chosen = foot[near & (structure.numbers == number)][:, in_it]
        images = [chosen]
        for column in (0, 1):  # an atom on an edge of the cell shows on the opposite edge too
            joined = np.concatenate(images)
            shifted = joined[joined[:, column] < 1e-3].copy()
            shifted[:, column] += 1.0
            images.append(shifted)
        at = np.concatenate(images) @ plane.vectors
        if len(at):
            colour = ELEMENT_COLOURS[row % len(ELEMENT_COLOURS)]
            style: dict[str, Any] = {"ms": 3.2, "mfc": colour, "mec": BLACK, "mew": 0.4, "clip_on": False, "zorder": 4}
            (marks[SYMBOLS[number]],) = axes.plot(at[:, 0], at[:, 1], "o", **style)
    return marks
