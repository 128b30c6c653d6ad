"""Fields in single precision: what double precision finds lies within the uncertainties that are stated."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.results import Measurement
from gpuhomog.units import SINGLE

SEEDS = st.integers(0, 2**32 - 1)
HEIGHT, EDGE, PERIOD = 40.0, 4.0, 3.0


def periodic_gauss(at, centre, width, length):
    return sum(np.exp(-((at - centre - length * n) ** 2) / (2 * width**2)) for n in range(-2, 3)) / width / 2.5066


def slab(seed, polar):
    """Six planes of ions of both signs, which nearly cancel in a plane, and their electrons, moved aside at the top."""
    rng = np.random.default_rng(seed)
    x, z = np.arange(8) * EDGE / 8, np.arange(160) * HEIGHT / 160
    values, low = np.zeros((8, 8, 160)), rng.uniform(12, 13)
    for plane in range(6):
        for sign, place in ((1.0, 0.5), (-1.0, 2.5)):
            charge = sign * rng.uniform(1, 3) if plane in (0, 5) else 2.0 * sign
            aside = 0.3 if polar and plane == 5 else 0.0
            for q, width, up in ((charge, 0.6, 0.0), (-charge, 0.7 + 0.2 * place, aside)):
                across = periodic_gauss(x, place, width, EDGE)
                along = periodic_gauss(z, low + PERIOD * plane + up, width, HEIGHT)
                values += q * across[:, None, None] * across[:, None] * along
    return gh.Field.from_array(values, np.diag([EDGE, EDGE, HEIGHT]), quantity="charge_density")


def single(field):
    return replace(field, values=field.values.astype(np.float32))


def assert_known(double, rounded):
    """Each number of a result with an uncertainty has it for its own precision."""
    for name in (f.name for f in fields(double)):
        one, other = getattr(double, name), getattr(rounded, name)
        if isinstance(one, Measurement):
            assert one.defined == other.defined, name
            if one.defined and other.uncertainty is not None:
                assert abs(one.value - other.value) <= other.uncertainty, name


def potentials(density):
    """In double precision; solved in single precision; and rounded at the end."""
    double = gh.electrostatic_potential(density)
    return double, (gh.electrostatic_potential(single(density)), single(double))


@settings(max_examples=4, deadline=None)
@given(seed=SEEDS, polar=st.booleans())
def test_from_potentials(seed, polar):
    density = slab(seed, polar)
    double, others = potentials(density)
    for rounded in others:
        assert_known(gh.potential_step(double, "c", period=PERIOD), gh.potential_step(rounded, "c", period=PERIOD))
        assert_known(gh.inner_potential(double, "c", period=PERIOD), gh.inner_potential(rounded, "c", period=PERIOD))
        for beside in (None, density):
            given_too = None if beside is None else single(beside)
            one, other = (
                gh.dipole_correction(field, "c", density=charge)
                for field, charge in ((double, beside), (rounded, given_too))
            )
            assert_known(one, other)
            assert_known(one.levels, other.levels)
            if beside is not None:
                assert other.dipole.uncertainty > 100 * one.dipole.uncertainty  # seven figures, not sixteen


@settings(max_examples=4, deadline=None)
@given(seed=SEEDS, polar=st.booleans())
def test_from_densities(seed, polar):
    double = slab(seed, polar)
    rounded = single(double)
    for options in ({"period": PERIOD}, {"period": None}):
        assert_known(gh.inner_potential(double, "c", **options), gh.inner_potential(rounded, "c", **options))
        assert_known(gh.potential_step(double, "c", **options), gh.potential_step(rounded, "c", **options))
        assert_known(gh.surface_charge(double, "c", **options), gh.surface_charge(rounded, "c", **options))
    for options in ({}, {"radius": 300.0}, {"length": 4.0, "period": None}):
        known = {"period": PERIOD} | options
        assert_known(gh.potential_budget(double, "c", **known), gh.potential_budget(rounded, "c", **known))
    assert_known(gh.vacuum_levels(double, "c"), gh.vacuum_levels(rounded, "c"))


@settings(max_examples=4, deadline=None)
@given(seed=SEEDS)
def test_energies_fields_and_exponents(seed):
    double, other = slab(seed, True), slab(seed + 1, False)
    assert_known(gh.interaction_energy(double, other), gh.interaction_energy(single(double), single(other)))
    for average in ("disc", "point"):
        where = {"x_b": 19.0, "x_low": 2.0, "x_high": 38.0, "average": average, "radii": np.geomspace(20, 400, 60)}
        assert_known(gh.deviation_decay(double, "c", **where), gh.deviation_decay(single(double), "c", **where))
    one, two = (
        gh.lorentz_cavity(field, (0.1, 0.2, 20.0), np.arange(20, 30, 0.5)) for field in (double, single(double))
    )
    assert np.abs(one.E_sharp - two.E_sharp).max() <= two.E_sharp_uncertainty


@pytest.mark.parametrize("axis", ["c", (1, 0, 1)])
def test_a_profile_knows_its_field(axis, tmp_path):
    """And keeps it in a file; a profile that a user makes is in double precision."""
    values = np.random.default_rng(0).standard_normal((8, 8, 16))
    profile = gh.planar_average(gh.Field.from_array(values.astype(np.float32), np.eye(3)), axis)
    assert profile.precision == SINGLE
    gh.write(profile, tmp_path / "profile.csv")
    assert gh.read_profile(tmp_path / "profile.csv").precision == SINGLE
    assert gh.Profile(np.arange(8.0), np.zeros(8), None, "scalar", 8.0).precision == np.finfo(float).eps / 2
