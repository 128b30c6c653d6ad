"""Cylinder sums on ranks: against direct sums over the points of each cylinder, and the bytes against the model."""

from dataclasses import replace
from functools import cache
from math import pi, sqrt

import numpy as np
import pytest
from oracles import sampled_march_fit, sampled_table
from ranks import on_ranks, together
from strict_device import StrictDevice

from gpuhomog.device import CPU
from gpuhomog.errors import InputError
from gpuhomog.field import Field
from gpuhomog.operators.potentials.cylinder_fit import march_fit
from gpuhomog.operators.potentials.cylinder_sums import cylinder_sums
from gpuhomog.operators.potentials.cylinder_table import cylinder_table, disc_points, node_weight
from gpuhomog.parallel import Slab, model

STEP, RADIUS = 0.5, 1.3
IN_PLANE = np.array([[3.0, 0.0], [0.8, 2.6]])
SIDES = ("low", "high", "both")
RANKS = (1, 2, 3, 5, 8)


def cell(n, axis):
    """Planes right above one another along the axis."""
    rows = np.zeros((3, 3))
    rows[:2, :2] = IN_PLANE
    rows[2, 2] = STEP * n
    return np.insert(rows[:2], axis, rows[2], axis=0)


def field(shape, axis=0, dtype=np.float64, order="C", device="cpu"):
    """The same numbers, whichever axis is the normal."""
    values = np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)
    return Field.from_array(np.array(np.moveaxis(values, 0, axis), order=order), cell(shape[0], axis), device=device)


@cache
def direct(shape, periodic, dtype=np.float64):
    """(planes, n1, n2) of each side: charge over distance, point by point, with the plane of the point half."""
    values = field(shape, dtype=dtype).values.astype(float)
    points = np.stack([i.ravel() for i in np.indices(shape)], axis=1)
    steps = IN_PLANE / np.array([[shape[1]], [shape[2]]])
    disc, own = disc_points(steps, RADIUS), node_weight(steps)
    sums = CPU().cylinder_sum(values, points, disc, STEP, own, periodic=periodic)
    low, high = np.moveaxis(sums.reshape(*shape, 2), -1, 0) * STEP * sqrt(np.linalg.det(steps @ steps.T)) / (4 * pi)
    return {"low": low, "high": high, "both": low + high}


@cache
def kernels(shape, dtype=np.float64):
    """Of the sampled disc: what equals direct sums."""
    own = node_weight(IN_PLANE / np.array([[shape[1]], [shape[2]]]))
    arguments = (IN_PLANE, shape[1:], STEP, shape[0], RADIUS, own)
    return {
        "march": sampled_march_fit(*arguments, sections=[10 if dtype == np.float64 else 6], dtype=dtype),
        "table": sampled_table(*arguments),
    }


@cache
def fitted(shape, dtype=np.float64, radius=2.0, order=1):
    """Of the analytic kernel, 12 states a side."""
    return march_fit(IN_PLANE, shape[1:], STEP, shape[0], radius, sections=[4], order=order, dtype=dtype)


def joined(parts, axis):
    """The slabs of all ranks; each has its own planes."""
    for rank, part in enumerate(parts):
        n = sum(other.shape[axis] for other in parts)
        assert part.shape[axis] == Slab.of(n, rank, len(parts)).n_local
    return np.concatenate(parts, axis=axis)


@pytest.fixture(params=["states", "transposes"])
def way(request, monkeypatch):
    """Both ways of a march, whichever sends less."""
    chosen = request.param == "states"
    monkeypatch.setattr("gpuhomog.operators.potentials.cylinder_sums._states_send_less", lambda *_: chosen)
    return request.param


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", RANKS)
@pytest.mark.parametrize(("dtype", "within"), [(np.float64, 2e-8), (np.float32, 2e-5)])
def test_a_march_on_ranks_equals_direct_sums(way, dtype, within, size, side):
    """Slabs of 23 planes, of 1 and of 0; the fit's own error is what is left."""
    for shape in ((23, 6, 5), (6, 5, 4), (3, 4, 6)):
        kernel = kernels(shape, dtype)["march"]
        parts = on_ranks(field(shape, dtype=dtype), size, lambda part: cylinder_sums(part, kernel, 0, side=side))  # noqa: B023
        assert all(part.dtype == dtype for part in parts)
        expected = direct(shape, True, dtype)[side]
        np.testing.assert_allclose(joined(parts, 0), expected, rtol=0, atol=within * np.abs(expected).max())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("dtype", "digits"), [(np.float64, 1e-13), (np.float32, 2e-6)])
@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_a_march_on_ranks_is_the_march_of_one(way, dtype, digits, size, side):
    """To rounding, whatever the fit's error."""
    for shape in ((23, 6, 5), (9, 5, 4), (3, 4, 6), (1, 3, 2)):
        kernel = fitted(shape, dtype, order=3)
        given = field(shape, dtype=dtype)
        expected = CPU().cylinder_march(given.values, kernel, side=side)
        parts = on_ranks(given, size, lambda part: cylinder_sums(part, kernel, 0, side=side))  # noqa: B023
        np.testing.assert_allclose(joined(parts, 0), expected, rtol=0, atol=digits * np.abs(expected).max())


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("normal", [0, 1, 2])
@pytest.mark.parametrize("split", [0, 1, 2])
def test_any_normal_and_slabs_of_any_axis(split, normal, order):
    shape = (29, 6, 5)
    expected = np.moveaxis(direct(shape, True)["both"], 0, normal)
    given = field(shape, normal, order=order)
    for size in (1, 2, 3, 8):
        for name, kernel in kernels(shape).items():
            parts = on_ranks(given, size, lambda part: cylinder_sums(part, kernel, normal), split)  # noqa: B023
            found = joined(parts, split)
            within = 1e-13 if name == "table" else 2e-8
            np.testing.assert_allclose(found, expected, rtol=0, atol=29 * within * np.abs(expected).max())


@pytest.mark.parametrize("split", [0, 1, 2])
@pytest.mark.parametrize("side", SIDES)
def test_open_in_the_plane(way, side, split):
    """A kernel of a larger plane: zeros around the field."""
    shape = (17, 6, 5)
    steps = IN_PLANE / np.array([[6], [5]])
    reach = np.abs(disc_points(steps, RADIUS)[0]).max(axis=0)
    wide = (6 + int(reach[0]), 5 + int(reach[1]))
    arguments = (steps * np.array(wide)[:, None], wide, STEP, 17, RADIUS, node_weight(steps))
    expected = direct(shape, False)[side]
    assert np.abs(expected - direct(shape, True)[side]).max() > 0.1 * np.abs(expected).max()
    for kernel, within in ((sampled_march_fit(*arguments, sections=[10]), 2e-8), (sampled_table(*arguments), 1e-13)):
        for size in (1, 3, 8):
            parts = on_ranks(field(shape), size, lambda part: cylinder_sums(part, kernel, "a", side=side), split)  # noqa: B023
            found = joined(parts, split)
            np.testing.assert_allclose(found, expected, rtol=0, atol=17 * within * np.abs(expected).max())


@pytest.mark.parametrize("size", RANKS)
@pytest.mark.parametrize("side", SIDES)
def test_nothing_is_copied_to_the_host_unasked(way, side, size):
    shape = (9, 4, 5)
    kernel, device = kernels(shape)["march"], StrictDevice()
    given = field(shape)
    strict = replace(given, values=device.asarray(given.values), device=device)
    parts = on_ranks(strict, size, lambda part: part.device.to_host(cylinder_sums(part, kernel, 0, side=side)))
    expected = direct(shape, True)[side]
    np.testing.assert_allclose(joined(parts, 0), expected, rtol=0, atol=2e-8 * np.abs(expected).max())


def sent(given, kernel, size, side, split=0):
    """What each rank sends, by kind."""

    def counted(part):
        cylinder_sums(part, kernel, 0, side=side)
        return {kind: n for kind, n in part.comm.sent.items() if n}

    return on_ranks(given, size, counted, split)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_bytes_of_states_are_the_models(dtype, side, size):
    """12 states a side; they do not grow with the slab. By hand: a mode's states to its rank, and back."""
    sides, item = (2 if side == "both" else 1), np.dtype(dtype).itemsize
    expected = model.end_state_bytes((4, 7), 12, item, size, sides)
    columns = [Slab.of(4, rank, size).n_local for rank in range(size)]
    per_column = sides * 12 * 4 * 2 * item
    assert expected.tolist() == [((4 - own) + own * (size - 1)) * per_column for own in columns]
    for planes in (192, 250):
        kernel = fitted((planes, 4, 7), dtype)
        by_kind = sent(field((planes, 4, 7), dtype=dtype), kernel, size, side)
        assert [kinds.get("state", 0) for kinds in by_kind] == expected.tolist()
        assert all(kinds.keys() <= {"state"} for kinds in by_kind)


@pytest.mark.parametrize("planes", [23, 24, 47, 48])
@pytest.mark.parametrize("side", ["low", "both"])
def test_the_way_that_sends_less_is_taken(planes, side):
    """Two ranks, 12 states a side: 24 planes of states for one side, 48 for both."""
    by_states = planes >= (48 if side == "both" else 24)
    kernel = fitted((planes, 4, 6))
    choices = model.march_choices((planes, 4, 6), 12, 8, 2, 2 if side == "both" else 1)
    found = sent(field((planes, 4, 6)), kernel, 2, side)
    assert found == [{"state" if by_states else "transpose": n} for n in choices[not by_states].tolist()]
    assert sum(choices[not by_states]) <= sum(choices[by_states])


@pytest.mark.parametrize("split", [1, 2])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_slabs_that_cut_the_planes_send_the_half_spectrum_there_and_back(size, split):
    """Less than the field there and back and states between."""
    shape = (72, 6, 6)
    columns = [Slab.of(4, rank, size).n_local for rank in range(size)]
    rows = [Slab.of(6, rank, size).n_local for rank in range(size)]
    expected = [72 * 16 * (r * (4 - c) + (6 - r) * c) for r, c in zip(rows, columns, strict=True)]
    for kernel in (fitted(shape), cylinder_table(IN_PLANE, shape[1:], STEP, shape[0], 2.0)):
        found = sent(field(shape), kernel, size, "low", split)
        assert [kinds.get("transpose", 0) for kinds in found] == expected
        assert all(kinds.keys() <= {"transpose"} for kinds in found)


def test_a_table_is_transposed_and_one_rank_sends_nothing():
    shape = (30, 4, 5)
    table = cylinder_table(IN_PLANE, shape[1:], STEP, shape[0], 2.0)
    expected = model.march_choices(shape, 1, 8, 3)[1]
    assert sent(field(shape), table, 3, "both") == [{"transpose": n} for n in expected.tolist()]
    assert sent(field(shape), table, 1, "both") == [{}]


@pytest.mark.parametrize("side", SIDES)
def test_states_are_sums_over_the_planes_behind(side):
    """Every state by its definition: powers of each propagator times every plane, and the last planes themselves."""
    shape = (11, 3, 4)
    fit = fitted(shape, order=2)
    spectrum = np.fft.rfft2(field(shape).values)
    found = CPU().march_end_states(spectrum[2:9], fit, side, planes=slice(2, 9))
    found = found.reshape(-1, fit.n_states, 3, 3)
    for number, high in enumerate([False, True] if side == "both" else [side == "high"]):
        arriving = (spectrum * fit.source[int(high)][:, None, None])[2:9]
        arriving = arriving[::-1] if high else arriving
        for i, j in np.ndindex(3, 3):
            mode, own = arriving[:, i, j], fit.own_factor[fit.classes[i, j]]
            states = [sum(own ** (6 - x) * mode[x] for x in range(7))]
            for propagator in fit.propagators:
                powers = [np.linalg.matrix_power(propagator, 6 - x).sum(axis=1) for x in range(7)]
                states += list(sum(power * value for power, value in zip(powers, mode, strict=True)))
            np.testing.assert_allclose(found[number, :, i, j], [*states, *mode[:3:-1]], rtol=1e-12, atol=1e-12)


def test_ranks_with_other_kernels_are_refused():
    shape = (8, 4, 4)
    fits = [fitted(shape, radius=radius) for radius in (2.0, 2.1)]
    with pytest.raises(InputError, match=r"checksum of the kernel's exponents is .* on rank 0 and .* on rank 2"):
        on_ranks(field(shape), 3, lambda part: cylinder_sums(part, fits[part.comm.rank == 2], 0))
    with pytest.raises(InputError, match="side is low on rank 0 and high on rank 1"):
        on_ranks(field(shape), 2, lambda part: cylinder_sums(part, fits[0], 0, side=SIDES[part.comm.rank]))


@pytest.mark.parametrize(
    ("planes", "points", "axis", "side", "message"),
    [
        (7, (4, 5), 0, "both", r"for 7 planes of \[4, 5\] points, but the field has 8 of \[4, 5\] along axis 0"),
        (8, (4, 4), 0, "both", r"for 8 planes of \[4, 4\] points, but the field has 8 of \[4, 5\] along axis 0"),
        (8, (4, 5), 1, "both", r"the field has 4 of \[8, 5\] along axis 1"),
        (8, (4, 5), 0, "below", 'Unknown side "below"'),
        (8, (4, 5), "x", "both", "Axis 'x' does not exist"),
    ],
)
def test_kernels_of_other_grids_are_refused(planes, points, axis, side, message):
    kernel = cylinder_table(IN_PLANE, points, STEP, planes, 2.0)
    for size in (1, 3):
        with pytest.raises(InputError, match=message):
            together(size, lambda comm: cylinder_sums(replace(field((8, 4, 5)), comm=comm), kernel, axis, side=side))
