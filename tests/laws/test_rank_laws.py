"""Every result is the same on any number of ranks, on any device, and of fields that are read by planes.

Empty slabs are among them: five ranks share axes of four and six planes. What needs all values at once refuses fields
that were not read with one sentence that says what would work.
"""

import warnings
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.results import plain

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # small cells


def pairs(z, start, n, strength=1.0):
    """Packets of +strength from start on, one each Å, and -strength 0.3 Å above each."""
    found = np.zeros_like(z)
    for place in start + np.arange(n):
        found += np.exp(-0.5 * ((z - place) / 0.2) ** 2) - np.exp(-0.5 * ((z - place - 0.3) / 0.2) ** 2)
    return strength * found / (0.2 * np.sqrt(2 * np.pi))


CELL = np.array([[4.0, 0.0, 0.0], [0.8, 5.0, 0.0], [0.0, 0.0, 32.0]])
Z = np.arange(160) * 0.2
PLANE = 1 + 0.3 * np.cos(2 * np.pi * np.arange(4) / 4)[:, None] * np.sin(2 * np.pi * np.arange(6) / 6 + 0.4)[None, :]


def slab():
    return gh.Field.from_array(PLANE[:, :, None] * pairs(Z, 6.0, 18), CELL, quantity="charge_density")


def interface():
    values = PLANE[:, :, None] * (pairs(Z, 2.0, 14) + 0.8 * pairs(Z, 16.0, 14))
    return gh.Field.from_array(values, CELL, quantity="charge_density")


def crystal():
    rng = np.random.default_rng(3)
    modes = rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4))
    i, j, k = np.meshgrid(np.arange(10) / 10, np.arange(6) / 6, np.arange(16) / 16, indexing="ij")
    values = sum(
        (modes[a % 3, c] * np.exp(2j * np.pi * (a * i + (a % 2) * j + c * k))).real
        for a in range(3)
        for c in range(1, 4)
    )
    return gh.Field.from_array(
        values, np.array([[3.0, 0.2, 0], [0.0, 2.5, 0.3], [0.5, 0, 6.0]]), quantity="charge_density"
    )


def wire():
    x, y = ((np.arange(n) + 0.5) / 4 for n in (96, 80))
    inside = lambda t, a, b: 0.5 * (np.tanh((t - a) / 1.2) - np.tanh((t - b) / 1.2))  # noqa: E731
    values = (inside(x, 7, 17)[:, None] * inside(y, 6, 14)[None, :])[:, :, None] * np.ones(2)
    return gh.Field.from_array(values, np.diag([48.0, 40.0, 4.0]), quantity="charge_density")


def disorder():
    rng = np.random.default_rng(8)
    return gh.Field.from_array(rng.standard_normal((6, 4, 64)), np.diag([6.0, 4.0, 64.0]), unit="V")


def planar(operator, axis="c"):
    return lambda field: operator(gh.planar_average(field, axis))


OPERATORS = {
    "surface_charge": (slab, lambda f: gh.surface_charge(f, "c", period=1.0)),
    "surface_excess": (slab, lambda f: gh.surface_excess(f, "c", reference=0.01, x_surface=(5.5, 24.5), period=1.0)),
    "surface_map": (slab, lambda f: gh.surface_map(f, "c", period=1.0, eps=1.5)),
    "interface_charge": (interface, lambda f: gh.interface_charge(f, "c", between=(9.0, 23.0), period=(1.0, 1.0))),
    "interface_excess": (
        interface,
        lambda f: gh.interface_excess(
            f, "c", between=(9.0, 23.0), period=(1.0, 1.0), reference=(0.02, -0.01), x_surface=16.0
        ),
    ),
    "potential_step": (slab, lambda f: gh.potential_step(f, "c", period=1.0)),
    "dipole_density": (slab, lambda f: gh.dipole_density(f, "c", width=1.3)),
    "moment_densities": (crystal, lambda f: gh.moment_densities(f, "c", x_b=1.0)),
    "partition": (crystal, lambda f: gh.partition(f, "c", x_b=2.0)),
    "partition across planes": (crystal, lambda f: gh.partition(f, (1, 0, 1))),
    "terminations": (crystal, lambda f: gh.terminations(f, (1, 0, 1), reference=f.mean())),
    "plane_excess": (crystal, lambda f: gh.plane_excess(f, "c", 0.7)),
    "lines_and_points": (wire, lambda f: gh.lines_and_points(f, [gh.box_region((14, 12), (34, 28), 1.0)], eps=1.5)),
    "homogenize": (slab, planar(lambda p: gh.homogenize(p, [gh.Stage(0.8, (7.0, 24.0)), gh.Stage(1.5, (7.0, 24.0))]))),
    "stages_of": (disorder, planar(lambda p: gh.scales(p))),
    "scales of shells": (crystal, lambda f: gh.scales(f)),
    "interval_field": (disorder, planar(lambda p: gh.interval_field(p, 3.0))),
    "physical_assumption_8": (disorder, planar(lambda p: gh.physical_assumption_8(p, 20.0, 4.0, 8.0))),
    "uncertainty": (disorder, planar(lambda p: gh.uncertainty(p, gh.Gaussian(4.0)))),
    "field_intervals": (crystal, lambda f: gh.field_intervals(f, gh.Gaussian(1.2))),
    "field_assumption_8": (crystal, lambda f: gh.field_assumption_8(f, 1.0, gh.Gaussian(1.2), eps_x=0.4)),
    "attainable_in_ball": (crystal, lambda f: gh.attainable_in_ball(f, (0.3, 0.2, 0.1), 2.0)),
    "line_through": (crystal, lambda f: gh.line_through(f, (0.3, 0.2, 0.1), "c")),
}
WHOLE = {"field_assumption_8", "attainable_in_ball", "line_through"}
"""What gathers every value."""


def numbers(value, path=""):
    """Every number of a result, by its place in it; where it was computed is left out."""
    found = value if isinstance(value, dict | list) else plain(value)
    if isinstance(found, dict):
        for name, part in found.items():
            if name != "provenance" and not (name == "position" and "windows" in found):  # of equal failures any
                yield from numbers(part, f"{path}.{name}")
    elif isinstance(found, list):
        for number, part in enumerate(found):
            yield from numbers(part, f"{path}.{number}")
    elif found is not None and not isinstance(found, str):
        yield path, float(found)


def assert_same(found, expected, tolerance=1e-9):
    one, other = dict(numbers(found)), dict(numbers(expected))
    assert one.keys() == other.keys() and one
    scale = {}
    for path, value in other.items():  # an array is compared beside its largest number
        stem = path.rstrip("0123456789.")
        scale[stem] = max(scale.get(stem, 0.0), abs(value))
    wrong = (
        (path, one[path], value)
        for path, value in other.items()
        if abs(one[path] - value) > tolerance * max(scale[path.rstrip("0123456789.")], 1e-2)
    )
    assert list(islice(wrong, 3)) == []


@pytest.fixture(scope="module")
def alone():
    """Each result of one rank, found once."""
    known = {}

    def found(name):
        if name not in known:
            make, operator = OPERATORS[name]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known[name] = plain(operator(make()))
        return known[name]

    return found


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"field_assumption_8"}))  # whose own tests have that
def test_ranks_find_what_one_finds(name, alone):
    make, operator = OPERATORS[name]
    field = make()
    for size, axis in ((1, 0), (2, 1), (3, 2), (5, 0), (5, 1)):
        for part in on_ranks(field, size, lambda f: plain(operator(f)), axis):
            assert_same(part, alone(name))


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"field_assumption_8", "potential_step"}))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_devices_find_what_the_cpu_finds(name, dtype, device, alone):
    make, operator = OPERATORS[name]
    field = make()
    there = replace(field, values=device.asarray(field.values.astype(dtype)), device=device)
    if dtype == np.float64:
        assert_same(plain(operator(there)), alone(name))
    else:
        assert plain(operator(there)) is not None


@pytest.mark.parametrize("name", OPERATORS)
def test_fields_that_were_not_read(name, alone, tmp_path):
    make, operator = OPERATORS[name]
    gh.write(make(), tmp_path / "field.h5")
    unread = gh.read(tmp_path / "field.h5", max_memory="4GB")
    if name not in WHOLE:
        found, expected = plain(operator(unread)), alone(name)
        if name == "scales of shells":  # the modes beyond the longest are counted as one
            found, expected = ({key: one[key] for key in ("a", "L", "box", "eps")} for one in (found, expected))
        assert_same(found, expected, 1e-6)
        return
    with pytest.raises(InputError) as refused:
        operator(unread)
    sentence = str(refused.value)
    assert "needs all values of field.h5 at once" in sentence and "leave that out where all values fit" in sentence
