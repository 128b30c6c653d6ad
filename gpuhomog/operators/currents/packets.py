"""Current of moving packets of charge: nuclei and packets of electrons, each a charge at its centre.

    J_x = (1/a) Σ_cell (q ẋ + q̇ x) per area                                     bulk cell, eqs. 9, 61, 62, as +J_x
    J_x = -σ̇_L = (1/a) Σ_cell (q ẋ + q̇ x) - Σ_{x_i < x_b} q̇_i                   body with its surface, eqs. 58, 60

    convection    (1/a) Σ_cell q ẋ             does not depend on x_b
    exchange      (1/a) Σ_cell q̇ x             of the images between x_b and x_b + a: jumps where x_b passes a packet
    conduction    -Σ_{x_i < x_b} q̇_i           eq. 64: jumps by as much the other way

Equations 59 to 64 of the paper state σ̇_L, equations 9 and 14 its negative J_x, the flow of positive charge along +x;
J is J_x here, and σ̇_L stands beside it. Where charges change, only the sum of exchange and conduction is defined, so a
bulk cell alone, which knows nothing of the packets below x_b, gives exchange with the x_b that it is for; where Σ q̇ of
the cell is not zero even the origin matters (63), and it is refused.

Positions are taken in fractions of the axis and followed across the ends of the cell, to the nearest image from frame
to frame; with cells that change, rates are those of the fractions times the length of the moment (the proper current).
Five frames are in memory at a time.

In   frames: positions, charges and cell, one after another (trajectory_average.Frame).
Out  PacketCurrent: host.

>>> t = np.arange(7) * 0.01
>>> x = np.stack([0 * t, 0.5 + 0.3 * np.sin(t), 3.6 + 0.2 * t**2], axis=1)
>>> found = packet_current(frames_on_line(x, [1.0, -0.6, -0.4], 4.0), time_step=0.01, time_unit="ps")
>>> print(f"{found.J[3]:.9f} {(-0.6 * 0.3 * np.cos(0.03) - 0.4 * 0.4 * 0.03) / 4:.9f} {found.unit}")
-0.046179752 -0.046179752 e/Å^2/ps
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, counted
from ...grid import AXIS_NAMES, Grid, axis_index
from ...results import Tables
from ..points.point_charges import passed
from ..points.trajectory_average import Frame
from ..profiles.bulk import N_SPREAD
from .rates import (
    BESIDE_START,
    FEWEST_FRAMES,
    TIME_UNIT,
    CurrentInTime,
    check_step,
    current_unit,
    elapsed,
    rates_of,
    step_of,
)

Array = NDArray[np.float64]

FARTHEST = 0.4
"""Largest step between frames, as a fraction of the cell, that is followed: half a cell could be either way round."""
CONSTANT = 1e-5
"""Largest change of the charge of a cell from frame to frame, over the sum of magnitudes, that counts as rounding."""
SAME = 1e-6
"""Largest change of the cell of a body, over its length."""
FRAME_TIME_UNIT = "ps"
"""Of the times that frames state."""


@dataclass(frozen=True, eq=False)
class PacketCurrent(CurrentInTime):
    """Current density along an axis in time; all arrays (n,) of the frames, NaN at the first and the last.

    time         from the first frame on [time_unit]
    J            J_x, the flow of positive charge along the normal [unit]
    uncertainty  |fourth order - second order| of the differences, with the spread over x_b of a body [unit]
    spread       standard deviation of J over x_b within one period of a body; NaN for a bulk cell [unit]
    J_second, J_fourth  by each order
    sigma_L_rate dσ_L/dt = -J_x, which eqs. 59 to 64 of the paper call J
    convection   its part Σ q ẋ
    exchange     its part Σ q̇ x, of the packets between x_b and x_b + a
    conduction   its part of the packets below x_b, -J(c) of eq. 64; NaN for a bulk cell, which has no surface
    transferred  charge per area that has passed since the first frame, ∫ J dt [e/Å^2]
    sigma_L      charge of the lower surface, eq. 58 [e/Å^2]; NaN for a bulk cell
    x_b          where the cell begins whose packets are summed [Å], in the first frame
    period       length of that cell [Å], in the first frame
    charge       of the cell [e]
    unit, time_unit  such as e/Å^2/fs, and fs
    planes       normal to which J is: "a", "b" or "c"
    remarks, provenance  what a reader should know; what was done
    """

    spread: Array
    J_second: Array
    J_fourth: Array
    sigma_L_rate: Array
    convection: Array
    exchange: Array
    conduction: Array
    transferred: Array
    sigma_L: Array
    x_b: float
    period: float
    charge: float
    planes: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = self.rows(self.sigma_L, self.transferred)
        how = [
            ("packets", f"of a cell of {self.period:.6g} Å from x_b = {self.x_b:.6g} Å on, planes of {self.planes}"),
            ("charge of the cell", f"{self.charge:.6g} e"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Current of packets", tuple(found)), ("How it was found", tuple(how))


def frames_on_line(positions: ArrayLike, charges: ArrayLike, length: float, area: float = 1.0) -> Iterator[Frame]:
    """Frames of packets on a line, along c of an upright cell, for packet_current.

    positions  (n_frames, n_packets) [Å]
    charges    (n_packets,) or (n_frames, n_packets) [e]
    length     of the cell along the line [Å]
    area       of its face [Å^2]

    Raises InputError for arrays that do not fit.
    """
    x, q = np.asarray(positions, dtype=np.float64), np.asarray(charges, dtype=np.float64)
    if x.ndim != 2 or q.shape not in (x.shape, x.shape[1:]):
        raise InputError(
            f"Positions of shape {x.shape} and charges of shape {q.shape}: give (frames, packets) positions, and a "
            "charge for each packet, or for each in each frame."
        )
    if not (isfinite(length) and length > 0 and isfinite(area) and area > 0):
        raise InputError(f"length = {length}, area = {area}: give a positive length in Å and area in Å^2.")
    cell = np.diag([sqrt(area), sqrt(area), length])
    for places, amounts in zip(x, np.broadcast_to(q, x.shape), strict=True):
        spots = np.zeros((len(places), 3))
        spots[:, 2] = places
        yield Frame(spots, amounts, cell)


@dataclass(frozen=True)
class _Moment:
    """One frame along the axis: fractions that go on from the frame before, charges, length and area of the cell."""

    fraction: Array
    charge: Array
    height: float
    area: float


def packet_current(
    frames: Iterable[Frame],
    axis: int | str = "c",
    *,
    time_step: float | None = None,
    time_unit: str = TIME_UNIT,
    x_b: float | None = None,
    period: float | None = None,
) -> PacketCurrent:
    """Current density along the normal of an axis from the motion of charges, with the error of its differences.

    frames     positions, charges and cell of each, the same packets in the same order; one at a time
    axis       "a", "b" or "c"
    time_step  between frames; None: that of the times that the frames state, in ps
    time_unit  of the step; it becomes part of the unit of J
    x_b        where the cell whose packets are summed begins [Å along the normal]; 0 by default, of a body half a
               period below its middle. Charges that change need it
    period     None: the frames are a bulk cell, summed whole. A length [Å]: they are a body with its surfaces, whose
               bulk has this period at x_b, and the current is that of σ_L (eq. 60), conduction included

    Source: eqs. 9, 58 to 64 of the paper. Raises InputError for fewer than three frames, numbers of packets that
    change, steps of more than 0.4 of a cell, times that are not uniform, a body whose bulk is not neutral or
    whose cell changes its length, and a charge of the cell that changes: the current then depends on the origin.
    """
    index = axis_index(axis)
    check_step(time_step, time_unit)
    if not isfinite(x_b or 0.0) or (period is not None and not (isfinite(period) and period > 0)):
        raise InputError(f"x_b = {x_b}, period = {period}: give a position and a positive length in Å.")
    sums = _Sums(x_b, period)
    times: list[float | None] = []
    for frame in frames:
        times.append(frame.time)
        sums.add(frame, index)
    if len(times) < FEWEST_FRAMES:
        raise InputError(
            f"{counted(len(times), 'frame')}: a current is a rate of change, for which at least {FEWEST_FRAMES} are "
            "needed."
        )
    if time_step is None:
        time_step, time_unit = step_of(times), FRAME_TIME_UNIT
    return sums.result(time_step, time_unit, AXIS_NAMES[index])


class _Sums:
    """Sums over packets, frame by frame; five frames at a time."""

    def __init__(self, x_b: float | None, period: float | None) -> None:
        self.given, self.period = x_b, period
        self.x_b = x_b or 0.0
        self.near: deque[_Moment] = deque(maxlen=5)
        self.n = 0
        self.moved: list[float] = []  # charge per area that passed between two frames
        self.sigma: list[Array] = []  # of a body, at x_b and at places within a period of it
        self.parts: dict[int, list[Array]] = {2: [], 4: []}  # (3,) of each inner frame, per step of time
        self.beside_start: Array | None = None  # (3,) of the second frame, of fourth order
        self.first: _Moment | None = None
        self.charge = 0.0
        self.varied = False

    def add(self, frame: Frame, index: int) -> None:
        """One more frame."""
        grid = Grid((1, 1, 1), frame.cell)
        charges = np.asarray(frame.charges, dtype=np.float64)
        fraction = grid.fractional(np.asarray(frame.positions, dtype=np.float64))[:, index]
        if charges.shape != fraction.shape or not (np.isfinite(charges).all() and np.isfinite(fraction).all()):
            raise InputError(
                f"Frame {self.n}: {counted(len(charges), 'charge')} at {counted(len(fraction), 'position')}: give a "
                "finite charge in e for each finite position in Å."
            )
        before = self.near[-1] if self.near else None
        if before is not None:
            if len(before.fraction) != len(fraction):
                raise InputError(
                    f"Frame {self.n} has {counted(len(fraction), 'packet')}, those before {len(before.fraction)}: a "
                    "packet that comes or goes has no velocity. Give the same packets in the same order."
                )
            step = fraction - before.fraction
            step -= np.round(step)
            farthest = int(np.argmax(np.abs(step))) if len(step) else 0
            if len(step) and abs(step[farthest]) > FARTHEST:
                raise InputError(
                    f"Packet {farthest} moves by {abs(step[farthest]):.3g} of the cell from frame {self.n - 1} to "
                    f"{self.n}: which way round is not known beyond {FARTHEST}. Give frames closer in time."
                )
            fraction = before.fraction + step
        moment = _Moment(fraction, charges, grid.height(index), grid.area(index))
        if self.first is not None and self.period is not None:
            change = abs(moment.height - self.first.height)
            if change > SAME * self.first.height:
                raise InputError(
                    f"The cell of frame {self.n} is {moment.height:.8g} Å long, that of frame 0 "
                    f"{self.first.height:.8g}: a body with surfaces does not scale with its cell. Keep the cell, or "
                    "leave out the period."
                )
        if before is None and self.period is not None and self.given is None:
            x = fraction * moment.height
            self.x_b = float(x.min() + x.max() - self.period) / 2
        if before is not None:
            self._check_charge(before, moment)
            self.moved.append(self._passed(before, moment))
        else:
            self.first, self.charge = moment, float((charges * self._inside(moment)).sum())
            gross = float((np.abs(charges) * self._inside(moment)).sum())
            if self.period is not None and not (gross > 0 and abs(self.charge) <= CONSTANT * gross):
                raise InputError(
                    f"The cell from x_b = {self.x_b:g} Å on, {self.period:g} Å long, carries {self.charge:.6g} e in "
                    f"charges of {gross:.6g} e: the bulk must be there and neutral, or σ_L depends on x_b. Give the "
                    "period of the bulk, and x_b within it."
                )
        if self.period is not None:
            self.sigma.append(self._surface_charge(moment))
        self.near.append(moment)
        self.n += 1
        if self.n >= 3:
            self.parts[2].append(self._parts(-2, (-1, 1), (-0.5, 0.5)))
        if self.n >= 5:
            self.parts[4].append(self._parts(-3, (-2, -1, 1, 2), (1 / 12, -2 / 3, 2 / 3, -1 / 12)))
        if self.n == 5:
            self.beside_start = self._parts(-4, tuple(BESIDE_START), tuple(BESIDE_START.values()))

    def _length(self, moment: _Moment) -> float:
        return moment.height if self.period is None else self.period

    def _place(self, moment: _Moment) -> Array:
        """Positions [Å] that the parts with q̇ see: images from x_b on in a bulk cell, where they are in a body."""
        x = moment.fraction * moment.height
        return x if self.period is not None else self.x_b + (x - self.x_b) % moment.height

    def _inside(self, moment: _Moment) -> Array:
        """1 for packets of the cell from x_b on, 1/2 for those at its ends; all of a bulk cell."""
        if self.period is None:
            return np.ones(len(moment.fraction))
        from_x_b = moment.fraction * moment.height - self.x_b
        return passed(from_x_b) - passed(from_x_b - self.period)

    def _check_charge(self, before: _Moment, moment: _Moment) -> None:
        """The charge of the cell must not change: of the packets that are in it in the later frame."""
        change = moment.charge - before.charge
        self.varied = self.varied or bool(np.any(change != 0.0))
        inside = self._inside(moment)
        total, gross = float((change * inside).sum()), float((np.abs(moment.charge) * inside).sum())
        if abs(total) > CONSTANT * gross:
            raise InputError(
                f"sum qdot = {total:.6g} e from frame {self.n - 1} to {self.n}: origin dependent (63). The charge of "
                "the cell must be constant: complete it, or give period= and x_b= within the bulk."
            )

    def _passed(self, before: _Moment, moment: _Moment) -> float:
        """∫ J dt between two frames: the change of Σ q x, with images that do not jump."""
        step = moment.fraction - before.fraction
        start = self._place(before) / before.height
        area = (before.area + moment.area) / 2
        convection = ((before.charge + moment.charge) / 2 * step).sum()
        exchange = ((moment.charge - before.charge) * (start + step / 2)).sum()
        return float(convection + exchange) / area

    def _surface_charge(self, moment: _Moment) -> Array:
        """Eq. 58, as the mean of the cumulative charge over the cell from x_b on; and from places around it."""
        assert self.period is not None
        places = self.x_b + self.period * np.concatenate([[0.0], np.linspace(-0.5, 0.5, N_SPREAD)])
        from_x_b = moment.fraction * moment.height - self.x_b
        near = np.abs(from_x_b - self.period / 2) <= 2 * self.period
        below = float(moment.charge[from_x_b < -1.5 * self.period].sum())
        beyond = (places[:, None] + self.period - (from_x_b[near] + self.x_b)) / self.period
        return (np.clip(beyond, 0.0, 1.0) @ moment.charge[near] + below) / moment.area

    def _parts(self, at: int, offsets: tuple[int, ...], weights: tuple[float, ...]) -> Array:
        """Convection, exchange and conduction at a frame, times the step of time [e/Å^2]."""
        here = self.near[at]
        velocity, change = np.zeros(len(here.fraction)), np.zeros(len(here.fraction))
        for offset, weight in zip(offsets, weights, strict=True):
            other = self.near[at + offset]
            velocity += weight * (other.fraction - here.fraction)
            change += weight * (other.charge - here.charge)
        velocity *= here.height
        inside, length = self._inside(here), self._length(here)
        convection = float((here.charge * velocity * inside).sum()) / length
        exchange = float((change * self._place(here) * inside).sum()) / length
        conduction = np.nan
        if self.period is not None:
            conduction = -float((change * passed(self.x_b - self._place(here))).sum())
        return np.array([convection, exchange, conduction]) / here.area

    def result(self, time_step: float, time_unit: str, planes: str) -> PacketCurrent:
        """What packet_current returns."""
        assert self.first is not None
        unit = current_unit(time_unit)
        parts = {order: np.full((self.n, 3), np.nan) for order in (2, 4)}
        for order, edge in ((2, 1), (4, 2)):
            if self.parts[order]:
                parts[order][edge : self.n - edge] = np.array(self.parts[order]) / time_step
        kept = slice(0, 2) if self.period is None else slice(0, 3)
        second, fourth = (parts[order][:, kept].sum(axis=1) for order in (2, 4))
        uncertainty = np.abs(fourth - second)
        if self.beside_start is not None:
            offsets, weights = zip(*((-i, -weight) for i, weight in BESIDE_START.items()), strict=True)
            for at, beside in ((1, self.beside_start), (-2, self._parts(-2, offsets, weights))):
                uncertainty[at] = abs(beside[kept].sum() / time_step - second[at])
        J = np.where(np.isnan(fourth), second, fourth)
        best = np.where(np.isnan(parts[4][:, :1]), parts[2], parts[4])
        transferred = np.concatenate([[0.0], np.cumsum(self.moved)])
        sigma, spread = np.full(self.n, np.nan), np.full(self.n, np.nan)
        if self.period is not None:
            everywhere = np.array(self.sigma)
            sigma = everywhere[:, 0]
            spread = rates_of(everywhere[:, 1:], time_step).value.std(axis=1)
            uncertainty = np.hypot(uncertainty, spread)
            transferred = sigma[0] - sigma
        remarks = []
        gross = float((np.abs(self.first.charge) * self._inside(self.first)).sum())
        if abs(self.charge) > CONSTANT * gross:
            remarks.append(
                f"the cell carries {self.charge:.4g} e: its current is that in the frame of the coordinates, and "
                "changes with their motion"
            )
        if self.varied and self.period is None:
            remarks.append(
                f"charges change: J is for x_b = {self.x_b:g} Å, and jumps where x_b passes a packet; a body with its "
                "surface (period=) has the conduction that makes up for it (60)"
            )
        step = {"step": "packet current", "frames": self.n, "time_step": time_step, "time_unit": time_unit}
        return PacketCurrent(
            time=elapsed(self.n, time_step),
            J=J,
            uncertainty=uncertainty,
            spread=spread,
            J_second=second,
            J_fourth=fourth,
            sigma_L_rate=-J,
            convection=best[:, 0],
            exchange=best[:, 1],
            conduction=best[:, 2],
            transferred=transferred,
            sigma_L=sigma,
            x_b=self.x_b,
            period=self._length(self.first),
            charge=self.charge,
            unit=unit,
            time_unit=time_unit,
            planes=planes,
            remarks=tuple(remarks),
            provenance=({**step, "axis": planes, "x_b": self.x_b, "period": self.period},),
        )
