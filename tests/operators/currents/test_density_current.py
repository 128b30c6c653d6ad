"""Current of a series of densities: analytic motion of packets, d(dipole)/dt, every way of reading, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.parallel import Slab

CELLS, PERIOD, STD, STEP = 24, 4.0, 0.35, 0.01
LENGTH, N = 120.0, 960
X = np.arange(N) * (LENGTH / N)


def line(parts, cells=CELLS, start=12.0):
    """Charge density of cells of (position, charge) packets, one after another."""
    places = np.array([start + PERIOD * m + x for m in range(cells) for x, _ in parts])
    q = np.array([q for _ in range(cells) for _, q in parts])
    away = (X[:, None] - places) / STD
    return np.exp(-0.5 * away**2) @ q / (STD * np.sqrt(2 * np.pi))


def moving(t):
    """The check's crystal: a nucleus and two packets that move; and its current."""
    return (
        [(0.0, 1.0), (0.5 + 0.3 * np.sin(t), -0.6), (-0.4 + 0.2 * t**2, -0.4)],
        (-0.6 * 0.3 * np.cos(t) - 0.4 * 0.4 * t) / PERIOD,
    )


TIMES = 0.7 + STEP * np.arange(-3, 4)
DENSITIES = [line(moving(t)[0]) for t in TIMES]
CURRENTS = np.array([moving(t)[1] for t in TIMES])


def profiles(densities=DENSITIES, boundary="periodic", shift=0):
    for values in densities:
        yield gh.Profile(X, np.roll(values, shift), "e/Å^3", "charge_density", LENGTH, boundary=boundary)


def fields(densities=DENSITIES, device="cpu", axis=0, dtype=np.float64):
    shape, cell = [2, 2, 2], [2.0, 2.0, 2.0]
    shape[axis], cell[axis] = N, LENGTH
    for values in densities:
        along = [None, None, None]
        along[axis] = slice(None)
        filled = np.broadcast_to(values[tuple(along)], shape).astype(dtype)
        yield gh.Field.from_array(filled, np.diag(cell), quantity="charge_density", device=device)


def test_both_orders_and_what_should_hold():
    found = gh.density_current(profiles(), time_step=STEP, time_unit="ps", period=PERIOD)
    assert found.unit == "e/Å^2/ps" and found.estimator == "period window"
    assert found.J_fourth[2:-2] == pytest.approx(CURRENTS[2:-2], abs=1e-9)
    error = np.abs(found.J_second - CURRENTS)[1:-1]
    assert 1e-8 < error.max() < 1e-6
    assert (np.abs(found.J - CURRENTS)[1:-1] <= 1.2 * found.uncertainty[1:-1]).all()
    assert (found.uncertainty[1:-1] < 2e-6).all()
    assert np.nanmax(found.spread) < 1e-11  # rounding of σ over the step
    assert found.closure < 1e-12 and abs(found.total) < 1e-12
    assert found.length == CELLS * PERIOD
    assert found.J_dipole[2:-2] == pytest.approx(CURRENTS[2:-2], abs=1e-9)  # every cell moves alike, surfaces too
    assert (found.sigma_L_rate[1:-1] == -found.J[1:-1]).all()
    sigma = gh.surface_charge(next(profiles()), period=PERIOD)
    assert found.sigma_L[0] == pytest.approx(float(sigma.low), abs=1e-13)
    assert found.sigma_R[0] == pytest.approx(float(sigma.high), abs=1e-13)
    assert found.sigma_L_kernel == pytest.approx(found.sigma_L, abs=1e-6)
    assert found.transferred[-1] == pytest.approx(found.sigma_L[0] - found.sigma_L[-1])
    packets = [[[x, q] for x, q in moving(t)[0]] for t in TIMES]
    x = np.array([[place for place, _ in cell] for cell in packets])
    by_packets = gh.packet_current(gh.frames_on_line(x, [1.0, -0.6, -0.4], PERIOD), time_step=STEP)
    assert by_packets.J[1:-1] == pytest.approx(found.J[1:-1], abs=1e-9)
    assert "period window" in str(found) and "J at" in str(found)


def test_rounding_to_float32_is_in_the_uncertainty():
    """Frames a short time apart are rounded independently; the second and the fourth order alone show a part of it."""
    how = {"axis": "a", "time_step": 1e-3 * STEP, "time_unit": "ps", "period": PERIOD}
    densities = [line(moving(0.7 + 1e-3 * STEP * step)[0]) for step in range(9)]
    whole, rounded = (gh.density_current(fields(densities, dtype=kept), **how) for kept in (np.float64, np.float32))
    apart = np.abs(rounded.J - whole.J)[1:-1]
    assert (apart <= 2 * rounded.uncertainty[1:-1]).all()
    assert (rounded.uncertainty[1:-1] < 100 * apart.max()).all()


@settings(max_examples=6)
@given(x_b=st.floats(30.0, 90.0), shift=st.integers(0, N - 1))
def test_neither_the_cut_nor_the_place_in_the_cell_matters(x_b, shift):
    """Also of a body that lies across the end of the cell."""
    moved = (x_b + shift * LENGTH / N) % LENGTH
    found = gh.density_current(profiles(DENSITIES[1:6], shift=shift), time_step=STEP, x_b=moved, period=PERIOD)
    assert found.J[2] == pytest.approx(CURRENTS[3], abs=1e-9)
    assert found.J_dipole[2] == pytest.approx(CURRENTS[3], abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_fields_on_every_device(device, axis, dtype):
    given = fields(DENSITIES[1:6], device, axis, dtype)
    found = gh.density_current(given, "abc"[axis], time_step=STEP, period=PERIOD)
    assert found.J[2] == pytest.approx(CURRENTS[3], abs=1e-9 if dtype == np.float64 else 2e-5)
    assert abs(found.J[2] - CURRENTS[3]) < 4 * found.uncertainty[2] + 1e-9
    assert found.planes == "abc"[axis]


def test_oblique_cell(triclinic):
    """Along the normal of the planes, which is not the axis."""
    cell = triclinic.copy()
    cell[2] *= LENGTH / gh.Grid((1, 1, 1), cell).height(2)
    made = [
        gh.Field.from_array(np.broadcast_to(v, (2, 3, N)).copy(), cell, quantity="charge_density")
        for v in DENSITIES[1:6]
    ]
    assert gh.density_current(made, "c", time_step=STEP, period=PERIOD).J[2] == pytest.approx(CURRENTS[3], abs=1e-9)


@pytest.mark.parametrize("split", [0, 2])
def test_on_ranks(split):
    def work(comm):
        def parts():
            for whole in fields(DENSITIES[1:6], axis=2):
                slab = Slab.of(whole.grid.shape[split], comm.rank, comm.size, split)
                planes = [slice(None)] * 3
                planes[split] = slab.planes
                yield replace(whole, values=whole.values[tuple(planes)], slab=slab, comm=comm)

        return gh.density_current(parts(), "c", time_step=STEP, period=PERIOD)

    for found in together(3, work):
        assert found.J[2] == pytest.approx(CURRENTS[3], abs=1e-9)


def test_frames_that_are_read_some_planes_at_a_time(tmp_path):
    paths = []
    for number, field in enumerate(fields(DENSITIES[1:6], axis=2)):
        paths.append(tmp_path / f"{number}.h5")
        gh.write(field, paths[-1])
    given = (gh.read(path, max_memory="4GB") for path in paths)
    found = gh.density_current(given, "c", time_step=STEP, period=PERIOD)
    assert found.J[2] == pytest.approx(CURRENTS[3], abs=1e-9)


def test_one_frame_is_in_memory_at_a_time():
    alive, most = set(), 0

    class Counted(gh.Profile):
        def __del__(self):
            alive.discard(id(self))

    def counted():
        nonlocal most
        for profile in profiles(DENSITIES):
            frame = Counted(profile.position, profile.values, "e/Å^3", "charge_density", LENGTH)
            alive.add(id(frame))
            most = max(most, len(alive))
            yield frame

    gh.density_current(counted(), time_step=STEP, period=PERIOD)
    assert most <= 3  # the first, whose cut holds for all, the last and the one that is made


def test_a_bulk_without_a_period():
    """Disorder that is neutral molecule by molecule: the kernel leads, and d(dipole)/dt is the oracle."""
    rng = np.random.default_rng(3)
    places = np.arange(12.0, 108.0, 1.6) + rng.uniform(-0.3, 0.3, 60)
    lengths = rng.uniform(0.3, 0.7, 60)

    def density(t):
        ends = [(places, 1.0), (places + lengths + 0.2 * np.sin(t), -1.0)]
        return sum(
            q * np.exp(-0.5 * ((X[:, None] - x) / STD) ** 2).sum(axis=1) / (STD * np.sqrt(2 * np.pi)) for x, q in ends
        )

    frames = profiles([density(t) for t in TIMES])
    found = gh.density_current(frames, time_step=STEP, period=None, eps=16.0)
    expected = -60 * 0.2 * np.cos(TIMES[3]) / 96.0
    assert found.estimator == "kernel" and np.isnan(found.sigma_L_period).all()
    assert found.closure < 1e-12
    assert found.J[3] == pytest.approx(expected, rel=0.02)
    assert abs(found.J[3] - expected) < 4 * found.uncertainty[3]


def test_times_instead_of_a_step():
    found = gh.density_current(profiles(), times=TIMES, period=PERIOD)
    assert found.J[3] == pytest.approx(CURRENTS[3], abs=1e-9)


def charged():
    for n, values in enumerate(DENSITIES):
        yield gh.Profile(X, values * (1 + 0.01 * n) + 0.01 * n * np.abs(values), "e/Å^3", "charge_density", LENGTH)


def broken():
    """A bulk of one charge too many at x_b in the third frame, taken from the far end: not neutral over a period."""
    for n, values in enumerate(DENSITIES):
        extra = line([(0.0, 1.0)], cells=1, start=60.0) - line([(0.0, 1.0)], cells=1, start=100.0)
        yield gh.Profile(X, values + extra * (n == 2), "e/Å^3", "charge_density", LENGTH)


def wandering():
    for n, values in enumerate(DENSITIES):
        yield gh.Profile(X, np.roll(values, 60 * n), "e/Å^3", "charge_density", LENGTH)


def bulk():
    for n in range(3):
        yield gh.Profile(X, np.cos(2 * np.pi * X / 4 + n), "e/Å^3", "charge_density", LENGTH)


SOME = {"time_step": STEP, "period": PERIOD}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gh.density_current(profiles(DENSITIES[:2]), **SOME), ["2 frames", "at least 3"]),
        (lambda: gh.density_current(iter(()), **SOME), ["0 frames"]),
        (lambda: gh.density_current(charged(), **SOME), ["charge of the body changes", "frame 1"]),
        (lambda: gh.density_current(broken(), x_b=60.3, **SOME), ["Frame 2", "no neutral bulk", "x_b"]),
        (lambda: gh.density_current(wandering(), **SOME), ["Frame 2", "vacuum"]),
        (lambda: gh.density_current(bulk(), **SOME), ["packet_current", "berry_phase", "density alone"]),
        (lambda: gh.density_current(profiles(), period=PERIOD), ["time_step", "times"]),
        (lambda: gh.density_current(profiles(), times=[0, 1], period=PERIOD), ["2 times for 7 frames"]),
        (
            lambda: gh.density_current(profiles(), times=[0, 1, 2, 3, 4, 5, 7], period=PERIOD),
            ["not uniform", "from frame 5 to 6"],
        ),
        (lambda: gh.density_current(profiles(), time_step=0.0), ["time_step = 0"]),
        (
            lambda: gh.density_current([next(profiles()), *bulk_of_another_grid()], **SOME),
            ["Frame 1", "480 planes", "one grid"],
        ),
        (lambda: gh.density_current(not_a_charge(), **SOME), ["scalar", "charge_density"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError) as refused:
        call()
    for word in words:
        assert word in str(refused.value)


def bulk_of_another_grid():
    yield gh.Profile(X[::2], DENSITIES[0][::2], "e/Å^3", "charge_density", LENGTH)


def not_a_charge():
    yield gh.Profile(X, DENSITIES[0], "e/Å^3", "scalar", LENGTH)
