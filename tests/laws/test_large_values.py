"""Values in single precision whose sums over the grid are more than it holds: filters give what float64 gives.

N |v| is above 3.4e38 here, or the sum over a line is; powers of two change no digit, so the error is that of float32.
"""

from dataclasses import replace

import numpy as np
import pytest
from planes_read import planes_read
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.device.cpu import CPU
from gpuhomog.errors import InputError
from gpuhomog.fft import rescaled
from gpuhomog.results import plain

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # small cells

SHAPE = (18, 14, 16)
LARGE = 1.2e37
BOUND = 4e-6  # of the largest value; a few times the rounding of a filter in float32


def large(values, quantity="scalar", boundary="periodic", strength=LARGE, step=0.4):
    """In single precision, a step apart [Å]."""
    cell = np.diag(step * np.array(values.shape))
    scaled = np.asarray(values * strength, dtype=np.float32, order="F")
    return gh.Field.from_array(scaled, cell, quantity=quantity, boundary=boundary, device="cpu")


def spike():
    """One value in zeros: its modes are all as large as itself, their sum is N times that."""
    values = np.zeros(SHAPE)
    values[3, 5, 7] = 1.0
    return values


def noise(mean=1.0):
    values = np.random.default_rng(4).standard_normal(SHAPE) * 0.3
    return values - values.mean() + mean


def dipole():
    """Two balls of charge within a box."""
    place = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in SHAPE], indexing="ij"), axis=-1)
    above, below = (np.exp(-0.4 * ((place - shift) ** 2).sum(axis=-1)) for shift in ((0, 0, 1.5), (0, 0, -1.5)))
    return above - below


FILTERS = {
    "ball": (noise, "scalar", "periodic", lambda f: gh.average(f, gh.Ball(1.5), method="all modes")),
    "ball of a spike": (spike, "scalar", "periodic", lambda f: gh.average(f, gh.Ball(1.5), method="all modes")),
    "gradient": (noise, "scalar", "periodic", lambda f: gh.average_gradient(f, gh.PowerLaw(1.0))[1]),
    "low modes": (noise, "scalar", "periodic", lambda f: gh.average(f, gh.Gaussian(2.5), method="low modes")),
    "potential": (dipole, "charge_density", "open", gh.electrostatic_potential),
    "potential of a slab": (dipole, "charge_density", "p,p,o", gh.electrostatic_potential),
    "field": (dipole, "charge_density", "periodic", lambda f: gh.electric_field(f)[2]),
    "density": (lambda: noise(0.0), "electrostatic_potential", "periodic", gh.charge_density),
    "cylinder": (dipole, "charge_density", "p,p,o", lambda f: gh.cylinder_potential_field(f, "c", 1.5).potential),
    "disc": (noise, "scalar", "periodic", lambda f: gh.disc_average(f, "b", 1.1)),
}
"""What is filtered, and what is asked for; potentials are some hundred times the density."""
STRENGTH = {"potential": 1e35, "potential of a slab": 1e35, "field": 1e35, "cylinder": 1e35}


def expected_of(name):
    make, quantity, boundary, operator = FILTERS[name]
    strength = STRENGTH.get(name, LARGE)
    field = large(make(), quantity, boundary, strength=strength)
    double = replace(field, values=field.values.astype(np.float64))
    return field, operator, operator(double).values


@pytest.mark.parametrize("name", FILTERS)
def test_devices_filter_large_values(name, device):
    field, operator, expected = expected_of(name)
    there = replace(field, values=device.asarray(field.values), device=device)
    found = device.to_host(operator(there).values)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < BOUND * np.abs(expected).max()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("axis", [0, 2])
def test_ranks_filter_large_values(name, axis):
    """A spike is on one rank, whose power of two is everybody's."""
    field, operator, expected = expected_of(name)
    found = on_ranks(field, 3, operator, axis)
    joined = np.concatenate([part.values for part in found], axis=axis)
    assert np.abs(joined - expected).max() < BOUND * np.abs(expected).max()


@pytest.mark.parametrize("name", ["ball", "potential of a slab", "field"])
def test_large_values_that_are_read_by_planes(name, tmp_path):
    field, operator, expected = expected_of(name)
    gh.write(field, tmp_path / "field.npz")
    unread = gh.read(tmp_path / "field.npz", max_memory="4GB", dtype=np.float32, device="cpu")
    found = operator(unread).values[:, :, :]
    assert np.abs(found - expected).max() < BOUND * np.abs(expected).max()


@pytest.mark.parametrize(("strength", "times"), [(1.0, 1), (LARGE, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_on_the_disk_are_read_once_unless_they_are_large(dtype, strength, times, tmp_path):
    gh.write(large(noise(), strength=strength), tmp_path / "field.npz")
    unread = gh.read(tmp_path / "field.npz", max_memory="4GB", dtype=dtype, device="cpu")
    read = planes_read(unread)
    gh.write(gh.average(unread, gh.Ball(1.5), method="all modes"), tmp_path / "average.npz")
    assert read() == SHAPE[unread.slab.axis] * (times if dtype == np.float32 else 1)


def test_spectra_of_large_values():
    """Powers of modes and the mean field of spheres."""
    field = large(noise())
    double = replace(field, values=field.values.astype(np.float64))
    expected = plain(gh.scales(double))
    for found in (plain(gh.scales(field)), *on_ranks(field, 3, lambda part: plain(gh.scales(part)))):
        powers = [np.asarray(one["power"], dtype=float) for one in (found, expected)]
        assert np.isfinite(powers[1]).all() and powers[1].max() > 1e70
        np.testing.assert_allclose(*powers, rtol=1e-4, atol=1e-9 * powers[1].max())


def test_waves_of_planes_of_large_values():
    """Sums over a plane are more than float32 holds; potentials at points are float64."""
    field = large(dipole(), "charge_density", strength=8e37)
    assert float(np.abs(field.values).sum(axis=(0, 1), dtype=np.float64).max()) > 4e38
    double = replace(field, values=field.values.astype(np.float64))
    x_b = 2.0
    for what in (
        lambda f: gh.cylinder_potential(f, "c", 1.5, at=x_b).low,
        lambda f: gh.deviation_decay(f, "c", x_b=x_b, average="point").values,
    ):
        found, expected = np.asarray(what(field)), np.asarray(what(double))
        assert np.abs(found - expected).max() < BOUND * np.abs(expected).max()


def test_results_that_float32_does_not_hold_are_refused(tmp_path):
    field = large(dipole(), "charge_density", "periodic", strength=1e36, step=20.0)
    sentence = "more than float32 holds .* take the field as float64, or in another unit"
    with pytest.raises(InputError, match=sentence):
        gh.electrostatic_potential(field)
    with pytest.raises(InputError, match=sentence):
        on_ranks(field, 3, gh.electrostatic_potential)
    gh.write(field, tmp_path / "field.npz")
    potential = gh.electrostatic_potential(
        gh.read(tmp_path / "field.npz", max_memory="4GB", dtype=np.float32, device="cpu")
    )
    with pytest.raises(InputError, match=sentence):
        gh.write(potential, tmp_path / "potential.npz")
    assert not (tmp_path / "potential.npz").exists()


def test_how_large_values_are_is_found_once(monkeypatch):
    """When they are checked for NaN; filters do not read them for it, in whatever unit or boundary."""
    looks = []
    extrema = CPU.extrema
    monkeypatch.setattr(CPU, "extrema", lambda device, values: looks.append(1) or extrema(device, values))
    field = large(dipole(), "charge_density", strength=1.0)
    gh.average(field, gh.Ball(1.5), method="all modes")
    gh.electrostatic_potential(field, "p,p,o")
    gh.electric_field(field)
    gh.disc_average(field, "c", 1.5)
    gh.scales(field)
    assert len(looks) == 1
    gh.average(replace(field, values=2 * field.values), gh.Ball(1.5), method="all modes")
    assert len(looks) == 2


def test_values_as_they_are_usually_are_not_touched(device):
    """Nor are those that are not finite, or of double precision."""
    values = np.ones((4, 4, 4), np.float32)
    for large_value in (1.0, 1e25, np.inf, np.nan):
        given = device.asarray(values * np.float32(large_value))
        seen = []
        rescaled(device, given, 64, lambda v, seen=seen: [seen.append(v) or v])
        assert seen[0] is given
    double = device.asarray(values.astype(np.float64) * 1e300)
    rescaled(device, double, 64, lambda v: [seen.append(v) or v])
    assert seen[-1] is double
