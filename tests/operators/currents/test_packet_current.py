"""Currents of packets: analytic motion, d(dipole)/dt of a body, what cannot matter, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError

CHARGES = np.array([1.0, -0.6, -0.4])
STEP = 0.01


def motion(t):
    """(n, 3) positions of a nucleus and two packets in a cell of 4 Å, and their velocities."""
    zero = 0 * t
    x = np.stack([zero, 0.5 + 0.3 * np.sin(t), 3.6 + 0.2 * t**2], axis=1)
    return x, np.stack([zero, 0.3 * np.cos(t), 0.4 * t], axis=1)


def body(x, charges, n, period=4.0):
    """The same packets in n cells one after another: positions (frames, n * packets), charges likewise."""
    offsets = period * np.arange(n)
    q = np.broadcast_to(charges, x.shape)
    return (x[:, None, :] + offsets[:, None]).reshape(len(x), -1), np.tile(q, (1, n))


def test_current_of_moving_packets():
    t = 0.7 + STEP * np.arange(-4, 5)
    x, v = motion(t)
    expected = (v * CHARGES).sum(axis=1) / 4 / 3
    found = gh.packet_current(gh.frames_on_line(x, CHARGES, 4.0, area=3.0), time_step=STEP, time_unit="ps")
    assert found.unit == "e/Å^2/ps" and found.time_unit == "ps"
    assert np.isnan(found.J[[0, -1]]).all() and found.time[1] == STEP
    assert found.J[2:-2] == pytest.approx(expected[2:-2], abs=1e-10)
    error = np.abs(found.J - expected)[1:-1]
    assert (error <= found.uncertainty[1:-1] * 1.01 + 1e-12).all()
    second = found.J_second[1:-1] - expected[1:-1]
    assert 1e-8 < np.abs(second).max() < 1e-5  # dt² f'''/6: what the uncertainty must find
    assert (found.sigma_L_rate[1:-1] == -found.J[1:-1]).all()
    moved = ((x[-1] - x[0]) * CHARGES).sum() / 12
    assert found.transferred[-1] == pytest.approx(moved, abs=1e-14)
    assert "Current of packets" in str(found) and "e/Å^2/ps" in str(found)
    assert found.to_dict()["J"][0] is None


def test_three_frames_have_a_current_without_an_error():
    x, _ = motion(0.7 + STEP * np.arange(3))
    found = gh.packet_current(gh.frames_on_line(x, CHARGES, 4.0), time_step=STEP)
    assert found.J[1] == found.J_second[1] and np.isnan(found.uncertainty[1]) and found.unit == "e/Å^2/fs"
    assert "±" not in str(found)


@given(
    shift=st.floats(-20, 20),
    order=st.permutations(range(3)),
    cells=st.integers(1, 3),
    seed=st.integers(0, 99),
    turned=st.floats(0, 6),
)
def test_what_cannot_matter(shift, order, cells, seed, turned):
    """The frame's origin, the order of packets, the cell that repeats, images that readers fold back, the axes."""
    x, v = motion(0.7 + STEP * np.arange(7))
    expected = ((v * CHARGES).sum(axis=1) / 4)[3]
    places, q = body(x[:, order], CHARGES[order], cells)
    frames = list(gh.frames_on_line(places + shift, q, 4.0 * cells))
    images = np.random.default_rng(seed).integers(-2, 3, size=places.shape)
    rotation = np.array([[np.cos(turned), 0, np.sin(turned)], [0, 1, 0], [-np.sin(turned), 0, np.cos(turned)]])
    frames = [
        gh.Frame((f.positions + np.outer(n, f.cell[2])) @ rotation, f.charges, f.cell @ rotation)
        for f, n in zip(frames, images, strict=True)
    ]
    found = gh.packet_current(iter(frames), "c", time_step=STEP)
    assert found.J[3] == pytest.approx(expected, abs=2e-9)


def test_along_each_axis_of_an_oblique_cell(triclinic, rng):
    """J·n of (1/V) Σ q v, whichever axis; positions folded into the cell."""
    volume = abs(np.linalg.det(triclinic))
    start, velocity = rng.uniform(0, 5, (6, 3)), rng.normal(size=(6, 3))
    q = rng.normal(size=6)
    q -= q.mean()
    frames = []
    for t in range(6):
        fraction = (start + 0.1 * t * velocity) @ np.linalg.inv(triclinic) % 1.0
        frames.append(gh.Frame(fraction @ triclinic, q, triclinic, 0.1 * t))
    grid = gh.Grid((1, 1, 1), triclinic)
    for axis in range(3):
        found = gh.packet_current(frames, axis)
        assert found.J[3] == pytest.approx(q @ velocity @ grid.normal(axis) / volume, abs=1e-12)
        assert found.unit == "e/Å^2/ps" and found.planes == "abc"[axis]


@given(x_b=st.floats(78.0, 90.0))
def test_the_total_of_a_body_does_not_depend_on_where_it_is_cut(x_b):
    """Charges that change while they move: the parts jump where x_b passes a packet, their sum does not (60)."""
    t = 0.3 + STEP * np.arange(5)
    x, _ = motion(t)
    q = np.broadcast_to(CHARGES, x.shape) + 0.1 * np.sin(t)[:, None] * np.array([0.0, 1.0, -1.0])
    places, amounts = body(x, q, 40)
    # the body alone: rate of its dipole over its length, analytic
    rate = 0.1 * np.cos(t[2])
    v = np.array([0.0, 0.3 * np.cos(t[2]), 0.4 * t[2]])
    expected = ((q[2] * v).sum() + rate * (x[2, 1] - x[2, 2])) / 4
    found = gh.packet_current(gh.frames_on_line(places, amounts, 400.0), time_step=STEP, x_b=x_b, period=4.0)
    assert found.J[2] == pytest.approx(expected, abs=1e-9)
    assert found.convection[2] + found.exchange[2] + found.conduction[2] == pytest.approx(found.J[2], abs=1e-12)
    passed = (found.sigma_L[1] - found.sigma_L[3]) / (2 * STEP)
    assert found.J_second[2] == pytest.approx(passed, abs=2e-6)
    assert found.transferred[-1] == pytest.approx(found.sigma_L[0] - found.sigma_L[-1])


def test_a_body_is_cut_in_its_middle_and_says_how_cells_differ():
    """Cells whose packets move at speeds of their own: J depends on x_b, and the spread tells by how much."""
    rng = np.random.default_rng(8)
    cells, t = 4.0 * np.arange(30), np.arange(5.0)
    speeds = 0.1 + 0.02 * rng.normal(size=30)
    places = np.concatenate([np.broadcast_to(cells, (5, 30)), cells + 1.0 + t[:, None] * speeds], axis=1)
    charges = np.repeat([1.0, -1.0], 30)
    found = gh.packet_current(frames_of(places, charges), time_step=1.0, period=4.0)
    assert found.x_b == pytest.approx((places[0].min() + places[0].max()) / 2 - 2.0)
    assert found.J[2] == pytest.approx(-speeds.mean() / 4, abs=4 * found.uncertainty[2])
    assert 0.001 < found.spread[2] < 0.01
    alike = gh.packet_current(frames_of(places * 0 + places[:1], charges), time_step=1.0, period=4.0)
    assert alike.spread[2] < 1e-15


def frames_of(places, charges):
    return gh.frames_on_line(places, charges, 400.0)


def test_parts_jump_and_are_tagged():
    x = np.broadcast_to([0.5, 2.5], (5, 2))
    q = 0.1 * STEP * np.arange(5)[:, None] * np.array([1.0, -1.0]) + np.array([1.0, -1.0])
    places, amounts = body(x, q, 40)
    parts = {}
    for x_b in (80.0, 81.0, 83.0):
        found = gh.packet_current(gh.frames_on_line(places, amounts, 400.0), time_step=STEP, x_b=x_b, period=4.0)
        parts[x_b] = (found.conduction[2], found.exchange[2])
        assert found.x_b == x_b
    assert np.array(list(parts.values())) == pytest.approx(np.array([[0, -0.05], [-0.1, 0.05], [0, -0.05]]), abs=1e-12)
    # a bulk cell has no packets below x_b: it says so, and for which x_b its number is
    cell = gh.packet_current(gh.frames_on_line(x, q, 4.0), time_step=STEP, x_b=1.0)
    assert cell.J[2] == pytest.approx(0.05) and np.isnan(cell.conduction).all()
    assert any("x_b = 1 Å" in remark for remark in cell.remarks)


def test_a_cell_with_charge_says_that_its_current_moves_with_the_frame():
    x = np.array([[0.0], [0.1], [0.2]])
    found = gh.packet_current(gh.frames_on_line(x, [1.0], 4.0), time_step=1.0)
    assert found.J[1] == pytest.approx(0.025) and "carries 1 e" in found.remarks[0]


def test_cells_that_change_give_the_proper_current():
    """Fractions that stay are no current, however the cell is strained."""
    cells = [np.diag([2.0, 2.0, 4.0 + 0.1 * t]) for t in range(4)]
    fractions = np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.4]])
    still = [gh.Frame(fractions @ cell, np.array([1.0, -1.0]), cell) for cell in cells]
    assert gh.packet_current(still, time_step=1.0).J[1:-1] == pytest.approx(0, abs=1e-15)


def frames(x, q=CHARGES, **how):
    return gh.frames_on_line(np.asarray(x, dtype=float), q, 4.0, **how)


X = np.array([[0.0, 0.5, 3.6]] * 5)
GROWING = CHARGES + 0.01 * np.arange(5)[:, None] * np.array([0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gh.packet_current(frames(X, GROWING), time_step=0.1), ["sum qdot = 0.01", "origin dependent (63)"]),
        (lambda: gh.packet_current(frames(X[:2]), time_step=0.1), ["2 frames", "at least 3"]),
        (lambda: gh.packet_current(frames(X + 1.7 * np.arange(5)[:, None]), time_step=1.0), ["0.425 of the cell"]),
        (lambda: gh.packet_current(frames(X)), ["state no times", "time_step"]),
        (lambda: gh.packet_current(frames(X), time_step=-1.0), ["time_step = -1"]),
        (lambda: gh.packet_current(frames(X), time_step=1.0, time_unit=" "), ["time_unit"]),
        (lambda: gh.packet_current(frames(X), time_step=1.0, time_unit="12"), ["time_unit"]),
        (lambda: gh.packet_current(frames(X), time_step=1.0, period=-1.0), ["period = -1"]),
        (lambda: gh.packet_current(frames(X), time_step=1.0, x_b=0.2, period=2.0), ["carries -0.6 e", "neutral"]),
        (lambda: gh.packet_current(frames(X), time_step=1.0, x_b=-9.0, period=2.0), ["carries 0 e", "must be there"]),
        (lambda: gh.packet_current(frames(X, [1.0, -1.0]), time_step=1.0), ["(5, 3)", "(2,)"]),
        (lambda: gh.packet_current(frames(X, area=0.0), time_step=1.0), ["area = 0"]),
        (lambda: gh.packet_current(frames(X * np.nan), time_step=1.0), ["Frame 0", "finite"]),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError) as refused:
        call()
    for word in words:
        assert word in str(refused.value)


def test_frames_that_do_not_belong_together():
    cell = np.eye(3) * 4
    some = [gh.Frame(np.zeros((n, 3)), np.zeros(n), cell, float(n)) for n in (2, 2, 3)]
    with pytest.raises(InputError, match="Frame 2 has 3 packets"):
        gh.packet_current(some)
    growing = [gh.Frame(np.eye(3)[:2], np.array([1.0, -1.0]), cell * (1 + 0.01 * n)) for n in range(3)]
    with pytest.raises(InputError, match=r"frame 1 is 4\.04 Å long, that of frame 0 4"):
        gh.packet_current(growing, "a", time_step=1.0, x_b=-0.5, period=2.0)
    uneven = [gh.Frame(np.zeros((1, 3)), np.zeros(1), cell, time) for time in (0.0, 1.0, 2.1)]
    with pytest.raises(InputError, match="not uniform"):
        gh.packet_current(uneven)
