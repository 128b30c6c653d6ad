"""Energies of Gaussian charges: closed forms, sums of pairs, and periodic cells by Ewald's own energy of a crystal."""

import numpy as np
import pytest
from gaussian_charges import density
from ranks import on_ranks
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import COULOMB_CONSTANT

CELL = np.diag([12.0, 13.0, 18.0])
SHAPE = (30, 32, 45)
FIRST = [(1.0, 0.85, (6.0, 6.5, 6.5)), (-0.4, 0.8, (6.3, 6.0, 7.0))]
SECOND = [(-1.0, 0.8, (6.1, 6.4, 11.0)), (1.5, 0.85, (6.0, 6.9, 11.5))]


def pairs(one, other):
    """κ Σ q q' erf(d/√(2(s² + s'²)))/d; a charge with itself has the limit at d = 0."""
    total = 0.0
    for q, width, centre in one:
        for p, broad, place in other:
            distance, root = np.linalg.norm(np.subtract(centre, place)), np.sqrt(2 * (width**2 + broad**2))
            total += q * p * (erf(distance / root) / distance if distance else 2 / (np.sqrt(np.pi) * root))
    return COULOMB_CONSTANT * total


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-7), (np.float32, 1e-5)])
def test_two_molecules(device, dtype, order, tolerance):
    fields = [density(SHAPE, CELL, b, "open", device=device, dtype=dtype, order=order) for b in (FIRST, SECOND)]
    found = gh.interaction_energy(*fields)
    assert found.energy.unit == "eV"
    assert found.energy.value == pytest.approx(pairs(FIRST, SECOND), rel=tolerance)
    assert found.self_first.value == pytest.approx(pairs(FIRST, FIRST) / 2, rel=tolerance)
    assert found.self_second.value == pytest.approx(pairs(SECOND, SECOND) / 2, rel=tolerance)
    whole = pairs(FIRST + SECOND, FIRST + SECOND) / 2
    assert found.total.value == pytest.approx(whole, rel=tolerance)
    assert found.charges == pytest.approx((0.6, 0.5), rel=1e-6)
    assert found.boundary == ("open",) * 3


def test_overlap(device):
    """Two Gaussians of one width s, d apart: ∫ρ² = q²/(8π^{3/2}s³), overlap over that e^{-d²/4s²}."""
    places = [[(1.0, 1.0, (6.0, 6.5, z))] for z in (7.0, 9.0)]
    found = gh.interaction_energy(*(density(SHAPE, CELL, blobs, "open", device=device) for blobs in places))
    assert found.overlap_fraction == pytest.approx(np.exp(-1.0), rel=1e-10)
    assert found.overlap.value == pytest.approx(np.exp(-1.0) / (8 * np.pi**1.5), rel=1e-7)
    assert "the densities overlap (3.7e-01)" in found.remarks[0]
    apart = gh.interaction_energy(*(density(SHAPE, CELL, blobs, "open", device=device) for blobs in (FIRST, SECOND)))
    assert 0 < apart.overlap_fraction < 0.1


def test_self_energy_of_a_crystal():
    """Rock salt of Gaussian ions: Madelung's constant 1.747564594633 and the ions' own energies."""
    length, width = 5.0, 0.3
    sites = np.array(list(np.ndindex(2, 2, 2)))
    blobs = [((-1.0) ** s.sum(), width, s * length / 2 + 0.3) for s in sites]
    salt = density((36, 36, 36), length * np.eye(3), blobs, "periodic", (1, 1, 1))
    found = gh.interaction_energy(salt, salt)
    own = 8 * COULOMB_CONSTANT / (2 * np.sqrt(np.pi) * width)
    crystal = -4 * 1.747564594633 * COULOMB_CONSTANT / (length / 2)
    assert found.self_first.value == pytest.approx(own + crystal, rel=1e-6)
    assert found.energy.value == pytest.approx(2 * found.self_first.value, rel=1e-12)
    assert found.overlap_fraction == pytest.approx(1.0, rel=1e-12)
    assert "energies are those of one cell; each density meets all images along a, b, c" in found.remarks


def test_two_dipole_layers_do_not_meet():
    """Slabs without in-plane structure: each has no field outside, so E = 0, whatever the periodic cell says."""
    x = np.arange(160) * 0.125
    layers = [0.05 * (np.exp(-2 * (x - z) ** 2) - np.exp(-2 * (x - z - 0.8) ** 2)) for z in (5.0, 13.0)]
    fields = [
        gh.Field.from_array(layer[None, None], np.diag([3.0, 3.0, 20.0]), quantity="charge_density") for layer in layers
    ]
    assert abs(gh.interaction_energy(*fields, "p,p,o").energy.value) < 1e-9
    moment = 0.05 * np.sqrt(np.pi / 2) * 0.8
    expected = 4 * np.pi * COULOMB_CONSTANT * 9.0 * moment**2 / 20.0
    assert gh.interaction_energy(*fields).energy.value == pytest.approx(-expected, rel=1e-9)


def test_charged_wires():
    """2κ λ λ' ln of the distance per length, from 1 Å on."""
    x = np.arange(40) * 0.4
    r2 = [(x[:, None] - 8.0) ** 2 + (x - y) ** 2 for y in (5.6, 10.4)]
    fields = [
        gh.Field.from_array(
            (np.exp(-r / (2 * 0.65**2)) / (2 * np.pi * 0.65**2))[:, :, None] * np.ones(2),
            np.diag([16.0, 16.0, 3.0]),
            quantity="charge_density",
            boundary="o,o,p",
        )
        for r in r2
    ]
    found = gh.interaction_energy(*fields)
    assert found.energy.value == pytest.approx(-2 * COULOMB_CONSTANT * 3.0 * np.log(4.8), rel=1e-6)
    assert "both wires are charged: the energy counts from wires 1 Å apart" in found.remarks


@pytest.mark.parametrize("reproducible", [False, True])
def test_ranks_find_what_one_process_finds(reproducible):
    fields = [density(SHAPE, CELL, blobs, "open") for blobs in (FIRST, SECOND)]
    expected = gh.interaction_energy(*fields)
    for axis in (0, 2):

        def work(part, axis=axis):
            from dataclasses import replace

            planes = [slice(None)] * 3
            planes[axis] = part.slab.planes
            other = replace(part, values=fields[1].values[tuple(planes)], reproducible=reproducible)
            return gh.interaction_energy(replace(part, reproducible=reproducible), other)

        for found in on_ranks(fields[0], 3, work, axis):
            for name in ("energy", "self_first", "self_second", "overlap"):
                assert float(getattr(found, name)) == pytest.approx(float(getattr(expected, name)), rel=1e-11)


def test_what_is_refused():
    one = density((12, 12, 12), 6 * np.eye(3), [(1.0, 0.6, (3, 3, 3))], "open")
    with pytest.raises(InputError, match=r"different grids, 12 × 12 × 12 points in 216 Å\^3 .* and 12 × 12 × 14"):
        gh.interaction_energy(one, density((12, 12, 14), 6 * np.eye(3), [(1.0, 0.6, (3, 3, 3))], "open"))
    with pytest.raises(InputError, match="one field is of quantity scalar"):
        gh.interaction_energy(one, gh.Field.from_array(one.values, 6 * np.eye(3)))
    with pytest.raises(InputError, match="it has no periodic potential"):
        gh.interaction_energy(one, one, "periodic")


def test_printed():
    fields = [density(SHAPE, CELL, blobs, "open") for blobs in (FIRST, SECOND)]
    found = gh.interaction_energy(*fields)
    assert "between the two" in str(found)
    assert found.to_dict()["energy"]["unit"] == "eV"
