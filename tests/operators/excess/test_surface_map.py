"""Maps of the surface charge: line by line against running sums, the planar value, Fourier series, and ranks."""

import numpy as np
import pytest
from ranks import on_ranks

import gpuhomog as gh


@pytest.fixture(scope="module")
def slab():
    """12 layers of pairs of sheets whose distance varies in the plane: σ(i, j) = 0.1 q (0.6 + 0.3 cos φ_i + …)/3."""
    n = 720
    z = np.arange(n) * 0.1
    u, v = np.meshgrid(2 * np.pi * np.arange(6) / 6, 2 * np.pi * np.arange(5) / 5, indexing="ij")
    distance = 0.9 + 0.3 * np.cos(u) + 0.2 * np.sin(v)
    values = np.zeros((6, 5, n))
    for i in range(12):
        low, high = 16.0 + 3 * i, 16.0 + 3 * i + distance[..., None]
        shape = [np.exp(-(((z - c) / 0.35) ** 2) / 2) / (0.35 * np.sqrt(2 * np.pi)) for c in (low, high)]
        values += 0.1 * (shape[0] - shape[1])
    cell = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [0, 0, 72.0]])
    return gh.Field.from_array(values, cell, quantity="charge_density"), 0.1 * distance / 3


def by_hand(values, h, x_b, a, origin):
    """σ and S1 of the lower side of one line of cells: a ramp from 1 to 0 over the period, cut cells by quadrature."""
    fine = 50
    x = (np.arange(len(values) * fine) + 0.5) * (h / fine) - h / 2
    density = np.repeat(values, fine)
    running = np.cumsum(density) * (h / fine)
    double = np.cumsum(running) * (h / fine)
    inside = (x > x_b - a / 2) & (x < x_b + a / 2)
    sigma = running[inside].mean()
    return sigma, (x_b - origin) * sigma - double[inside].mean()


def test_line_by_line(slab):
    field, expected = slab
    found = gh.surface_map(field, "c", period=3.0, origin=14.0)
    assert found.low == pytest.approx(expected, abs=1e-6)
    assert found.high == pytest.approx(-expected, abs=1e-9)
    values = field.to_host()
    for at in ((0, 0), (2, 3), (5, 4)):
        sigma, moment = by_hand(values[at], 0.1, found.surface.x_b, 3.0, 14.0)
        assert found.low[at] == pytest.approx(sigma, abs=1e-9)
        assert found.low_dipole[at] == pytest.approx(moment, abs=3e-3)
        sigma, moment = by_hand(values[at][::-1], 0.1, 71.9 - found.surface.x_b, 3.0, 71.9 - 14.0)
        assert found.high[at] == pytest.approx(sigma, abs=1e-9)
        assert found.high_dipole[at] == pytest.approx(-moment, abs=3e-3)


def test_the_mean_is_the_planar_value(slab):
    field, _ = slab
    found = gh.surface_map(field, "c", period=3.0)
    planar = gh.surface_charge(field, "c", period=3.0, sampling="cell")
    assert found.closure < 1e-14
    for side in ("low", "high", "low_dipole", "high_dipole"):
        assert getattr(found, side).mean() == pytest.approx(getattr(planar, side).value, abs=1e-12)
    total = field.to_host().sum(axis=2) * 0.1
    assert found.low + found.high == pytest.approx(total, abs=1e-13)  # line by line


def test_both_faces_add_up_where_single_lines_are_charged(slab):
    """Lines of rows of +1 and of -1 beside each other: low + high is the charge of the line, period or not."""
    field, _ = slab
    rows = 0.02 * np.cos(2 * np.pi * np.arange(6) / 6)[:, None, None] * (np.abs(np.arange(720) - 340) < 150)
    charged = gh.Field.from_array(field.to_host() + rows, field.grid.cell, quantity="charge_density")
    found = gh.surface_map(charged, "c", period=3.0)
    assert found.low + found.high == pytest.approx(charged.to_host().sum(axis=2) * 0.1, abs=1e-12)
    dipole = (charged.to_host() * (np.arange(720) * 0.1 - found.surface.origin_low)).sum(axis=2) * 0.1
    moved = found.high * (found.surface.origin_high - found.surface.origin_low)
    assert found.low_dipole + found.high_dipole + moved == pytest.approx(dipole, abs=1e-10)


def test_averaged_in_the_plane(slab):
    """A Gaussian of width eps takes exp(-k² eps²/8) of each wave of the plane, in an oblique cell."""
    field, expected = slab
    found = gh.surface_map(field, "c", eps=1.6, period=3.0)
    reciprocal = np.linalg.norm(field.grid.reciprocal[:2], axis=1)
    waves = expected - expected.mean()
    along_u = waves.mean(axis=1, keepdims=True)
    along_v = waves.mean(axis=0, keepdims=True)
    factors = np.exp(-(reciprocal**2) * 1.6**2 / 8)
    smooth = expected.mean() + factors[0] * along_u + factors[1] * along_v
    assert found.low == pytest.approx(smooth, abs=1e-9)
    assert found.low.mean() == pytest.approx(expected.mean(), abs=1e-9)


@pytest.mark.parametrize("axis", ["a", "b", "c"])
def test_along_every_axis_and_through_the_boundary(slab, axis):
    field, expected = slab
    order = {"a": (2, 0, 1), "b": (0, 2, 1), "c": (0, 1, 2)}[axis]
    values = np.roll(field.to_host(), 300, axis=2).transpose(order)
    turned = gh.Field.from_array(values, field.grid.cell[list(order)][:, list(order)], quantity="charge_density")
    found = gh.surface_map(turned, axis, period=3.0)
    assert found.low == pytest.approx(expected, abs=1e-6)
    assert found.axes == tuple(name for name in "abc" if name != axis)


def test_ranks_find_what_one_process_finds(slab):
    """Lines that are whole on each rank, and lines that are split."""
    field, _ = slab
    whole = gh.surface_map(field, "c", period=3.0, eps=1.6)
    for axis in range(3):
        for size in (2, 7):
            for found in on_ranks(field, size, lambda part: gh.surface_map(part, "c", period=3.0, eps=1.6), axis=axis):
                for name in ("low", "high", "low_dipole", "high_dipole"):
                    assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1e-12)


def test_on_devices(slab, device):
    field, expected = slab
    moved = gh.Field.from_array(field.to_host(), field.grid.cell, quantity="charge_density", device=device)
    assert gh.surface_map(moved, "c", period=3.0).low == pytest.approx(expected, abs=1e-9)


def test_leaning_lines_are_said(slab):
    field, _ = slab
    cell = np.array(field.grid.cell)
    cell[2, 0] = 7.2
    leaning = gh.surface_map(gh.Field.from_array(field.to_host(), cell, quantity="charge_density"), "c", period=3.0)
    assert any("lines lean" in remark for remark in leaning.remarks)
    assert "lines lean" in str(leaning) and "Surface map" in str(leaning)


def test_refusals(slab):
    field, _ = slab
    with pytest.raises(gh.InputError, match="along an axis"):
        gh.surface_map(field, (1, 1, 0))
    with pytest.raises(gh.InputError, match="no period"):
        gh.surface_map(field, "c", period=None)
    with pytest.raises(gh.InputError, match="No surface map: no neutral bulk"):
        gh.surface_map(
            field.derive(field.values + 0.05 * (np.abs(np.arange(720) - 340) < 200), "charged"), "c", period=3.0
        )
    with pytest.raises(gh.InputError, match="Add the ions first"):
        gh.surface_map(gh.Field.from_array(field.to_host(), field.grid.cell, quantity="electron_density"), "c")
