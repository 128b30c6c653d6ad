"""Charge densities from electrons and ions or a potential, and their books."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.units import COULOMB_CONSTANT

DATA = Path(__file__).parents[1] / "data"
SALT = {"Na": 1.0, "Cl": 7.0, "O": 6.5}


def electrons_with_ions(cell, shape, order="C", boundary="periodic", dtype=np.float64, seed=3):
    rng = np.random.default_rng(seed)
    structure = gh.Structure(np.array([11, 17, 11, 17, 8]), rng.random((5, 3)) @ cell)
    values = np.array(rng.random(shape), order=order, dtype=dtype)
    values *= 22.5 / (values.mean() * abs(np.linalg.det(cell)))
    return gh.Field.from_array(
        values, cell, quantity="electron_density", boundary=boundary, structure=structure, device="cpu"
    )


def gaussians_in_space(field, charges, width):
    """Sum over atoms and images in real space: the route that has no modes."""
    cell, shape = field.grid.cell, field.grid.shape
    points = np.moveaxis(np.indices(shape), 0, -1) / np.array(shape) @ cell + field.grid.origin
    total = np.zeros(shape)
    images = np.array(list(np.ndindex(5, 5, 5))) - 2
    for position, symbol in zip(field.structure.positions, field.structure.symbols, strict=True):
        for image in images @ cell:
            square = ((points - position - image) ** 2).sum(axis=-1)
            total += charges[symbol] * np.exp(-square / (2 * width**2))
    return total / (2 * np.pi * width**2) ** 1.5


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_automatic_width_is_of_the_axes_that_have_planes(axis):
    """A grid with a single plane along a long axis says nothing about that axis."""
    shape, lengths = [16, 20, 24], [4.0, 4.0, 4.0]
    shape[axis], lengths[axis] = 1, 9.0
    finest = max(4.0 / n for i, n in enumerate((16, 20, 24)) if i != axis)
    atoms = gh.Structure(np.array([3]), np.ones((1, 3)))
    values = np.full(shape, 1 / np.prod(lengths))
    field = gh.Field.from_array(values, np.diag(lengths), quantity="electron_density", structure=atoms)
    assert gh.charge_density(field, {"Li": 1}).provenance[-1]["width"] == pytest.approx(2 * finest)


@pytest.mark.parametrize(("shape", "order"), [((14, 15, 18), "C"), ((15, 16, 17), "F"), ((14, 15, 18), "F")])
def test_ions_on_a_triclinic_grid(triclinic, shape, order):
    field = electrons_with_ions(triclinic, shape, order)
    density = gh.charge_density(field, SALT, width=0.7)
    expected = gaussians_in_space(field, SALT, 0.7)
    assert density.quantity == "charge_density"
    assert density.unit == "e/Å^3"
    assert density.values + field.values == pytest.approx(expected, abs=3e-8 * expected.max())
    assert density.values.flags.f_contiguous == (order == "F")
    assert density.integral() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("shape", [(14, 15, 18), (15, 14, 17)])
def test_ions_on_an_orthogonal_grid(shape):
    field = electrons_with_ions(np.diag([4.0, 4.2, 5.0]), shape)
    expected = gaussians_in_space(field, SALT, 0.7)
    assert gh.charge_density(field, SALT, width=0.7).values + field.values == pytest.approx(
        expected, abs=3e-8 * expected.max()
    )


def test_every_ion_keeps_its_charge_between_the_points():
    cell = np.diag([4.0, 5.0, 6.0])
    for shift in np.random.default_rng(2).random((4, 3)):
        structure = gh.Structure(np.array([8]), shift[None])
        field = gh.Field.from_array(np.zeros((8, 10, 12)), cell, quantity="electron_density", structure=structure)
        density = gh.charge_density(field, {"O": 6.0}, width=0.5, net_charge=6.0)  # one spacing: the narrowest
        assert density.integral() == pytest.approx(6.0, abs=1e-13)


def test_an_ion_has_no_first_moment_about_itself():
    """The dipole of an ion about its own place vanishes wherever it lies between the points."""
    for z in (7.0, 7.013, 7.125):
        structure = gh.Structure(np.array([8]), np.array([[0.0, 0.0, z]]))
        field = gh.Field.from_array(
            np.zeros((8, 8, 60)), np.diag([2.0, 2.0, 15.0]), quantity="electron_density", structure=structure
        )
        density = gh.charge_density(field, {"O": 6.0}, net_charge=None)
        profile = gh.planar_average(density, "c")
        moment = ((profile.position - z) * profile.values).sum() * profile.spacing * profile.area
        assert moment == pytest.approx(0.0, abs=6.0 * 3e-9)  # the highest mode of a width of two spacings


def test_origin_moves_the_ions(triclinic):
    field = electrons_with_ions(triclinic, (14, 15, 18))
    shift = np.array([0.3, -0.2, 0.5])
    structure = gh.Structure(field.structure.numbers, field.structure.positions + shift)
    moved = gh.Field.from_array(field.values, triclinic, quantity="electron_density", origin=shift, structure=structure)
    assert gh.charge_density(moved, SALT).values == pytest.approx(gh.charge_density(field, SALT).values, abs=1e-12)


def test_single_precision_stays(triclinic):
    field = electrons_with_ions(triclinic, (14, 15, 18), dtype=np.float32)
    density = gh.charge_density(field, SALT)
    assert density.values.dtype == np.float32
    double = gh.charge_density(electrons_with_ions(triclinic, (14, 15, 18)), SALT)
    assert density.values == pytest.approx(double.values, abs=1e-6)


def test_on_every_device_and_slab(triclinic, device):
    """The same numbers on a device that refuses implicit copies, and on each part of a grid cut into slabs."""
    field = electrons_with_ions(triclinic, (14, 15, 18))
    whole = gh.charge_density(field, SALT).values
    there = replace(field, device=device, values=device.asarray(field.values))
    assert device.to_host(gh.charge_density(there, SALT).values) == pytest.approx(whole, abs=1e-14)
    potential = gh.Field.from_array(whole, triclinic, quantity="electron_potential_energy")
    there = replace(potential, device=device, values=device.asarray(potential.values))
    expected = gh.charge_density(potential).values
    assert device.to_host(gh.charge_density(there).values) == pytest.approx(expected, abs=1e-13)
    assert device.to_host(gh.electrostatic_potential(there).values) == pytest.approx(-whole)
    for size, axis in ((3, 1), (2, 2), (17, 0)):
        for part in on_ranks(there, size, lambda f: gh.charge_density(replace(f, device=device)), axis):
            here = tuple(part.slab.planes if i == axis else slice(None) for i in range(3))
            assert device.to_host(part.values) == pytest.approx(expected[here], abs=1e-13)
        for part in on_ranks(field, size, lambda f: gh.charge_density(f, SALT), axis):
            here = tuple(part.slab.planes if i == axis else slice(None) for i in range(3))
            assert part.values == pytest.approx(whole[here], abs=1e-13)


def test_charges_of_the_file():
    field = gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density")
    electrons = gh.Field.from_array(
        np.full((8, 8, 56), 168 / field.grid.volume),
        field.grid.cell,
        quantity="electron_density",
        structure=field.structure,
    )
    density = gh.charge_density(electrons, "file", net_charge=None)
    assert density.integral() == pytest.approx(field.structure.charges.sum() - 168, abs=1e-9)


class TestLaplacian:
    """ρ = -ε0 ∇²φ."""

    def test_plane_wave_on_a_triclinic_grid(self, triclinic):
        shape = (10, 11, 12)
        a, b, c = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
        wave = 2 * np.pi * (2 * a - b + 3 * c)
        potential = gh.Field.from_array(5.0 + np.cos(wave), triclinic, quantity="electrostatic_potential")
        k = np.array([2, -1, 3]) @ (2 * np.pi * np.linalg.inv(triclinic).T)
        density = gh.charge_density(potential)
        expected = (k @ k) / (4 * np.pi * COULOMB_CONSTANT) * np.cos(wave)
        assert density.values == pytest.approx(expected, abs=1e-12)
        assert density.unit == "e/Å^3"
        energy = gh.Field.from_array(-5.0 - np.cos(wave), triclinic, quantity="electron_potential_energy")
        assert gh.charge_density(energy).values == pytest.approx(expected, abs=1e-12)

    def test_real_slab(self):
        """GPAW's potential and charge are related by its own finite-difference Laplacian; planes agree to 1 %."""
        energy = gh.read(DATA / "NaCl_slab_electron_potential_energy.cube.gz", quantity="electron_potential_energy")
        charge = gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density")
        found = gh.planar_average(gh.charge_density(energy), "c").values
        expected = gh.planar_average(charge, "c").values
        assert abs(found - expected).max() < 0.01 * abs(expected).max()


class TestBalance:
    """Integral against electrons and ions."""

    def test_graphene_is_neutral(self):
        field = gh.read(DATA / "graphene_CHGCAR.gz")
        balance = gh.charge_balance(field, {"C": 4})
        assert balance.verdict == "neutral"
        assert balance.electrons.value == pytest.approx(8.0, abs=1e-5)
        assert balance.ions.value == 8.0
        assert balance.net.value == pytest.approx(0.0, abs=1e-5)
        assert balance.by_element == {"C": 8.0}
        assert "neutral" in str(balance)
        assert "C +8" in str(balance)

    def test_wrong_ions_are_unbalanced(self):
        field = gh.read(DATA / "graphene_CHGCAR.gz")
        assert gh.charge_balance(field, {"C": 6}).verdict == "unbalanced"
        assert gh.charge_balance(field, {"C": 6}, net_charge=4.0).verdict == "charged"
        assert gh.charge_balance(field, {"C": 4}, tolerance=1e-9).verdict == "unbalanced"

    def test_core_electrons_lost_by_a_coarse_grid_show(self):
        """AECCAR0 should hold 104 core electrons; its grid is too coarse, and the books say so."""
        with pytest.warns(AccuracyWarning, match="too coarse"):
            field = gh.read(DATA / "NaMgF3_AECCAR0.gz")
        cores = {"Na": 10, "Mg": 10, "F": 2}
        balance = gh.charge_balance(field, cores)
        assert balance.ions.value == 104.0
        assert balance.electrons.value == pytest.approx(193.7, abs=0.1)
        assert balance.verdict == "unbalanced"
        with pytest.raises(InputError, match="was expected"):
            gh.charge_density(field, cores)

    def test_of_a_charge_density(self):
        field = gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density")
        balance = gh.charge_balance(field)
        assert abs(balance.net.value) < 2e-8
        assert balance.verdict == "neutral"
        assert not balance.electrons.defined

    def test_uncertainty_is_of_all_charge_not_of_what_is_left(self, device):
        """∫|ρ| of ±3 e in two halves is 6 e, whatever cancels."""
        values = np.full((4, 5, 40), 3.0 / 32)
        values[..., 20:] *= -1
        field = gh.Field.from_array(values, 4.0 * np.eye(3), quantity="charge_density", device=device)
        net = gh.charge_balance(field).net
        assert abs(net.value) < 1e-14
        assert net.uncertainty == pytest.approx(6e-15, rel=1e-6, abs=0)

    @pytest.mark.parametrize(("ion", "verdict"), [(1.0, "neutral"), (3.0, "charged")])
    def test_any_net_charge_is_accepted(self, triclinic, ion, verdict):
        atoms = gh.Structure(np.array([3]), np.zeros((1, 3)))
        volume = abs(np.linalg.det(triclinic))
        field = gh.Field.from_array(
            np.full((4, 5, 6), 1 / volume), triclinic, quantity="electron_density", structure=atoms
        )
        balance = gh.charge_balance(field, {"Li": ion}, net_charge=None)
        assert balance.verdict == verdict
        assert balance.expected is None
        assert "expected any" in str(balance)
        assert gh.charge_balance(field, {"Li": 3.0}, net_charge=0.0).verdict == "unbalanced"

    def test_atoms_without_elements_take_no_charges(self, triclinic):
        nameless = gh.Structure(np.zeros(2, dtype=int), np.zeros((2, 3)))
        field = gh.Field.from_array(np.ones((4, 4, 4)), triclinic, quantity="electron_density", structure=nameless)
        with pytest.raises(InputError, match=r"does not say of which elements .* write the symbols into a line"):
            gh.charge_density(field, ion_charges=SALT)

    def test_without_ions_it_is_unknown(self, triclinic):
        balance = gh.charge_balance(electrons_with_ions(triclinic, (6, 6, 6)))
        assert balance.verdict == "unknown"
        assert "give ion_charges" in str(balance)

    def test_refusals(self, triclinic):
        with pytest.raises(InputError, match="not a scalar"):
            gh.charge_balance(gh.Field.from_array(np.ones((4, 4, 4)), triclinic))
        with pytest.raises(InputError, match="tolerance = -1"):
            gh.charge_balance(electrons_with_ions(triclinic, (14, 15, 18)), tolerance=-1.0)
        with pytest.raises(InputError, match="leave ion_charges out"):
            gh.charge_balance(gh.Field.from_array(np.ones((4, 4, 4)), triclinic, quantity="charge_density"), SALT)


class TestRefused:
    """One sentence each."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "has no ions in it"),
            ({"ion_charges": {"Na": 1, "Cl": 7}}, r"no charge for O \(1 atoms\)"),
            ({"ion_charges": {"Na": 1}}, r"no charge for Cl \(2 atoms\), O \(1 atoms\)"),
            ({"ion_charges": {**SALT, "Xx": 1}}, 'names "Xx", no element'),
            ({"ion_charges": {**SALT, "K": 1}}, "names K, but the atoms are Cl2Na2O"),
            ({"ion_charges": {**SALT, "O": np.nan}}, "finite number"),
            ({"ion_charges": {"Na": 11, "Cl": 17, "O": 8}}, r"net \+41.5 e, where \+0 e was expected"),
            ({"ion_charges": "nuclei"}, '"file"'),
            ({"ion_charges": "file"}, "states no charges"),
            ({"ion_charges": SALT, "width": 0.05}, "narrower than the grid's spacing"),
            ({"ion_charges": SALT, "width": -1.0}, "positive"),
            ({"ion_charges": SALT, "tolerance": np.nan}, "tolerance = nan"),  # to which every charge would be equal
            ({"ion_charges": SALT, "net_charge": np.nan}, "net_charge = nan"),
        ],
    )
    def test_options(self, triclinic, options, message):
        with pytest.raises(InputError, match=message):
            gh.charge_density(electrons_with_ions(triclinic, (14, 15, 18)), **options)

    def test_no_atoms(self, triclinic):
        field = gh.Field.from_array(np.ones((8, 8, 8)), triclinic, quantity="electron_density")
        with pytest.raises(InputError, match="has no atoms"):
            gh.charge_density(field, {"Na": 1})

    def test_ion_at_an_open_face(self):
        structure = gh.Structure(np.array([11]), np.array([[1.0, 1.0, 0.7]]))
        field = gh.Field.from_array(
            np.full((16, 16, 80), 1 / 40),
            np.diag([2.0, 2.0, 10.0]),
            quantity="electron_density",
            boundary="p,p,o",
            structure=structure,
        )
        with pytest.raises(InputError, match=r"The Na ion 0 lies .* its charge would cross the boundary"):
            gh.charge_density(field, {"Na": 1})

    def test_quantities(self, triclinic):
        scalar = gh.Field.from_array(np.ones((4, 4, 4)), triclinic)
        with pytest.raises(InputError, match="This field is a scalar"):
            gh.charge_density(scalar)
        with pytest.raises(InputError, match="of quantity scalar"):
            gh.electrostatic_potential(scalar)
        charge = gh.Field.from_array(np.ones((4, 4, 4)), triclinic, quantity="charge_density")
        assert gh.charge_density(charge) is charge
        with pytest.raises(InputError, match="charge_density already"):
            gh.charge_density(charge, SALT)
        potential = gh.Field.from_array(np.ones((4, 4, 4)), triclinic, quantity="electrostatic_potential")
        assert gh.electrostatic_potential(potential) is potential
        with pytest.raises(InputError, match="holds its ions already"):
            gh.charge_density(potential, SALT)
